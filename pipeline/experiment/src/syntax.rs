//! What is wrong with a text that is not TOML: the slip by its line, and the line as it was probably meant.
//!
//! The parser says what it expected at some byte; what a user typed there says more. Each guess is parsed before it is
//! shown, so that a hint can be typed.

use toml::de::{DeTable, DeValue, Error};

use super::problem::{Place, Problem};
use super::slips;

/// What a value may be, where no guess is near.
const VALUES: &str = "allowed: a number, a text in quotes, true, false, a list in [ ] or a table in { }";

/// What a line may be, likewise.
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
    Problem::new(Place::Line(slip.line + 1), slip.message, hint)
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
fn of_line(lines: &[&str], line: usize) -> Option<Slip> {
    let text = lines[line].trim();
    let (message, hint) = characters(text).or_else(|| marks(text)).or_else(|| of_entry(text))?;
    Some(Slip { line, message, hint })
}

/// Characters that can't stand in TOML.
fn characters(text: &str) -> Option<(String, String)> {
    if text.contains('\r') {
        let message = "a line ends in a carriage return alone; allowed: a newline, or both";
        return Some((message.to_owned(), "tr '\\r' '\\n' < old.toml > new.toml".to_owned()));
    }
    let odd = text.chars().find(|c| {
        (c.is_control() && *c != '\t') || (c.is_whitespace() && !matches!(c, ' ' | '\t')) || *c == '\u{feff}'
    });
    if let Some(c) = odd {
        let cleaned: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
        let cleaned: String = cleaned.chars().filter(|c| !c.is_control() && *c != '\u{feff}').collect();
        return Some((format!("the character U+{:04X} can't stand here", c as u32), checked(cleaned)));
    }
    let curled = code(text).chars().find(|c| slips::CURLED.contains(c))?;
    Some((format!("{curled} is not a TOML quote; allowed: \" or '"), corrected(text).unwrap_or_default()))
}

/// Headers and comments that are not TOML's.
fn marks(text: &str) -> Option<(String, String)> {
    for mark in ["//", "/*", "--", ";"] {
        if let Some(rest) = text.strip_prefix(mark) {
            if mark == "--" && rest.starts_with(char::is_alphabetic) {
                return Some((format!("`{}` is for the command line", short(text)), "KEY = VALUE".to_owned()));
            }
            let rest = rest.trim().trim_end_matches("*/").trim_end();
            return Some((format!("a comment begins with #, not with {mark}"), format!("# {rest}")));
        }
    }
    let plain = code(text);
    if text.starts_with('{') {
        return Some(("this looks like JSON; an experiment is TOML".to_owned(), "name = \"lr_study\"".to_owned()));
    }
    if (text.starts_with('[') || plain.ends_with(']')) && entry(text).is_none() {
        let name = plain.trim_matches(['[', ']', ' ']);
        let fixed =
            if plain.starts_with("[[") || plain.ends_with("]]") { format!("[[{name}]]") } else { format!("[{name}]") };
        return Some((format!("`{}` is not the header of a table", short(plain)), checked(fixed)));
    }
    None
}

/// A key and its value, or what should have been one.
fn of_entry(text: &str) -> Option<(String, String)> {
    let shown = short(code(text));
    let Some((key, value)) = entry(text) else {
        let hint = corrected(text).unwrap_or_default();
        return Some(match code(text).split_once(':') {
            Some((_, "")) => (format!("`{shown}` is not TOML; a table has its name in brackets"), hint),
            Some(_) => (format!("`{shown}` has no =; a key and its value are joined by =, not by :"), hint),
            None if shown.starts_with(['"', '\'']) && bare(&shown).is_empty() => {
                (format!("the quotes `{shown}` stand alone"), String::new())
            }
            None if code(text).contains(char::is_whitespace) => {
                (format!("`{shown}` has no = between key and value"), hint)
            }
            None => (format!("`{shown}` has no value"), format!("{} = …", bare(code(text)))),
        });
    };
    let hint = corrected(text).unwrap_or_default();
    let name = bare(key.trim_end_matches([':', '+', '-', '*']));
    let message = if key.ends_with([':', '+', '-', '*']) || value.starts_with('=') {
        format!("`{shown}`: a key and its value are joined by one =")
    } else if key.contains(char::is_whitespace) && !key.contains(['"', '\'', '.']) {
        format!("`{key}` is not a key; allowed: letters, digits, _ and -, or any text in quotes")
    } else if value.is_empty() {
        return Some((format!("{name} has no value"), VALUES.to_owned()));
    } else if slips::is_nothing(value) {
        let hint = format!("delete the line: {name} then has its default");
        return Some((format!("{name} is {}, which TOML does not have", short(value)), hint));
    } else if let Some((_, rest)) = value.split_once(['"', '\'', ' ', ','])
        && let Some((other, _)) = entry(rest.trim_start_matches([',', ' ', '"', '\'']))
        && !value.starts_with(['{', '['])
    {
        return Some((
            format!("{name} and {} stand on one line", bare(other)),
            "give each a line of its own".to_owned(),
        ));
    } else if let Some((before, _)) = value.split_once("//") {
        let hint = text.replacen("//", "#", 1);
        let fine = DeTable::parse(&hint).is_ok() && !before.contains('"');
        return Some(("a comment begins with #, not with //".to_owned(), if fine { hint } else { String::new() }));
    } else if value.starts_with(['"', '\'']) && !value[1..].contains(&value[..1]) {
        format!("{name}: the text {} has no closing quote", short(value))
    } else if value.contains('\\') && value.starts_with('"') {
        format!("{name}: a backslash in double quotes begins an escape; in single quotes it is itself")
    } else if slips::mended(value).is_some_and(|fixed| fixed.starts_with('"')) {
        format!("{name} is {}, a text without quotes", short(value))
    } else {
        format!("{name} is {}, which is not TOML", short(value))
    };
    let hint = match (hint.is_empty(), value.starts_with('{')) {
        (false, _) => hint,
        (true, true) => "commas part the keys of a table: { a = 1, b = 2 }".to_owned(),
        (true, false) => VALUES.to_owned(),
    };
    Some((message, hint))
}

/// The line as it was probably meant.
fn corrected(line: &str) -> Option<String> {
    let line = code(line.trim());
    let (key, value) = match entry(line) {
        Some((key, value)) => (key.trim_end_matches([':', '+', '-', '*']), value.trim_start_matches('=').trim()),
        None => match line.split_once(':').or_else(|| line.split_once(char::is_whitespace)) {
            Some((name, "")) => return Some(checked(format!("[{name}]"))),
            Some((key, value)) => (key.trim(), value.trim()),
            None => return None,
        },
    };
    let key = if key.contains(['"', '\'', '.']) {
        key.trim().to_owned()
    } else {
        key.split_whitespace().collect::<Vec<_>>().join("_")
    };
    let closed =
        ["\"\"\"", "'''"].into_iter().find(|quotes| value.starts_with(quotes)).map(|quotes| format!("{value}{quotes}"));
    let value = closed.or_else(|| slips::mended(value)).unwrap_or_else(|| value.to_owned());
    Some(checked(format!("{key} = {value}"))).filter(|fixed| !fixed.is_empty())
}

/// A line, if it is TOML.
fn checked(line: String) -> String {
    if DeTable::parse(&line).is_ok() { line } else { String::new() }
}

/// The name in a header's brackets.
fn header(line: &str) -> Option<String> {
    let inner = code(line).trim().strip_prefix('[')?.strip_suffix(']')?;
    let inner = inner.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(inner);
    let is_name = !inner.is_empty() && inner.chars().all(|c| c.is_alphanumeric() || "_-.\"' ".contains(c));
    is_name.then(|| bare(inner))
}

/// A key and its value, where a line has a `=` outside of quotes.
fn entry(line: &str) -> Option<(&str, &str)> {
    let line = code(line);
    let mut quote = None;
    let at = line.char_indices().find(|(_, c)| match (*c, quote) {
        ('=', None) => true,
        (c, Some(closing)) if c == closing => {
            quote = None;
            false
        }
        (c @ ('"' | '\''), None) => {
            quote = Some(c);
            false
        }
        _ => false,
    })?;
    let (key, value) = (line[..at.0].trim(), line[at.0 + 1..].trim());
    // `{ kind = …` and `["a=b"]` are no entries but parts of a value.
    (!key.is_empty() && !key.starts_with(['{', '[', ',', '}', ']'])).then_some((key, value))
}

/// A line without its comment and the white space around it.
fn code(line: &str) -> &str {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (c, quote) {
            ('#', None) => return line[..at].trim(),
            (c, Some(closing)) if c == closing => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            _ => {}
        }
    }
    line.trim()
}

/// How many brackets a text opens more than it closes; a text of several lines that it begins counts as one.
fn opens(text: &str) -> i32 {
    if let Some(quotes) = ["\"\"\"", "'''"].into_iter().find(|quotes| text.starts_with(quotes)) {
        return i32::from(!text[3..].contains(quotes));
    }
    let (mut open, mut quote) = (0, None);
    for c in text.chars() {
        match (c, quote) {
            (c, Some(closing)) if c == closing => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(c),
            ('[' | '{', None) => open += 1,
            (']' | '}', None) => open -= 1,
            _ => {}
        }
    }
    open
}

/// A key without its quotes.
fn bare(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '"' | '\'') && !c.is_whitespace()).collect()
}

fn join(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

fn is_inside(path: &str, table: &str) -> bool {
    path.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'))
}

/// A text that fits in a message.
fn short(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
