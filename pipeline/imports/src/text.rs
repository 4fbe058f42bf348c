//! Logs that are text: what programs print while they train.
//!
//! Each line is read by patterns. Those of known programs are in `dialects`; which program it was, `detect` decides
//! from the lines themselves. A program that isn't known is read by `pairs` of names and numbers, and what neither
//! understands by patterns of the user's. What a number is to a training is decided elsewhere, from its name.

mod detect;
mod dialects;
mod pairs;
mod pattern;
mod said;
mod scan;
mod tell;
#[cfg(test)]
mod tests;

use std::io::BufRead;

use regex::bytes::{CaptureLocations, RegexSet};

pub use self::pattern::{Pattern, PatternError, Patterns};

use self::dialects::Line;
use self::said::{Book, Said};
use self::tell::{Kind, Printed, Teller};
use crate::lines::Lines;
use crate::report::{Names, ReadError, Sink};

/// What a log turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// A short name of the program that wrote it.
    pub program: &'static str,
    /// Lines with reports.
    pub lines: u64,
    /// Lines that look like reports and were not understood. The first are among the remarks.
    pub unread: u64,
}

/// The "program" of a log that was read by names and numbers alone.
pub const PAIRS: &str = "names and numbers";

/// The "program" of a log that was read by patterns of the user's.
pub const PATTERN: &str = "a pattern";

/// Reads a log, by the user's patterns or by those that are known.
///
/// # Errors
/// When the system refuses, or no line is a report.
pub fn read(
    input: &mut dyn BufRead,
    patterns: Option<&Patterns>,
    names: &mut Names,
    sink: &mut dyn Sink,
) -> Result<Found, ReadError> {
    let mut source = Source { lines: Lines::new(input), text: String::new(), number: 0 };
    let mut teller = Teller::new(Book::new(names), sink);
    let program = match patterns {
        Some(patterns) => by_pattern(&mut source, patterns, &mut teller)?,
        None => detect::by_content(&mut source, &mut teller)?,
    };
    teller.finish(source.number);
    if teller.lines == 0 {
        return Err(ReadError::Format(match patterns {
            Some(_) => "no line matches the pattern and has a number in its groups".into(),
            None => "no line is a report of a kind that is known; --pattern tells what they look like".into(),
        }));
    }
    Ok(Found { program, lines: teller.lines, unread: teller.unread })
}

/// A log's lines.
struct Source<'a> {
    lines: Lines<&'a mut dyn BufRead>,
    text: String,
    number: u64,
}

impl Source<'_> {
    fn next(&mut self) -> std::io::Result<Option<Printed<'_>>> {
        self.text.clear();
        let Some(text) = self.lines.read()? else { return Ok(None) };
        self.text.push_str(text);
        self.number = self.lines.number();
        Ok(Some(Printed { text: &self.text, number: self.number, unfinished: self.lines.unfinished() }))
    }
}

/// Patterns that are asked in their order.
struct Asked<'p> {
    /// Whether any matches, for those that were made for it.
    set: Option<&'p RegexSet>,
    patterns: Vec<(&'p Pattern, CaptureLocations)>,
}

impl<'p> Asked<'p> {
    fn new(patterns: &'p [Pattern], set: Option<&'p RegexSet>) -> Self {
        Self { set, patterns: patterns.iter().map(|pattern| (pattern, pattern.locations())).collect() }
    }

    /// Reads a line by the first pattern that matches. Its place among them, if there is one.
    fn read(&mut self, line: &str, book: &mut Book<'_>, said: &mut Said) -> Option<(usize, Line)> {
        if self.set.is_some_and(|set| !set.is_match(line.as_bytes())) {
            return None;
        }
        let mut patterns = self.patterns.iter_mut().enumerate();
        patterns.find_map(|(place, (pattern, at))| pattern.read(line, at, book, said).then_some((place, pattern.line)))
    }
}

/// Reads a line by patterns, and hands on what it says. `false` if none of them matches.
fn by(asked: &mut Asked<'_>, teller: &mut Teller<'_>, line: Printed<'_>) -> bool {
    let Some((place, of)) = asked.read(line.text, &mut teller.book, &mut teller.said) else { return false };
    if !of.skipped {
        teller.tell(Kind { of: place as u64, heading: of.heading, of_next: of.of_next }, line);
    }
    true
}

/// Reads all lines by the user's patterns.
fn by_pattern(
    source: &mut Source<'_>,
    patterns: &Patterns,
    teller: &mut Teller<'_>,
) -> Result<&'static str, ReadError> {
    let mut asked = Asked::new(&patterns.all, None);
    while let Some(line) = source.next()? {
        by(&mut asked, teller, line);
    }
    Ok(PATTERN)
}
