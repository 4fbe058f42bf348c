//! Explains why a text is not valid TOML: the line of the mistake, and what was probably meant.
//!
//! The parser only says what it expected at some byte, so this module looks at what the user typed there and guesses
//! the intended line. Each guess is parsed before it is shown, so a line in a hint is valid TOML.

mod line;
mod scan;

use toml::de::{DeValue, Error};

use super::problem::{Location, Problem};
use super::slips;
use line::{VALUES, corrected};
use scan::{bare, code, entry, header, is_inside, join, opens, short};

/// The hint if there is no guess: what a line can be.
const LINES: &str = "allowed on a line: KEY = VALUE, [TABLE] or # COMMENT";

/// A mistake: its line, counted from 0; what is wrong; and what could be typed instead.
struct Slip {
    line: usize,
    message: String,
    hint: String,
}

/// What is wrong with `text`, which the parser rejected.
pub fn problem(text: &str, error: &Error) -> Problem {
    let lines: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let span = error.span().unwrap_or(text.len()..text.len());
    let at = text.as_bytes()[..span.start.min(text.len())].iter().filter(|byte| **byte == b'\n').count();
    // An error at the end of the text belongs to the last line that is not blank.
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
        message: format!("not valid TOML: {}", error.message().lines().next().unwrap_or("syntax error")),
        hint: String::new(),
    });
    // A hint that repeats the line does not help.
    let helps = !slip.hint.is_empty() && lines.get(slip.line).is_none_or(|line| line.trim() != slip.hint.trim());
    let hint = if helps { slip.hint } else { LINES.to_owned() };
    Problem::new(Location::Line(slip.line + 1), slip.message, hint)
}

/// The mistake of setting a key or defining a table twice.
fn twice(lines: &[&str], at: usize, key: &str) -> Option<Slip> {
    let header = header(lines[at]);
    let path = header.clone().unwrap_or_else(|| join(&table_of(lines, at), &bare(key)));
    let written = written(lines, at);
    let first = written.iter().find(|(_, other)| *other == path);
    let first = first.or_else(|| written.iter().find(|(_, other)| is_inside(other, &path)));
    let first = first.map_or(String::new(), |(line, _)| format!(", first on line {}", line + 1));
    let (message, hint) = match header {
        Some(_) => (format!("[{path}] is defined twice{first}"), "merge the two tables".to_owned()),
        None => (format!("{path} is set twice{first}"), "delete one of them".to_owned()),
    };
    Some(Slip { line: at, message, hint })
}

/// The mistake of adding a key to a table that is already set as a whole: TOML does not allow extending such a table.
fn beside(lines: &[&str], at: usize) -> Slip {
    let (key, value) = entry(lines[at]).unwrap_or_default();
    let path = header(lines[at]).unwrap_or_else(|| join(&table_of(lines, at), &bare(key)));
    let outer = written(lines, at).into_iter().filter(|(_, other)| is_inside(&path, other));
    let whole = outer.max_by_key(|(_, other)| other.len());
    let (why, hint) = match whole {
        Some((line, whole)) if !value.is_empty() => {
            let rest = path[whole.len()..].trim_start_matches('.');
            let hint = format!("add {rest} = {value} inside the braces on line {}", line + 1);
            (format!("line {} already sets {whole} as a whole", line + 1), hint)
        }
        Some((line, whole)) => {
            let hint = format!("move its keys to line {}", line + 1);
            (format!("line {} already sets {whole} as a whole", line + 1), hint)
        }
        None => ("its table is already set as a whole".to_owned(), "write all keys of a table in one place".to_owned()),
    };
    Slip { line: at, message: format!("cannot set {path}: {why}"), hint }
}

/// The table that a line's key belongs to.
fn table_of(lines: &[&str], at: usize) -> String {
    lines[..at].iter().rev().find_map(|line| header(line)).unwrap_or_default()
}

/// The tables and keys written before a line, each with its line.
fn written(lines: &[&str], at: usize) -> Vec<(usize, String)> {
    let mut table = String::new();
    let mut written: Vec<(usize, String)> = Vec::new();
    for (line, text) in lines[..at].iter().enumerate() {
        if let Some(name) = self::header(text) {
            // Each item of an array of tables has its own keys.
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

/// The mistake of not closing a list, table or multi-line string, which starts before the line of the error.
fn unclosed(lines: &[&str], at: usize, held: usize) -> Option<Slip> {
    let begins = (0..=held).rev().find(|line| entry(lines[*line]).is_some_and(|(_, value)| opens(value) != 0))?;
    let (_, value) = entry(lines[begins])?;
    let multiline = value.starts_with("\"\"\"") || value.starts_with("'''");
    // Another key, a header or the end of the file shows that it was never closed.
    let is_item = begins < held && entry(lines[held]).is_none() && header(lines[held]).is_none();
    let is_last = lines[held + 1..].iter().all(|line| line.trim().is_empty());
    let within = &lines[begins + 1..(held + usize::from(is_item && is_last)).max(begins + 1)];
    let depth: i32 = within.iter().map(|line| opens(code(line))).sum::<i32>() + opens(value);
    if (depth <= 0 && !multiline) || (begins == held && at == held && !multiline) {
        return None;
    }
    if is_item && !is_last {
        // The mistake is in a line inside the list, table or string.
        let item = code(lines[held]).trim_end_matches(',').trim_end();
        let before = (begins + 1..held).rev().find(|line| !code(lines[*line]).is_empty());
        if let Some(before) = before
            && DeValue::parse(item).is_ok()
            && !code(lines[before]).ends_with([',', '[', '{'])
        {
            let before_it = code(lines[before]);
            let message = format!("missing comma after {}", short(before_it));
            return Some(Slip { line: before, message, hint: format!("{before_it},") });
        }
        let hint = slips::mended(item).unwrap_or_else(|| VALUES.to_owned());
        return Some(Slip { line: held, message: format!("{} is not valid TOML", short(item)), hint });
    }
    let what = match value.chars().next() {
        Some('[') => "the list that starts here has no closing ]",
        Some('{') => "the table that starts here has no closing }",
        Some('"' | '\'') if multiline => "the string that starts here has no closing quotes",
        _ => return None,
    };
    let hint = match within.iter().all(|line| line.trim().is_empty()) {
        true => corrected(lines[begins]).unwrap_or_default(),
        false => "close it after its last item".to_owned(),
    };
    Some(Slip { line: begins, message: what.to_owned(), hint })
}

/// What is wrong within one line.
fn of_line(lines: &[&str], at: usize) -> Option<Slip> {
    let (message, hint) = line::wrong(lines[at].trim())?;
    Some(Slip { line: at, message, hint })
}
