//! Quotes around the words that are no JSON.

use std::io::{self, ErrorKind, Read};

use super::no_json_number;

/// The most bytes of a string or a number: a parser holds all of one.
const LONGEST: usize = 64 << 20;

/// As many bytes must be at hand to tell a word: a sign, `infinity`, and the byte that shows that it ends there.
const AHEAD: usize = 10;

/// Reads an input with quotes put around the words for NaN and ±Inf that stand outside of strings.
pub struct Quoted<R> {
    input: R,
    buffer: Box<[u8]>,
    /// What is in the buffer and not yet handed on.
    held: std::ops::Range<usize>,
    ended: bool,
    place: Place,
    /// Bytes of `held` that go on unchanged, and those of the bare word behind them.
    unchanged: usize,
    word: usize,
    /// A word in its quotes that is being handed on.
    quoted: [u8; AHEAD + 2],
    waiting: std::ops::Range<usize>,
    /// Bytes of the string or number so far.
    token: usize,
}

impl<R: Read> Quoted<R> {
    /// Of an input that is at its beginning.
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; 64 * 1024].into_boxed_slice(),
            held: 0..0,
            ended: false,
            place: Place::Outside,
            unchanged: 0,
            word: 0,
            quoted: [0; AHEAD + 2],
            waiting: 0..0,
            token: 0,
        }
    }

    /// Reads on until a word can be told, or the input ends.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.held.clone(), 0);
        self.held = 0..self.held.len();
        while !self.ended && self.held.end < AHEAD {
            match self.input.read(&mut self.buffer[self.held.end..]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.held.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Counts the bytes of a string or number that goes on from one buffer to the next.
    fn measure(&mut self) -> io::Result<()> {
        let passed = &self.buffer[self.held.start..self.held.start + self.unchanged];
        let goes_on = match self.place {
            Place::Outside => passed.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')),
            Place::Inside | Place::Escaped => !passed.contains(&b'"'),
        };
        self.token = if goes_on { self.token.saturating_add(passed.len()) } else { 0 };
        if self.token > LONGEST {
            return Err(io::Error::new(ErrorKind::InvalidData, "a string or a number is longer than 64 MiB"));
        }
        Ok(())
    }
}

impl<R: Read> Read for Quoted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.waiting.is_empty() {
                let given = hand_on(&self.quoted[self.waiting.clone()], out);
                self.waiting.start += given;
                return Ok(given);
            }
            if self.unchanged > 0 {
                let given = hand_on(&self.buffer[self.held.start..self.held.start + self.unchanged], out);
                self.held.start += given;
                self.unchanged -= given;
                return Ok(given);
            }
            if self.word > 0 {
                let word = &self.buffer[self.held.start..self.held.start + self.word];
                self.quoted[0] = b'"';
                self.quoted[1..=self.word].copy_from_slice(word);
                self.quoted[self.word + 1] = b'"';
                self.waiting = 0..self.word + 2;
                self.held.start += self.word;
                self.word = 0;
                continue;
            }
            if self.held.len() < AHEAD {
                self.fill()?;
                if self.held.is_empty() {
                    return Ok(0);
                }
            }
            (self.unchanged, self.word) = self.place.pass(&self.buffer[self.held.clone()], self.ended);
            if self.ended && self.word == 0 {
                self.held.end = self.held.start + self.unchanged;
            }
            self.measure()?;
        }
    }
}

fn hand_on(bytes: &[u8], out: &mut [u8]) -> usize {
    let given = bytes.len().min(out.len());
    out[..given].copy_from_slice(&bytes[..given]);
    given
}

/// A whole text with such words in quotes. `scratch` is used only where the text has one.
pub fn quoted<'a>(text: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    let mut place = Place::Outside;
    let (mut unchanged, mut word) = place.pass(text, true);
    if word == 0 {
        return &text[..unchanged];
    }
    scratch.clear();
    let mut rest = text;
    loop {
        scratch.extend_from_slice(&rest[..unchanged]);
        if word == 0 {
            return scratch;
        }
        scratch.push(b'"');
        scratch.extend_from_slice(&rest[unchanged..unchanged + word]);
        scratch.push(b'"');
        rest = &rest[unchanged + word..];
        (unchanged, word) = place.pass(rest, true);
    }
}

/// Where in a JSON text the next byte stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    Outside,
    Inside,
    /// Behind a backslash.
    Escaped,
}

impl Place {
    /// How many bytes go on unchanged, and the length of the bare word behind them; 0 where there is none. A word that
    /// is cut off by the end of `bytes` is in neither: unless they are `all` there is, the rest of it may follow.
    fn pass(&mut self, bytes: &[u8], all: bool) -> (usize, usize) {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self {
                Self::Escaped => {
                    *self = Self::Inside;
                    at += 1;
                }
                Self::Inside => {
                    let Some(next) = memchr::memchr2(b'"', b'\\', rest) else { return (bytes.len(), 0) };
                    *self = if rest[next] == b'"' { Self::Outside } else { Self::Escaped };
                    at += next + 1;
                }
                Self::Outside => {
                    let begins = |byte: &u8| matches!(byte, b'"' | b'n' | b'N' | b'i' | b'I' | b'+' | b'-');
                    let Some(next) = rest.iter().position(begins) else { return (bytes.len(), 0) };
                    at += next;
                    let rest = &bytes[at..];
                    if rest[0] == b'"' {
                        *self = Self::Inside;
                    } else if !all && rest.len() < AHEAD {
                        return (at, 0);
                    } else if let Some(length) = word(rest) {
                        return (at, length);
                    } else if is_cut_off(rest) {
                        return (at, 0);
                    }
                    at += 1;
                }
            }
        }
        (bytes.len(), 0)
    }
}

/// The length of the word for NaN or ±Inf that the bytes begin with.
fn word(bytes: &[u8]) -> Option<usize> {
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let length = sign + bytes[sign..].iter().take(AHEAD).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    std::str::from_utf8(&bytes[..length]).ok().and_then(no_json_number).map(|_| length)
}

/// Whether the bytes, the last of a text, begin such a word or `null`. Left out, they don't look like damage to a
/// parser.
fn is_cut_off(bytes: &[u8]) -> bool {
    let bare = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let begins = |word: &str| word.as_bytes().get(..bare.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(bare));
    !bare.is_empty() && (begins("nan") || begins("infinity") || begins("null"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::stopped;
    use super::*;
    use crate::Oddity;

    /// Gives so many bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let most = out.len().min(self.1);
            self.0.read(&mut out[..most])
        }
    }

    const TEXT: &str = concat!(
        r#"{"NaN": [NaN, -Infinity,Infinity, nan,+inf ,-1e-05, null, true], "#,
        r#""a\"NaN": "\\", "b": "x\\\" NaN", "c":Inf}"#
    );
    const QUOTED: &str = concat!(
        r#"{"NaN": ["NaN", "-Infinity","Infinity", "nan","+inf" ,-1e-05, null, true], "#,
        r#""a\"NaN": "\\", "b": "x\\\" NaN", "c":"Inf"}"#
    );

    #[test]
    fn words_outside_of_strings_get_quotes() {
        for at_a_time in 1..20 {
            for room in 1..20 {
                let mut quoted = Quoted::new(Drip(TEXT.as_bytes(), at_a_time));
                let mut all = Vec::new();
                let mut out = vec![0; room];
                loop {
                    let read = quoted.read(&mut out).unwrap();
                    if read == 0 {
                        break;
                    }
                    all.extend_from_slice(&out[..read]);
                }
                assert_eq!(String::from_utf8(all).unwrap(), QUOTED, "{at_a_time} {room}");
            }
        }
        assert_eq!(quoted(TEXT.as_bytes(), &mut Vec::new()), QUOTED.as_bytes());
        serde_json::from_str::<Value>(QUOTED).unwrap();
    }

    #[test]
    fn both_ways_agree_on_any_text_and_any_cut() {
        let text = "[NaN,-Infinity,\"In\\\"f\",-0.5,null,nanx,infinit]";
        for length in 0..=text.len() {
            let mut all = Vec::new();
            Quoted::new(&text.as_bytes()[..length]).read_to_end(&mut all).unwrap();
            let mut scratch = Vec::new();
            assert_eq!(quoted(&text.as_bytes()[..length], &mut scratch), all, "{length}");
            if length < 37 {
                assert!(
                    serde_json::from_slice::<Value>(&all).unwrap_err().is_eof(),
                    "{length} {:?}",
                    String::from_utf8_lossy(&all)
                );
            }
        }
    }

    #[test]
    fn tokens_without_end_take_no_memory_without_end() {
        for byte in [b'x', b'1'] {
            let begin: &[u8] = if byte == b'x' { b"\"" } else { b"1" };
            let input = begin.chain(io::repeat(byte));
            let error = serde_json::from_reader::<_, Value>(io::BufReader::new(Quoted::new(input))).unwrap_err();
            assert!(matches!(stopped(error), Ok(Oddity::Unreadable(_))));
        }
    }
}
