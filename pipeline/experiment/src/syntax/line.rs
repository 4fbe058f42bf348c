//! What is wrong within one line, and the line as it was probably meant.

use toml::de::DeTable;

use super::scan::{bare, code, entry, short};
use crate::slips;

/// The hint if there is no guess: what a value can be.
pub const VALUES: &str = "allowed: a number, a string in quotes, true, false, a list in [ ] or a table in { }";

/// What is wrong with a trimmed line, and what could be typed.
pub fn wrong(text: &str) -> Option<(String, String)> {
    characters(text).or_else(|| marks(text)).or_else(|| of_entry(text))
}

/// Characters that TOML does not allow.
fn characters(text: &str) -> Option<(String, String)> {
    if text.contains('\r') {
        let message = "line ends in a bare carriage return; allowed: LF or CRLF";
        return Some((message.to_owned(), "to convert the file: tr '\\r' '\\n' < old.toml > new.toml".to_owned()));
    }
    let odd = text.chars().find(|c| {
        (c.is_control() && *c != '\t') || (c.is_whitespace() && !matches!(c, ' ' | '\t')) || *c == '\u{feff}'
    });
    if let Some(c) = odd {
        let cleaned: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
        let cleaned: String = cleaned.chars().filter(|c| !c.is_control() && *c != '\u{feff}').collect();
        return Some((format!("unexpected character U+{:04X}", c as u32), checked(cleaned)));
    }
    let curled = code(text).chars().find(|c| slips::CURLED.contains(c))?;
    Some((format!("{curled} is not a TOML quote; allowed: \" or '"), corrected(text).unwrap_or_default()))
}

/// Headers and comments in another language's syntax.
fn marks(text: &str) -> Option<(String, String)> {
    for mark in ["//", "/*", "--", ";"] {
        if let Some(rest) = text.strip_prefix(mark) {
            if mark == "--" && rest.starts_with(char::is_alphabetic) {
                let message = format!("`{}` is a command-line flag, not TOML", short(text));
                return Some((message, "write KEY = VALUE".to_owned()));
            }
            let rest = rest.trim().trim_end_matches("*/").trim_end();
            return Some((format!("comments start with #, not {mark}"), format!("# {rest}")));
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
        return Some((format!("`{}` is not a valid table header", short(plain)), checked(fixed)));
    }
    None
}

/// A key and its value, or what should have been one.
fn of_entry(text: &str) -> Option<(String, String)> {
    let shown = short(code(text));
    let Some((key, value)) = entry(text) else {
        let hint = corrected(text).unwrap_or_default();
        return Some(match code(text).split_once(':') {
            Some((_, "")) => (format!("`{shown}` is not valid TOML; write a table's name in brackets"), hint),
            Some(_) => (format!("`{shown}` has no =; separate key and value with =, not :"), hint),
            None if shown.starts_with(['"', '\'']) && bare(&shown).is_empty() => {
                (format!("stray quotes `{shown}`"), String::new())
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
        format!("`{shown}`: separate key and value with a single =")
    } else if key.contains(char::is_whitespace) && !key.contains(['"', '\'', '.']) {
        format!("`{key}` is not a valid key; allowed: letters, digits, _ and -, or any string in quotes")
    } else if value.is_empty() {
        return Some((format!("{name} has no value"), VALUES.to_owned()));
    } else if slips::is_nothing(value) {
        let hint = format!("delete the line to use the default of {name}");
        return Some((format!("{name} is {}, but TOML has no null value", short(value)), hint));
    } else if let Some((_, rest)) = value.split_once(['"', '\'', ' ', ','])
        && let Some((other, _)) = entry(rest.trim_start_matches([',', ' ', '"', '\'']))
        && !value.starts_with(['{', '['])
    {
        return Some((
            format!("{name} and {} are on the same line", bare(other)),
            "put each on its own line".to_owned(),
        ));
    } else if let Some((before, _)) = value.split_once("//") {
        let hint = text.replacen("//", "#", 1);
        let fine = DeTable::parse(&hint).is_ok() && !before.contains('"');
        return Some(("comments start with #, not //".to_owned(), if fine { hint } else { String::new() }));
    } else if value.starts_with(['"', '\'']) && !value[1..].contains(&value[..1]) {
        format!("{name}: the string {} has no closing quote", short(value))
    } else if value.contains('\\') && value.starts_with('"') {
        format!("{name}: a backslash starts an escape in double quotes; in single quotes it is literal")
    } else if slips::mended(value).is_some_and(|fixed| fixed.starts_with('"')) {
        format!("{name} is {}, a string without quotes", short(value))
    } else {
        format!("{name} is {}, which is not valid TOML", short(value))
    };
    let hint = match (hint.is_empty(), value.starts_with('{')) {
        (false, _) => hint,
        (true, true) => "separate the keys of a table with commas: { a = 1, b = 2 }".to_owned(),
        (true, false) => VALUES.to_owned(),
    };
    Some((message, hint))
}

/// The line as it was probably meant.
pub fn corrected(line: &str) -> Option<String> {
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

/// The line if it is valid TOML, else nothing.
fn checked(line: String) -> String {
    if DeTable::parse(&line).is_ok() { line } else { String::new() }
}
