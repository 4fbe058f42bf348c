//! Makes text from other sources safe to print on a terminal.

/// Whether a character changes the writing direction of the text after it.
pub fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a terminal may act on a character instead of showing it.
pub fn acts(c: char) -> bool {
    c.is_control() || turns(c)
}

/// A text on one line, with control characters and those that change the writing direction as escapes.
pub fn line(text: &str) -> String {
    escaped(text, acts)
}

/// Like [`line`], but keeps line breaks and tabs.
pub fn lines(text: &str) -> String {
    escaped(&text.replace("\r\n", "\n"), |c| acts(c) && !matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, which: impl Fn(char) -> bool) -> String {
    let harmless = |c: char| if which(c) { c.escape_default().collect() } else { vec![c] };
    text.chars().flat_map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_a_terminal_acts_on_are_escaped() {
        assert_eq!(line("a\u{1b}[2Jb\nc\u{202e}d\u{9b}é"), "a\\u{1b}[2Jb\\nc\\u{202e}d\\u{9b}é");
        assert_eq!(lines("a\r\n\tb\rc\u{7}\n"), "a\n\tb\\rc\\u{7}\n");
    }
}
