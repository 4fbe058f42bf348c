//! What one line says, and the series that its numbers belong to.

use std::collections::HashMap;

use super::scan;
use crate::report::{At, Names, Series, Span};

/// The most series of one log. One that has more is no log of a training, but one whose names are numbers or texts.
const MOST_SERIES: usize = 4096;

/// The names of a log's series, each looked up without being built anew.
pub(crate) struct Book<'n> {
    pub(crate) names: &'n mut Names,
    known: HashMap<String, Series>,
    key: String,
}

impl<'n> Book<'n> {
    pub(crate) fn new(names: &'n mut Names) -> Self {
        Self { names, known: HashMap::new(), key: String::new() }
    }

    /// The series of a name; `None` where a log has too many of them.
    fn series(&mut self, name: &str, split: Option<&str>, span: Span) -> Option<Series> {
        self.key.clear();
        self.key.push_str(name);
        self.key.push('\0');
        self.key.push_str(split.unwrap_or(""));
        self.key.push(match span {
            Span::Step => '0',
            Span::SinceLast => '1',
            Span::Epoch => '2',
            Span::Steps(_) => '3',
            Span::Unknown => '4',
        });
        if let Some(series) = self.known.get(&self.key) {
            return Some(*series);
        }
        if self.known.len() >= MOST_SERIES {
            return None;
        }
        let series = self.names.series(name, split, span);
        self.known.insert(self.key.clone(), series);
        Some(series)
    }

    /// Whether numbers were left out since there are too many names.
    pub(crate) fn full(&self) -> bool {
        self.known.len() >= MOST_SERIES
    }
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Axis {
    Step,
    /// How many steps there are, of the training or of the epoch.
    Steps,
    Epoch,
    Batch,
    Batches,
    /// The part of the epoch that has passed.
    Fraction,
}

/// What one line says; used again for the next, so that a line allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) step: Option<i64>,
    pub(crate) steps: Option<i64>,
    pub(crate) epoch: Option<f64>,
    pub(crate) batch: Option<i64>,
    batches: Option<i64>,
    pub(crate) fraction: Option<f64>,
    pub(crate) numbers: Vec<(Series, f64)>,
    /// What should be a number and is none, such as a step of 1.5.
    pub(crate) odd: Option<String>,
}

impl Said {
    pub(crate) fn clear(&mut self) {
        let mut numbers = std::mem::take(&mut self.numbers);
        numbers.clear();
        *self = Self { numbers, ..Self::default() };
    }

    /// Takes a counter's text.
    pub(crate) fn count(&mut self, axis: Axis, text: &str) {
        let understood = match axis {
            Axis::Step => set(&mut self.step, scan::whole(text)),
            Axis::Steps => set(&mut self.steps, scan::whole(text)),
            Axis::Batch => set(&mut self.batch, scan::whole(text)),
            Axis::Batches => set(&mut self.batches, scan::whole(text)),
            Axis::Epoch => set(&mut self.epoch, scan::number(text).filter(|epoch| epoch.is_finite())),
            Axis::Fraction => set(&mut self.fraction, scan::number(text).filter(|part| part.is_finite())),
        };
        if !understood {
            self.odd = Some(format!("{text:?} is no {} that can be counted", axis.word()));
        }
    }

    /// Takes a number's text under its name.
    pub(crate) fn number(&mut self, book: &mut Book<'_>, name: &str, split: Option<&str>, span: Span, text: &str) {
        match scan::number(text) {
            Some(number) => self.value(book, name, split, span, number),
            None => self.odd = Some(format!("{text:?} is no number for {name:?}")),
        }
    }

    /// Takes a number under its name.
    pub(crate) fn value(&mut self, book: &mut Book<'_>, name: &str, split: Option<&str>, span: Span, number: f64) {
        if let Some(series) = book.series(name, split, span) {
            self.numbers.push((series, number));
        }
    }

    /// Whether the line counts anything itself.
    pub(crate) fn counts(&self) -> bool {
        self.step.is_some() || self.epoch.is_some() || self.batch.is_some() || self.fraction.is_some()
    }

    /// Where the line says it is.
    pub(crate) fn at(&self) -> At {
        At { step: self.step, epoch: self.epoch, batch: self.batch.map(|batch| (batch, self.batches)) }
    }
}

impl Axis {
    fn word(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Steps => "number of steps",
            Self::Epoch | Self::Fraction => "epoch",
            Self::Batch => "batch",
            Self::Batches => "number of batches",
        }
    }
}

fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let understood = value.is_some();
    *place = value;
    understood
}
