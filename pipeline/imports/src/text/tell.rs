//! From what lines say to reports: where lines without a counter are, where a second run begins, and what a log that
//! ends within a line leaves open.

use std::collections::HashMap;

use super::pairs::ahead;
use super::said::{Book, Said};
use crate::report::{At, Oddity, Remark, Report, Series, Sink};

/// As many remarks of one sort are made; the others are only counted.
const MOST_REMARKS: u64 = 5;

/// Kinds of lines that are told apart: no program has as many.
const MOST_KINDS: usize = 4096;

/// Lines that wait for the step they speak of.
const MOST_WAITING: usize = 64;

/// How a line is to be understood.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// The same for lines that are printed alike.
    pub(crate) of: u64,
    /// Whether lines that count no epoch are of this line's.
    pub(crate) heading: bool,
    /// Whether it speaks of the step that the next line reports.
    pub(crate) of_next: bool,
}

/// A line of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printed<'l> {
    pub(crate) text: &'l str,
    pub(crate) number: u64,
    /// Whether no newline ends it.
    pub(crate) unfinished: bool,
}

/// Hands on what lines say.
pub(crate) struct Teller<'a> {
    pub(crate) book: Book<'a>,
    pub(crate) said: Said,
    sink: &'a mut dyn Sink,
    /// Where the last line that counted was, and the epoch of the last heading.
    last: At,
    heading: Option<f64>,
    /// Whether steps are counted anew in each epoch.
    anew: bool,
    waiting: Vec<(u64, Vec<(Series, f64)>)>,
    kinds: HashMap<u64, Before>,
    /// Lines with reports, and those that look like reports and weren't understood.
    pub(crate) lines: u64,
    pub(crate) unread: u64,
    restarts: u64,
    odd: u64,
    told_full: bool,
    truncated: bool,
}

/// The line of a kind before.
#[derive(Debug, Clone, Copy)]
struct Before {
    at: At,
    numbers: usize,
    tail: Tail,
}

/// How a line ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Tail {
    /// With so many decimals, or digits of an exponent.
    Decimals(usize),
    Exponent(usize),
    /// With a number that could have more digits.
    Open,
    /// With a word or a unit of so many letters.
    Letters(usize),
    /// With a bracket, a bar, a space.
    Closed(char),
}

impl<'a> Teller<'a> {
    pub(crate) fn new(book: Book<'a>, sink: &'a mut dyn Sink) -> Self {
        Self {
            book,
            said: Said::default(),
            sink,
            last: At::default(),
            heading: None,
            anew: false,
            waiting: Vec::new(),
            kinds: HashMap::new(),
            lines: 0,
            unread: 0,
            restarts: 0,
            odd: 0,
            told_full: false,
            truncated: false,
        }
    }

    /// Where what was said is.
    pub(crate) fn place(&self) -> At {
        let said = &self.said;
        if !said.counts() {
            return self.last;
        }
        let mut at = said.at();
        if let Some(part) = said.fraction {
            at.epoch = Some(self.heading.map_or(part, |epoch| epoch - 1.0 + part));
        }
        at.epoch = at.epoch.or(self.heading);
        if let (true, None, Some(_), Some(step)) = (self.anew, at.batch, at.epoch, at.step) {
            (at.batch, at.step) = (Some((step, said.steps)), None);
        }
        // What is said of an epoch is said at its last step, if the log counts both.
        let same = self.last.epoch.is_none() || self.last.epoch == at.epoch;
        if at.step.is_none() && at.batch.is_none() && said.fraction.is_none() && same {
            at.step = self.last.step;
        }
        at
    }

    /// Whether what was said is no further back than the line before it.
    pub(crate) fn goes_on(&self) -> bool {
        !ahead(&self.place(), &self.last)
    }

    /// Forgets where lines were that were only looked at. `anew` if steps are counted anew in each epoch.
    pub(crate) fn begin(&mut self, anew: bool) {
        (self.last, self.heading, self.anew) = (At::default(), None, anew);
    }

    /// Remembers where a line was, for those without counters behind it.
    pub(crate) fn pass(&mut self, heading: bool, at: At) {
        if self.said.counts() {
            self.last = at;
            self.heading = if heading { at.epoch } else { self.heading };
        }
    }

    /// Hands on what was said in a line of a kind.
    pub(crate) fn tell(&mut self, kind: Kind, line: Printed<'_>) {
        if let Some(odd) = self.said.odd.take() {
            self.odd += 1;
            if self.odd <= MOST_REMARKS {
                self.remark(line.number, odd);
            }
            if self.said.numbers.is_empty() {
                self.unread += 1;
                self.pass(kind.heading, self.place());
                return;
            }
        }
        if self.book.full() && !std::mem::replace(&mut self.told_full, true) {
            self.remark(line.number, "has too many names of numbers; those that come later are left out".to_owned());
        }
        let at = self.place();
        let now = Before { at, numbers: self.said.numbers.len(), tail: Tail::of(line.text) };
        let before = self.kinds.get(&kind.of).copied();
        if before.is_some() || self.kinds.len() < MOST_KINDS {
            self.kinds.insert(kind.of, now);
        }
        if line.unfinished && !before.is_some_and(|before| now.is_as_complete_as(&before)) {
            self.truncated = !self.said.numbers.is_empty();
            return;
        }
        if let Some(before) = before.filter(|before| self.said.counts() && goes_back(&before.at, &at)) {
            self.restarts += 1;
            if self.restarts <= MOST_REMARKS {
                let what = format!(
                    "goes back from {} to {}: another run begins here, or the same one again",
                    word(&before.at),
                    word(&at)
                );
                self.remark(line.number, what);
            }
            // The other kinds of lines go back, too, and that is no news.
            self.kinds.values_mut().for_each(|kind| kind.at = At::default());
            self.kinds.insert(kind.of, now);
        }
        if self.said.counts() {
            self.release(at);
        }
        self.pass(kind.heading, at);
        if self.said.numbers.is_empty() {
            return;
        }
        self.lines += 1;
        if kind.of_next && self.waiting.len() < MOST_WAITING {
            self.waiting.push((line.number, self.said.numbers.clone()));
        } else {
            report(&mut self.book, self.sink, line.number, at, &self.said.numbers);
        }
    }

    /// Hands on what waited for this step.
    fn release(&mut self, at: At) {
        for (place, numbers) in self.waiting.drain(..) {
            report(&mut self.book, self.sink, place, at, &numbers);
        }
    }

    /// A line that looks like a report, and is none that is known.
    pub(crate) fn unread(&mut self, line: Printed<'_>) {
        if line.unfinished {
            self.truncated = true;
            return;
        }
        self.unread += 1;
        if self.unread <= MOST_REMARKS {
            let shown: String = line.text.trim().chars().take(80).collect();
            self.remark(line.number, format!("looks like a report, but was not understood: {shown}"));
        }
    }

    fn remark(&mut self, place: u64, what: String) {
        self.sink.remark(Remark { place, byte: None, what: Oddity::Unreadable(what) });
    }

    /// Whatever still waits, and that the log is cut off.
    pub(crate) fn finish(&mut self, last: u64) {
        self.release(At::default());
        if self.truncated {
            self.sink.remark(Remark { place: last, byte: None, what: Oddity::Truncated });
        }
    }
}

fn report(book: &mut Book<'_>, sink: &mut dyn Sink, place: u64, at: At, numbers: &[(Series, f64)]) {
    sink.report(book.names, &Report { place, at, numbers, voids_later: false });
}

impl Before {
    /// Whether a line without a newline can't go on: it has all numbers of the line before, and the last of them has as
    /// many digits behind the point.
    fn is_as_complete_as(&self, before: &Self) -> bool {
        self.numbers == before.numbers && self.tail == before.tail && self.tail != Tail::Open
    }
}

impl Tail {
    fn of(line: &str) -> Self {
        let Some(last) = line.chars().next_back() else { return Self::Open };
        if !last.is_alphanumeric() {
            return if matches!(last, '.' | ',' | '-' | '+') { Self::Open } else { Self::Closed(last) };
        }
        if !last.is_ascii_digit() {
            return Self::Letters(line.chars().rev().take_while(|c| c.is_alphabetic()).count());
        }
        let before = line.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = line.len().saturating_sub(before.len());
        if before.ends_with('.') {
            return Self::Decimals(digits);
        }
        let exponent = before.trim_end_matches(['-', '+']);
        if exponent.ends_with(['e', 'E']) { Self::Exponent(digits) } else { Self::Open }
    }
}

/// Whether a program counts from further back than before: not where the next epoch counts its batches anew.
fn goes_back(before: &At, now: &At) -> bool {
    let next_epoch = matches!((before.epoch, now.epoch), (Some(before), Some(now)) if now > before);
    let alone = now.step.is_none() && now.epoch.is_none();
    ahead(now, before) && !next_epoch && !alone
}

/// A place in words.
fn word(at: &At) -> String {
    match (at.step, at.epoch, at.batch) {
        (Some(step), ..) => format!("step {step}"),
        (None, Some(epoch), Some((batch, _))) => format!("epoch {epoch}, batch {batch}"),
        (None, Some(epoch), None) => format!("epoch {epoch}"),
        (None, None, Some((batch, _))) => format!("batch {batch}"),
        (None, None, None) => "nowhere".to_owned(),
    }
}
