//! Joins tokens into text.
//!
//! - *whitespace*: tokens separated by spaces. *char*: tokens without separators.
//! - *word*: as *whitespace*, but without a space before a token that starts with one of `.,;:!?')]}`, after a token
//!   that ends with one of `([{`, or around a lone `'`, `’` or `-`, which usually is inside a word (don't, well-known).
//!   Tokenizing discards the spaces, so this is a guess that reads well.
//! - The token for the end of a line becomes a newline, without spaces around it.

use crate::files::Cut;
use crate::params::Unit;

/// The text of `tokens`.
pub(super) fn join<'a>(cut: &Cut, tokens: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    let mut before: Option<&str> = None;
    for token in tokens {
        if !cut.eos.is_empty() && token == cut.eos {
            text.push('\n');
            before = None;
            continue;
        }
        if before.is_some_and(|before| spaced(cut.unit, before, token)) {
            text.push(' ');
        }
        text.push_str(token);
        before = Some(token);
    }
    text
}

fn spaced(unit: Unit, before: &str, token: &str) -> bool {
    let inside_a_word = |token: &str| matches!(token, "'" | "’" | "-");
    match unit {
        Unit::Whitespace => true,
        Unit::Char => false,
        Unit::Word => {
            !(token.starts_with(['.', ',', ';', ':', '!', '?', '\'', ')', ']', '}'])
                || before.ends_with(['(', '[', '{'])
                || inside_a_word(before)
                || inside_a_word(token))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(unit: Unit, eos: &str, tokens: &[&str]) -> String {
        join(&Cut { unit, lowercase: false, eos: eos.into() }, tokens.iter().copied())
    }

    #[test]
    fn each_unit_has_its_spaces() {
        assert_eq!(joined(Unit::Whitespace, "<eos>", &["a", ",", "<eos>", "b", "c", "<eos>"]), "a ,\nb c\n");
        assert_eq!(joined(Unit::Char, "", &["a", "\n", " ", "b"]), "a\n b");
        assert_eq!(joined(Unit::Char, "$", &["a", "$", "b"]), "a\nb");
        let words =
            ["Don", "'", "t", "say", "(", "or", "think", "),", "well", "-", "known", "<unk>", "!", "<eos>", "I"];
        assert_eq!(joined(Unit::Word, "<eos>", &words), "Don't say (or think), well-known <unk>!\nI");
        assert_eq!(joined(Unit::Word, "", &[]), "");
    }
}
