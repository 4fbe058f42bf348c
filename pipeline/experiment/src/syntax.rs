//! What is wrong with a text that is not TOML: the slip by its line, and the line as it was probably meant.
//!
//! The parser says what it expected at some byte; what a user typed there says more. Each guess is parsed before it is
//! shown, so that a hint can be typed.

mod line;
mod scan;

use toml::de::{DeValue, Error};

use super::problem::{Location, Problem};
use super::slips;
use line::{VALUES, corrected};
use scan::{bare, code, entry, header, is_inside, join, opens, short};

/// What a line may be, where no guess is near.
const LINES: &str = "allowed on a line: KEY = VALUE, [TABLE], or # and a comment";

/// A slip: its line from 0, what is wrong, and what could be typed.
struct Slip {
    line: usize,
    message: String,
    hint: String,
}

/// What is wrong with `text`, which the parser refused.
pub fn problem(text: &str, error: &Error) -> Problem {
    let lines: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let span = error.span().unwrap_or(text.len()..text.len());
    let at = text.as_bytes()[..span.start.min(text.len())].iter().filter(|byte| **byte == b'\n').count();
    // What is missing at the end is missing on the last line that holds something.
    let held = (0..=at).rev().find(|line| !lines[*line].trim().is_empty()).unwrap_or(at);
    let key = text.get(span).unwrap_or_default();
    let slip = if error.message().starts_with("duplicate key") {
        twice(&lines, at, key)
    } else if error.message().starts_with("cannot extend value") {
        Some(beside(&lines, at))
    } else {
        unclosed(&lines, at, held).or_else(|| of_line(&lines, held))
    };
    let slip = slip.unwrap_or_else(|| Slip {
        line: at,
        message: format!("not TOML: {}", error.message().lines().next().unwrap_or("something is wrong")),
        hint: String::new(),
    });
    // The line as it is helps nobody.
    let helps = !slip.hint.is_empty() && lines.get(slip.line).is_none_or(|line| line.trim() != slip.hint.trim());
    let hint = if helps { slip.hint } else { LINES.to_owned() };
    Problem::new(Location::Line(slip.line + 1), slip.message, hint)
}

/// A key or a table that is there already.
fn twice(lines: &[&str], at: usize, key: &str) -> Option<Slip> {
    let header = header(lines[at]);
    let path = header.clone().unwrap_or_else(|| join(&table_of(lines, at), &bare(key)));
    let written = written(lines, at);
    let first = written.iter().find(|(_, other)| *other == path);
    let first = first.or_else(|| written.iter().find(|(_, other)| is_inside(other, &path)));
    let first = first.map_or(String::new(), |(line, _)| format!(", first on line {}", line + 1));
    let (message, hint) = match header {
        Some(_) => (format!("[{path}] stands twice{first}"), "put the keys of both under one of them".to_owned()),
        None => (format!("{path} is set twice{first}"), "delete one of the two".to_owned()),
    };
    Some(Slip { line: at, message, hint })
}

/// A key of a table that is written as a whole elsewhere: TOML adds nothing to it.
fn beside(lines: &[&str], at: usize) -> Slip {
    let (key, value) = entry(lines[at]).unwrap_or_default();
    let path = header(lines[at]).unwrap_or_else(|| join(&table_of(lines, at), &bare(key)));
    let outer = written(lines, at).into_iter().filter(|(_, other)| is_inside(&path, other));
    let whole = outer.max_by_key(|(_, other)| other.len());
    let (of, hint) = match whole {
        Some((line, whole)) if !value.is_empty() => {
            let rest = path[whole.len()..].trim_start_matches('.');
            let hint = format!("add {rest} = {value} to line {}, in its braces", line + 1);
            (format!("{whole}, which line {} sets as a whole", line + 1), hint)
        }
        Some((line, whole)) => {
            let hint = format!("move its keys to line {}", line + 1);
            (format!("{whole}, which line {} sets as a whole", line + 1), hint)
        }
        None => ("a value that is set as a whole".to_owned(), "put all keys of a table in one place".to_owned()),
    };
    Slip { line: at, message: format!("{path} would add to {of}"), hint }
}

/// The table that the keys of a line are in.
fn table_of(lines: &[&str], at: usize) -> String {
    lines[..at].iter().rev().find_map(|line| header(line)).unwrap_or_default()
}

/// The tables and keys before a line, by their lines.
fn written(lines: &[&str], at: usize) -> Vec<(usize, String)> {
    let mut table = String::new();
    let mut written: Vec<(usize, String)> = Vec::new();
    for (line, text) in lines[..at].iter().enumerate() {
        if let Some(name) = self::header(text) {
            // The keys of another item of a list of tables are others.
            if text.trim_start().starts_with("[[") {
                while written.last().is_some_and(|(_, path)| is_inside(path, &name)) {
                    written.pop();
                }
            }
            table.clone_from(&name);
            written.push((line, name));
        } else if let Some((key, _)) = entry(text) {
            written.push((line, join(&table, &bare(key))));
        }
    }
    written
}

/// A list, a table or a text of several lines that begins before the line of the error, and does not end.
fn unclosed(lines: &[&str], at: usize, held: usize) -> Option<Slip> {
    let begins = (0..=held).rev().find(|line| entry(lines[*line]).is_some_and(|(_, value)| opens(value) != 0))?;
    let (_, value) = entry(lines[begins])?;
    let multiline = value.starts_with("\"\"\"") || value.starts_with("'''");
    // Another key, a table or the end of the file says that it was not ended.
    let is_item = begins < held && entry(lines[held]).is_none() && header(lines[held]).is_none();
    let is_last = lines[held + 1..].iter().all(|line| line.trim().is_empty());
    let within = &lines[begins + 1..(held + usize::from(is_item && is_last)).max(begins + 1)];
    let depth: i32 = within.iter().map(|line| opens(code(line))).sum::<i32>() + opens(value);
    if (depth <= 0 && !multiline) || (begins == held && at == held && !multiline) {
        return None;
    }
    if is_item && !is_last {
        // A line inside that is wrong itself.
        let item = code(lines[held]).trim_end_matches(',').trim_end();
        let before = (begins + 1..held).rev().find(|line| !code(lines[*line]).is_empty());
        if let Some(before) = before
            && DeValue::parse(item).is_ok()
            && !code(lines[before]).ends_with([',', '[', '{'])
        {
            let before_it = code(lines[before]);
            let message = format!("{} has no comma after it", short(before_it));
            return Some(Slip { line: before, message, hint: format!("{before_it},") });
        }
        let hint = slips::mended(item).unwrap_or_else(|| VALUES.to_owned());
        return Some(Slip { line: held, message: format!("{} is not TOML", short(item)), hint });
    }
    let what = match value.chars().next() {
        Some('[') => "the list that begins here has no closing ]",
        Some('{') => "the table that begins here has no closing }",
        Some('"' | '\'') if multiline => "the text that begins here has no closing quotes",
        _ => return None,
    };
    let hint = match within.iter().all(|line| line.trim().is_empty()) {
        true => corrected(lines[begins]).unwrap_or_default(),
        false => "close it on the line of its last item, or on a line of its own".to_owned(),
    };
    Some(Slip { line: begins, message: what.to_owned(), hint })
}

/// What is wrong within one line.
fn of_line(lines: &[&str], at: usize) -> Option<Slip> {
    let (message, hint) = line::wrong(lines[at].trim())?;
    Some(Slip { line: at, message, hint })
}
