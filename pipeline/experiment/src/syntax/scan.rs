//! Reads as much as possible from a line that may not be valid TOML: its header, its key and value, its brackets.

/// The name in a header's brackets.
pub fn header(line: &str) -> Option<String> {
    let inner = code(line).trim().strip_prefix('[')?.strip_suffix(']')?;
    let inner = inner.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(inner);
    let is_name = !inner.is_empty() && inner.chars().all(|c| c.is_alphanumeric() || "_-.\"' ".contains(c));
    is_name.then(|| bare(inner))
}

/// A key and its value, if the line has an `=` outside quotes.
pub fn entry(line: &str) -> Option<(&str, &str)> {
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
    // `{ kind = …` and `["a=b"]` are parts of a value, not entries.
    (!key.is_empty() && !key.starts_with(['{', '[', ',', '}', ']'])).then_some((key, value))
}

/// A line without its comment and surrounding white space.
pub fn code(line: &str) -> &str {
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

/// The number of brackets that a text opens minus the number that it closes; an unclosed multi-line string counts as
/// one.
pub fn opens(text: &str) -> i32 {
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
pub fn bare(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '"' | '\'') && !c.is_whitespace()).collect()
}

/// The dotted path of a key in a table.
pub fn join(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

/// Whether a dotted path lies inside a table.
pub fn is_inside(path: &str, table: &str) -> bool {
    path.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'))
}

/// A text, cut to fit in a message.
pub fn short(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
