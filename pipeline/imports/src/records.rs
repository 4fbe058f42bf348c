//! A JSON object that says of one place of a training what its numbers are: a line of JSON, or an entry of a list.

use std::collections::HashMap;

use crate::columns::{LONGEST_NAME, Purpose, count, number, whole};
use crate::json::Leaf;
use crate::row::Row;
use crate::{At, Names, Sink, Span};

/// The most keys that are told apart.
const MOST_KEYS: usize = 20_000;

/// Takes the scalars of one object after another.
pub struct Records {
    span: fn(&str) -> Span,
    keys: Vec<Key>,
    known: HashMap<String, usize>,
    /// The key that follows the last one in most objects: those of one log look alike.
    expected: usize,
    /// The index of the split in `row`.
    split: usize,
    numbers: Vec<(usize, f64)>,
    /// The step, and the rank and the key of what counts it.
    step: Option<(u8, usize, Result<i64, f64>)>,
    epoch: Option<f64>,
    batch: Option<Result<i64, f64>>,
    /// What the object says as texts: its split, and the name of its `value`.
    words: Words,
    value: Option<f64>,
    /// Gathers and reports.
    pub row: Row,
}

struct Key {
    name: String,
    purpose: Purpose,
    span: Span,
}

#[derive(Default)]
struct Words {
    split: String,
    series: String,
}

impl Records {
    /// For a log of which `span` tells over what the numbers of a key are taken.
    pub fn new(span: fn(&str) -> Span) -> Self {
        Self {
            span,
            keys: Vec::new(),
            known: HashMap::new(),
            expected: 0,
            split: 0,
            numbers: Vec::new(),
            step: None,
            epoch: None,
            batch: None,
            words: Words::default(),
            value: None,
            row: Row::default(),
        }
    }

    /// Begins an object.
    pub fn begin(&mut self) {
        self.expected = 0;
        self.numbers.clear();
        (self.step, self.epoch, self.batch, self.value) = (None, None, None, None);
        self.words.split.clear();
        self.words.series.clear();
    }

    fn key(&mut self, name: &str) -> Option<usize> {
        let index = match self.keys.get(self.expected) {
            Some(key) if key.name == name => self.expected,
            _ => match self.known.get(name) {
                Some(index) => *index,
                None if self.keys.len() >= MOST_KEYS || name.len() > LONGEST_NAME => return None,
                None => {
                    let key = Key { name: name.to_owned(), purpose: Purpose::of(name), span: (self.span)(name) };
                    self.keys.push(key);
                    self.known.insert(name.to_owned(), self.keys.len() - 1);
                    self.keys.len() - 1
                }
            },
        };
        self.expected = index + 1;
        Some(index)
    }

    /// That the object is of this step, whatever it says itself.
    pub fn count_step(&mut self, step: i64) {
        self.step = Some((0, usize::MAX, Ok(step)));
    }

    /// Takes a scalar of the object, with the keys that lead to it.
    pub fn take(&mut self, path: &str, leaf: Leaf<'_>) {
        let Some(index) = self.key(path) else { return };
        let (value, counted) = match leaf {
            Leaf::Number(value) => (value, whole(value)),
            Leaf::Integer(value) => (value as f64, Ok(value)),
            Leaf::Text(text) => {
                let purpose = self.keys[index].purpose;
                if let Some(split) = purpose.split(text) {
                    self.words.split.clear();
                    self.words.split.push_str(split);
                    return;
                }
                if purpose == Purpose::Series {
                    self.words.series.clear();
                    self.words.series.push_str(text);
                    return;
                }
                // Programs that format numbers before they write JSON leave them as texts.
                let (Some(value), Some(counted)) = (number(text.as_bytes()), count(text.as_bytes())) else { return };
                (value, counted)
            }
            Leaf::Bool(_) | Leaf::Other => return,
        };
        match self.keys[index].purpose {
            Purpose::Step { rank } => match self.step {
                Some((better, _, _)) if better <= rank => self.numbers.push((index, value)),
                other => {
                    if let Some((_, worse, counted)) = other {
                        self.numbers.push((worse, counted.map_or_else(|value| value, |step| step as f64)));
                    }
                    self.step = Some((rank, index, counted));
                }
            },
            Purpose::Epoch if self.epoch.is_none() && value.is_finite() => self.epoch = Some(value),
            Purpose::Batch if self.batch.is_none() => self.batch = Some(counted),
            Purpose::Value => self.value = Some(value),
            _ => self.numbers.push((index, value)),
        }
    }

    /// Whether the object counts steps, epochs or batches.
    pub fn counts(&self) -> bool {
        self.step.is_some() || self.epoch.is_some() || self.batch.is_some()
    }

    /// Whether its steps may begin again in each epoch: it counts both, by names that don't tell.
    pub fn in_doubt(&self) -> bool {
        self.epoch.is_some() && matches!(self.step, Some((1 | 2, ..)))
    }

    /// Whether it has numbers.
    pub fn has_numbers(&self) -> bool {
        !self.numbers.is_empty() || self.value.is_some()
    }

    /// Its numbers, each with its key.
    pub fn numbers(&self) -> impl Iterator<Item = (&str, f64)> {
        self.numbers.iter().map(|&(index, number)| (self.keys[index].name.as_str(), number))
    }

    /// Ends the object and reports it. An object that counts nothing is of step `otherwise`.
    pub fn report(&mut self, place: u64, otherwise: Option<i64>, names: &mut Names, sink: &mut dyn Sink) {
        let mut at = At { step: None, epoch: self.epoch, batch: None };
        match self.step {
            Some((_, _, Ok(step))) => at.step = Some(step),
            Some((_, _, Err(value))) => self.row.odd_count(place, value, sink),
            None => {}
        }
        match self.batch {
            Some(Ok(batch)) => at.batch = Some((batch, None)),
            Some(Err(value)) => self.row.odd_count(place, value, sink),
            None => {}
        }
        if !self.counts() {
            at.step = otherwise;
        }
        self.row.clear();
        let word = Some(self.words.split.as_str()).filter(|word| !word.is_empty());
        self.split = self.row.split(word, self.split);
        if let Some(value) = self.value {
            let series = std::mem::take(&mut self.words.series);
            if let Some(index) = self.key(if series.is_empty() { "value" } else { &series }) {
                self.numbers.push((index, value));
            }
            self.words.series = series;
        }
        for &(index, number) in &self.numbers {
            let key = &self.keys[index];
            self.row.put(names, self.split, index, (&key.name, key.span), number);
        }
        self.row.report(place, at, names, sink);
    }
}
