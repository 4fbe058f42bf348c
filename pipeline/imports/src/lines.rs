//! The lines of a text log, one at a time: numbered, bounded, and without what terminals put between them.

use std::io::{BufRead, ErrorKind};

/// The most bytes of a line that are kept. Program sources and generated texts stand in logs; numbers come early in a line.
const LONGEST: usize = 64 * 1024;

/// Reads lines. `\n`, `\r\n` and `\r` end one: progress bars rewrite their line with the last.
pub struct Lines<R> {
    input: R,
    line: Vec<u8>,
    text: String,
    /// Of the line read last; `\r` alone begins no new number, as editors count.
    number: u64,
    ended_by_newline: bool,
    /// Whether the last line was cut off: no newline ends it.
    unfinished: bool,
}

impl<R: BufRead> Lines<R> {
    /// Lines of an input that is at its beginning.
    pub fn new(input: R) -> Self {
        Self { input, line: Vec::new(), text: String::new(), number: 0, ended_by_newline: true, unfinished: false }
    }

    /// The number of the line read last, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether the line read last has no newline behind it: a program may still be writing it.
    pub fn unfinished(&self) -> bool {
        self.unfinished
    }

    /// The next line, without colours and control characters; bytes that are not UTF-8 become `U+FFFD`.
    ///
    /// # Errors
    /// What the input refuses.
    pub fn read(&mut self) -> std::io::Result<Option<&str>> {
        self.line.clear();
        if self.ended_by_newline {
            self.number += 1;
        }
        let mut any = false;
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                self.unfinished = true;
                self.ended_by_newline = false;
                if !any {
                    return Ok(None);
                }
                break;
            }
            any = true;
            let end = memchr::memchr2(b'\n', b'\r', available);
            let taken = &available[..end.unwrap_or(available.len())];
            let room = LONGEST - self.line.len();
            self.line.extend_from_slice(&taken[..taken.len().min(room)]);
            let Some(end) = end else {
                let used = available.len();
                self.input.consume(used);
                continue;
            };
            self.ended_by_newline = available[end] == b'\n';
            self.input.consume(end + 1);
            self.unfinished = false;
            break;
        }
        clean(&self.line, &mut self.text);
        Ok(Some(&self.text))
    }
}

/// Puts a line's text into `text`: without escape sequences (ECMA-48: `ESC [ … letter`) and other control characters but tabs.
fn clean(line: &[u8], text: &mut String) {
    text.clear();
    let lossy = String::from_utf8_lossy(line);
    if !lossy.bytes().any(|byte| byte < b' ') {
        text.push_str(&lossy);
        return;
    }
    let mut chars = lossy.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.next_if_eq(&'[').is_some() {
            while chars.next_if(|c| !('@'..='~').contains(c)).is_some() {}
            chars.next();
        } else if c == '\t' || !c.is_control() {
            text.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(u64, String)> {
        let mut lines = Lines::new(bytes);
        let mut all = Vec::new();
        while let Some(line) = lines.read().unwrap() {
            let line = line.to_owned();
            all.push((lines.number(), line));
        }
        all
    }

    #[test]
    fn lines_are_numbered_as_editors_number_them() {
        let owned = |line: (u64, &str)| (line.0, line.1.to_owned());
        assert_eq!(all(b""), []);
        assert_eq!(all(b"a\n\nb"), [(1, "a"), (2, ""), (3, "b")].map(owned));
        assert_eq!(all(b"a\r\nb\r\n"), [(1, "a"), (1, ""), (2, "b"), (2, "")].map(owned));
        assert_eq!(all(b"10%\r20%\rdone\nnext\n"), [(1, "10%"), (1, "20%"), (1, "done"), (2, "next")].map(owned));
    }

    #[test]
    fn what_terminals_put_between_is_left_out() {
        assert_eq!(all(b"\x1b[1;32mloss\x1b[0m 2.5\x00\x07\n"), [(1, "loss 2.5".to_owned())]);
        assert_eq!(all(b"\x00\x00\x00step\t1\n"), [(1, "step\t1".to_owned())]);
        assert_eq!(all(b"\xff\n"), [(1, "\u{fffd}".to_owned())]);
        assert_eq!(all(b"\x1b["), [(1, String::new())]);
    }

    #[test]
    fn a_line_without_an_end_takes_no_memory_without_an_end() {
        let mut lines = Lines::new(std::io::BufReader::new(std::io::Read::take(std::io::repeat(b'x'), 100 << 20)));
        assert_eq!(lines.read().unwrap().unwrap().len(), LONGEST);
        assert!(lines.unfinished() && lines.line.capacity() <= 2 * LONGEST);
        assert_eq!(lines.read().unwrap(), None);
    }
}
