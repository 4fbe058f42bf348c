//! The files of Weights & Biases: `wandb/run-*/run-ID.wandb`, written beside a training whether or not it is online.
//!
//! The rows of a run's history, its configuration, its name and how it ended. What the program printed, the machine's
//! load and the files that it saved are passed over. Format: `wandb/proto/wandb_internal.proto`.

mod chunks;
mod items;
pub(crate) mod settings;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod told;

use std::collections::HashMap;
use std::io::Read;

use serde_json::Value as Json;

use self::chunks::{Next, Records};
use self::items::{item, number, whole};
use self::told::{Met, Place};
use crate::protobuf::{Fields, Malformed, Value};
use crate::{At, Names, Oddity, ReadError, Report, Series, Sink, Span, json};

/// A name, a number made of `Weights & Biases`, and the version of the format.
const HEADER: &[u8] = b":W&B\xe1\xbe\0";
/// Values of keys beyond these are passed over: no training has as many, and a program gone wrong must not fill all
/// memory.
const MOST_KEYS: usize = 100_000;
/// The longest key in bytes.
const LONGEST_KEY: usize = 1024;
/// The longest JSON that is parsed: parsed, it takes many times the memory.
const LONGEST_JSON: usize = 1 << 20;

/// Whether a file that begins with these bytes, at least the first six, is one of W&B's.
pub fn is_it(head: &[u8]) -> bool {
    head.starts_with(&HEADER[..6])
}

/// Reads a file of W&B. A report's place is the number of its record, from 0.
///
/// The step is `_step`, which counts calls of `wandb.log`, unless the program has named another axis for all its series
/// with `define_metric("*", step_metric=…)`: then it is that one.
///
/// # Errors
/// If the input refuses, or isn't such a file.
pub fn read(input: &mut dyn Read, names: &mut Names, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let (mut records, header) = Records::new(input)?;
    if !is_it(&header) {
        return Err(ReadError::Format("not a file of W&B: it doesn't begin with `:W&B`".to_owned()));
    }
    if header[..] != *HEADER {
        return Err(ReadError::Format("a file of W&B in a version of its format that is not known".to_owned()));
    }
    let mut run = Run::default();
    let mut number = 0;
    let (end, place) = loop {
        let place = Place { number, byte: records.byte() };
        match records.next()? {
            Next::Record(record) => run.record(place, record, names, sink),
            Next::Skipped => run.undecoded.count(place),
            Next::End => break (None, place),
            Next::Truncated => break (Some(Oddity::Truncated), place),
            Next::Wrong => break (Some(Oddity::Checksum), place),
            Next::Impossible => {
                let what = "is no record, and nothing after it was read".to_owned();
                break (Some(Oddity::Unreadable(what)), place);
            }
        }
        number += 1;
    };
    run.finish(sink);
    if let Some(what) = end {
        sink.remark(place.remark(what));
    }
    Ok(())
}

/// What was read so far.
#[derive(Debug, Default)]
struct Run {
    series: HashMap<Box<[u8]>, Series>,
    /// The name by which the sink knows the run.
    name: Vec<u8>,
    /// The key that the program has named as the axis of all series, and its last value.
    axis: Option<(Vec<u8>, Option<i64>)>,
    /// The numbers of one row.
    numbers: Vec<(Series, f64)>,
    /// One item's key.
    key: Vec<u8>,
    no_numbers: Met,
    no_steps: Met,
    undecoded: Met,
    too_many: Met,
    too_long: Met,
}

/// What a row of the history says of its place on the axis.
#[derive(Debug, Default)]
struct Row {
    at: At,
    /// The value of the axis that the program has named.
    axis: Option<i64>,
    /// Whether it has a step that is no whole number.
    odd: bool,
}

impl Run {
    fn record(&mut self, place: Place, record: &[u8], names: &mut Names, sink: &mut dyn Sink) {
        for field in Fields::of(record) {
            let done = match field {
                Ok((2, Value::Bytes(history))) => self.history(place, history, names, sink),
                Ok((5, Value::Bytes(config))) => self.config(place, config, sink),
                Ok((12, Value::Bytes(metric))) => self.metric(metric),
                Ok((17, Value::Bytes(run))) => self.run(place, run, sink),
                Ok((18, Value::Bytes(exit))) => ended(place, exit, sink),
                Ok(_) => Ok(()),
                Err(Malformed) => Err(Malformed),
            };
            if done.is_err() {
                self.undecoded.count(place);
                return;
            }
        }
    }

    /// A row: what one call of `wandb.log` was given, or several for the same step.
    fn history(
        &mut self,
        place: Place,
        history: &[u8],
        names: &mut Names,
        sink: &mut dyn Sink,
    ) -> Result<(), Malformed> {
        self.numbers.clear();
        let mut row = Row::default();
        for field in Fields::of(history) {
            match field? {
                (1, Value::Bytes(item)) => self.item(place, item, &mut row, names)?,
                (2, Value::Bytes(step)) => {
                    // A step of 0 isn't written.
                    let mut number = 0;
                    for field in Fields::of(step) {
                        if let (1, Value::Varint(bits)) = field? {
                            number = bits.cast_signed();
                        }
                    }
                    row.at.step.get_or_insert(number);
                }
                _ => {}
            }
        }
        if let Some((_, last)) = &mut self.axis {
            // Rows without the axis have its last value, as W&B's own pages show them.
            *last = row.axis.or(*last);
            row.at.step = last.or(row.at.step);
        }
        if row.odd {
            self.no_steps.count(place);
        }
        if !self.numbers.is_empty() {
            let report = Report { place: place.number, at: row.at, numbers: &self.numbers, voids_later: false };
            sink.report(names, &report);
        }
        Ok(())
    }

    fn item(&mut self, place: Place, bytes: &[u8], row: &mut Row, names: &mut Names) -> Result<(), Malformed> {
        let mut key = std::mem::take(&mut self.key);
        let value = item(bytes, b'.', &mut key);
        match value {
            Ok(value) if key == b"_step" => {
                let step = whole(value);
                row.odd |= step.is_none();
                row.at.step = step;
            }
            Ok(value) => self.value(place, &key, value, row, names),
            Err(Malformed) => {}
        }
        self.key = key;
        value.map(|_| ())
    }

    fn value(&mut self, place: Place, key: &[u8], json: &[u8], row: &mut Row, names: &mut Names) {
        if let Some(number) = number(json) {
            if self.axis.as_ref().is_some_and(|(axis, _)| axis == key) {
                row.axis = whole(json);
                row.odd |= row.axis.is_none();
            }
            if matches!(key, b"epoch" | b"train/epoch") && number.is_finite() {
                row.at.epoch = Some(number);
            }
            return self.number(place, key, number, names);
        }
        if json.len() > LONGEST_JSON {
            return self.too_long.count(place);
        }
        let table = std::str::from_utf8(json).ok().filter(|text| text.starts_with('{')).and_then(settings::read);
        match table {
            Some(table) => self.table(place, key, &table, names),
            None => self.no_numbers.count(place),
        }
    }

    /// The numbers within a table that was logged under one key: `{"loss": {"train": 2.5}}` is `loss.train`.
    fn table(&mut self, place: Place, key: &[u8], value: &Json, names: &mut Names) {
        match value {
            _ if key.len() > LONGEST_KEY => self.too_many.count(place),
            // A picture, a histogram, a table of samples.
            Json::Object(table) if table.contains_key("_type") => self.no_numbers.count(place),
            Json::Object(table) => {
                for (name, value) in table {
                    self.table(place, &[key, b".", name.as_bytes()].concat(), value, names);
                }
            }
            value => match json::number(value) {
                Some(number) => self.number(place, key, number, names),
                None => self.no_numbers.count(place),
            },
        }
    }

    fn number(&mut self, place: Place, key: &[u8], number: f64, names: &mut Names) {
        let series = match self.series.get(key) {
            Some(series) => *series,
            None if self.series.len() >= MOST_KEYS || key.len() > LONGEST_KEY => return self.too_many.count(place),
            None => {
                let series = names.series(&String::from_utf8_lossy(key), None, Span::Unknown);
                self.series.insert(key.into(), series);
                series
            }
        };
        self.numbers.push((series, number));
    }

    fn config(&mut self, place: Place, config: &[u8], sink: &mut dyn Sink) -> Result<(), Malformed> {
        for field in Fields::of(config) {
            let (1, Value::Bytes(bytes)) = field? else { continue };
            let value = item(bytes, b'/', &mut self.key)?;
            // W&B's own notes about versions and the like.
            if self.key == b"_wandb" || self.key.starts_with(b"_wandb/") {
                continue;
            }
            if value.len() > LONGEST_JSON || self.key.len() > LONGEST_KEY {
                self.too_long.count(place);
                continue;
            }
            let text = String::from_utf8_lossy(value);
            let value = settings::read(&text).unwrap_or_else(|| Json::String(text.into_owned()));
            settings::hand_on(&String::from_utf8_lossy(&self.key), value, sink);
        }
        Ok(())
    }

    fn run(&mut self, place: Place, run: &[u8], sink: &mut dyn Sink) -> Result<(), Malformed> {
        let (mut id, mut name) = (&run[..0], &run[..0]);
        for field in Fields::of(run) {
            match field? {
                (1, Value::Bytes(bytes)) => id = bytes,
                (4, Value::Bytes(config)) => self.config(place, config, sink)?,
                (8, Value::Bytes(bytes)) => name = bytes,
                _ => {}
            }
        }
        // A run that was never online has no name of its own.
        let name = if name.is_empty() { id } else { name };
        if !name.is_empty() && name != self.name {
            name.clone_into(&mut self.name);
            sink.run_name(&String::from_utf8_lossy(name));
        }
        Ok(())
    }

    /// What `define_metric` said: only an axis for all series matters here.
    fn metric(&mut self, metric: &[u8]) -> Result<(), Malformed> {
        let (mut pattern, mut axis) = (&metric[..0], &metric[..0]);
        for field in Fields::of(metric) {
            match field? {
                (2, Value::Bytes(bytes)) => pattern = bytes,
                (4, Value::Bytes(bytes)) => axis = bytes,
                _ => {}
            }
        }
        let known = self.axis.as_ref().is_some_and(|(known, _)| known == axis);
        if pattern == b"*" && !axis.is_empty() && axis != b"_step" && !known {
            self.axis = Some((axis.to_owned(), None));
        }
        Ok(())
    }

    /// Tells what was passed over.
    fn finish(&self, sink: &mut dyn Sink) {
        self.no_numbers.tell("skipped values that are not single numbers, such as texts and images", sink);
        self.no_steps.tell("rows whose step is not a whole number", sink);
        self.undecoded.tell("skipped records that can't be decoded", sink);
        self.too_many.tell("skipped values whose key is too long, or one too many", sink);
        self.too_long.tell("skipped values that are too long", sink);
    }
}

/// How the program ended: told if it failed.
fn ended(place: Place, exit: &[u8], sink: &mut dyn Sink) -> Result<(), Malformed> {
    for field in Fields::of(exit) {
        if let (1, Value::Varint(bits)) = field?
            && bits != 0
        {
            let what = format!("the program ended with exit code {}", bits.cast_signed());
            sink.remark(place.remark(Oddity::Unreadable(what)));
        }
    }
    Ok(())
}
