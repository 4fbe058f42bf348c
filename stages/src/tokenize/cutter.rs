//! Cuts text into tokens, a block at a time.
//!
//! Where a token ends depends only on the classes of characters, so a block may end between any two characters: the
//! cutter keeps just the unfinished token and its class. `sample` uses it too, for its prompt.

use std::sync::OnceLock;

use crate::files::Cut;
use crate::params::Unit;

/// The class of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    /// White space (the Unicode property White_Space), which separates tokens.
    Space,
    /// `\n`, white space that ends a line.
    Newline,
    /// Part of a token: `\w` for words, anything but white space otherwise.
    Word,
    /// Part of the other kind of token, `[^\w\s]`.
    Other,
    /// The first byte of a character outside ASCII, whose class depends on the whole character.
    Wide,
}

/// Cuts blocks of text into tokens.
#[derive(Debug)]
pub(crate) struct Cutter {
    unit: Unit,
    lowercase: bool,
    /// The token for the end of a line; `None` for units other than `char` with an empty `eos`.
    mark: Option<Vec<u8>>,
    /// The class of each byte, so that an ASCII character takes one look-up.
    classes: [Class; 256],
    /// The unfinished token at the end of the last block; its class is [`Self::class`].
    pending: Vec<u8>,
    class: Class,
    /// Whether the last block ended in `\r`, which belongs to the line end if `\n` follows.
    pending_return: bool,
    lowered: String,
    lines: u64,
}

impl Cutter {
    /// A cutter at the start of a text.
    pub(crate) fn new(cut: &Cut) -> Self {
        let mark = match (cut.eos.as_str(), cut.unit) {
            ("", Unit::Char) => Some(b"\n".to_vec()),
            ("", _) => None,
            (eos, _) => Some(eos.as_bytes().to_vec()),
        };
        let classes = std::array::from_fn(|byte| match u8::try_from(byte) {
            Ok(byte) if byte.is_ascii() => class_of(char::from(byte), cut.unit),
            _ => Class::Wide,
        });
        Self {
            unit: cut.unit,
            lowercase: cut.lowercase,
            mark,
            classes,
            pending: Vec::new(),
            class: Class::Space,
            pending_return: false,
            lowered: String::new(),
            lines: 0,
        }
    }

    /// Number of lines ended so far.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// Cuts the next block; passes each token to `sink` as UTF-8 bytes.
    ///
    /// Text is lowercased character by character (`char::to_lowercase`), not word by word. Only the Greek final sigma
    /// differs, and a rule that depends on neighbours could not work across blocks. Hugging Face's `Lowercase` does the
    /// same.
    pub(crate) fn feed(&mut self, text: &str, sink: &mut impl FnMut(&[u8])) {
        if !self.lowercase {
            return self.cut(text, sink);
        }
        let mut lowered = std::mem::take(&mut self.lowered);
        lowered.clear();
        if text.is_ascii() {
            lowered.push_str(text);
            lowered.make_ascii_lowercase();
        } else {
            lowered.extend(text.chars().flat_map(char::to_lowercase));
        }
        self.cut(&lowered, sink);
        self.lowered = lowered;
    }

    /// Ends the text: an unfinished token is now complete. Does not end the line.
    pub(crate) fn flush(&mut self, sink: &mut impl FnMut(&[u8])) {
        if std::mem::take(&mut self.pending_return) {
            sink(b"\r");
        }
        if !self.pending.is_empty() {
            sink(&self.pending);
            self.pending.clear();
        }
        self.class = Class::Space;
    }

    /// Ends a line; its mark, if any, becomes a token.
    pub(crate) fn end_line(&mut self, sink: &mut impl FnMut(&[u8])) {
        self.lines += 1;
        if let Some(mark) = &self.mark {
            sink(mark);
        }
    }

    /// Ends a last line without `\n`: it gets the same mark as other lines, unless that mark is the newline itself.
    pub(crate) fn end_open_line(&mut self, sink: &mut impl FnMut(&[u8])) {
        if self.mark.as_deref() == Some(b"\n") {
            self.lines += 1;
        } else {
            self.end_line(sink);
        }
    }

    fn cut(&mut self, text: &str, sink: &mut impl FnMut(&[u8])) {
        match self.unit {
            Unit::Char => self.cut_chars(text, sink),
            Unit::Whitespace | Unit::Word => self.cut_runs(text, sink),
        }
    }

    /// Cuts a block for units other than `char`: a token ends where the class changes. `start` is where the current run
    /// of one class began in this block; `pending` holds its part from earlier blocks.
    fn cut_runs(&mut self, text: &str, sink: &mut impl FnMut(&[u8])) {
        let bytes = text.as_bytes();
        let (mut at, mut start, mut class) = (0, 0, self.class);
        while let Some(&byte) = bytes.get(at) {
            let (next, width) = match self.classes[usize::from(byte)] {
                Class::Wide => wide(text, at, self.unit),
                class => (class, 1),
            };
            if next != class {
                if matches!(class, Class::Word | Class::Other) {
                    if self.pending.is_empty() {
                        sink(&bytes[start..at]);
                    } else {
                        self.pending.extend_from_slice(&bytes[start..at]);
                        sink(&self.pending);
                        self.pending.clear();
                    }
                }
                start = at;
                class = next;
            }
            if next == Class::Newline {
                self.end_line(sink);
            }
            at += width;
        }
        if matches!(class, Class::Word | Class::Other) {
            self.pending.extend_from_slice(&bytes[start..]);
        }
        self.class = class;
    }

    fn cut_chars(&mut self, text: &str, sink: &mut impl FnMut(&[u8])) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if std::mem::take(&mut self.pending_return) && byte != b'\n' {
                sink(b"\r");
            }
            let width = match byte {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                0xf0.. => 4,
            };
            match byte {
                b'\n' => self.end_line(sink),
                b'\r' => self.pending_return = true,
                _ => sink(&bytes[at..at + width]),
            }
            at += width;
        }
    }
}

/// The tokens of a short text, such as a prompt, whose last line stays open.
pub(crate) fn cut_prompt(cut: &Cut, text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut cutter = Cutter::new(cut);
    let mut sink = |token: &[u8]| tokens.push(String::from_utf8_lossy(token).into_owned());
    cutter.feed(text, &mut sink);
    cutter.flush(&mut sink);
    tokens
}

/// The class and the width in bytes of the non-ASCII character at `at`.
#[inline(never)]
fn wide(text: &str, at: usize, unit: Unit) -> (Class, usize) {
    text[at..].chars().next().map_or((Class::Space, 1), |c| (class_of(c, unit), c.len_utf8()))
}

fn class_of(c: char, unit: Unit) -> Class {
    match c {
        '\n' => Class::Newline,
        c if c.is_whitespace() => Class::Space,
        c if unit == Unit::Word && !is_word(c) => Class::Other,
        _ => Class::Word,
    }
}

/// Whether `\w` matches: Alphabetic, Mark, Decimal_Number, Connector_Punctuation or Join_Control (UTS #18, annex C), by
/// the table of the `regex` crate. A table indexed by character avoids a search through its 770 ranges.
fn is_word(c: char) -> bool {
    static BASIC: OnceLock<Box<[bool]>> = OnceLock::new();
    let searched = |c: char| regex_syntax::try_is_word_character(c).unwrap_or_else(|_| c.is_alphanumeric());
    let basic = BASIC.get_or_init(|| (0..=0xffff).map(|c| char::from_u32(c).is_some_and(searched)).collect());
    basic.get(c as usize).copied().unwrap_or_else(|| searched(c))
}

#[cfg(test)]
mod tests;
