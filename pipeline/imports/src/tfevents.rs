//! TensorBoard's event files: scalars, and the texts and hyperparameters that stand beside them.
//!
//! One file is read here; which files of a folder make up a run is decided elsewhere. Histograms, images and graphs are
//! passed over. Formats: `tensorboard/compat/proto/event.proto` and `summary.proto`.
//!
//! A job that was killed continues from its last checkpoint and reports some steps again. TensorBoard's default reader
//! (`data/server/reservoir.rs`) lets a report of a tag at step s void those of this tag at s and later, whatever else
//! the file says. Its older reader (`event_accumulator.py`) voids only at the mark of a session's start, and then in
//! all tags; PyTorch writes that mark for `purge_step`. Both rules are applied. A second report of the same step is no
//! new beginning, though: Lightning reports `epoch` with the training's numbers and again with the validation's. It
//! just comes later.

mod records;
#[cfg(test)]
mod tests;
mod values;

use std::collections::HashMap;
use std::io::Read;

use self::records::{Next, Records};
use self::values::{What, value};
use crate::protobuf::{Fields, Malformed, Value};
use crate::wandb::told::{Met, Place};
use crate::{At, Names, Oddity, ReadError, Report, Series, Sink, Span};

/// Values of tags beyond these are passed over: no training has as many, and a program gone wrong must not fill all
/// memory.
const MOST_TAGS: usize = 100_000;
/// The longest tag in bytes.
const LONGEST_TAG: usize = 1024;
/// `SessionLog.START`.
const START: u64 = 1;

/// Whether a file that begins with these bytes, at least 13 of them, is an event file.
pub fn is_it(head: &[u8]) -> bool {
    // Data sets are stored in the same framing. An event begins with its time: field 1, a double.
    records::length(head).is_some_and(|length| length >= 9) && head.get(12) == Some(&0x09)
}

/// Reads an event file. A report's place is the number of its record, from 0.
///
/// The mark of a session's start is handed on as a report without numbers that voids the later ones of every series.
///
/// # Errors
/// If the input refuses, or holds no event.
pub fn read(input: &mut dyn Read, names: &mut Names, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut records = Records::new(input);
    let mut events = Events::default();
    let mut number = 0;
    let (end, place) = loop {
        let place = Place { number, byte: records.byte() };
        let no_events = |why: &str| Err(ReadError::Format(format!("not an event file of TensorBoard: {why}")));
        match records.next()? {
            Next::Record(event) if number == 0 && !begins_with_time(event) => {
                return no_events("its first record is of another kind");
            }
            Next::End if number == 0 => return no_events("it is empty"),
            Next::TruncatedHeader if number == 0 => return no_events("it is too short"),
            Next::WrongLength if number == 0 => return no_events("it doesn't begin with a record"),
            Next::Record(event) => events.read(place, event, names, sink),
            Next::TooLong => events.too_long.count(place),
            Next::End => break (None, place),
            Next::TruncatedHeader | Next::Truncated => break (Some(Oddity::Truncated), place),
            Next::WrongLength | Next::WrongBytes => break (Some(Oddity::Checksum), place),
        }
        number += 1;
    };
    events.finish(names, sink);
    if let Some(what) = end {
        sink.remark(place.remark(what));
    }
    Ok(())
}

fn begins_with_time(event: &[u8]) -> bool {
    matches!(Fields::of(event).next(), Some(Ok((1, Value::Fixed64(_)))))
}

/// What is known of a tag.
#[derive(Debug, Default)]
struct Tag {
    /// Once it has had a number.
    series: Option<Series>,
    numbers: u64,
    /// The step of its last number. Those before it were at lower steps, or are void.
    last: i64,
    /// The record of its last number, and where among that record's numbers it is.
    place: Option<Place>,
    slot: usize,
    /// Whether it has had a number at a step other than 0.
    moves: bool,
    /// Whether its text was handed on.
    told: bool,
}

/// What was read so far.
#[derive(Debug, Default)]
struct Events {
    known: HashMap<Box<[u8]>, usize>,
    tags: Vec<Tag>,
    /// The numbers of one event: by tag as they are read, then by series.
    read: Vec<(usize, f64)>,
    numbers: Vec<(Series, f64)>,
    no_numbers: Met,
    undecoded: Met,
    too_long: Met,
    too_many: Met,
    /// The record of the last mark of a session's start.
    start: Option<u64>,
}

impl Events {
    fn read(&mut self, place: Place, event: &[u8], names: &mut Names, sink: &mut dyn Sink) {
        self.read.clear();
        match self.event(place, event, names, sink) {
            Ok(step) if !self.read.is_empty() => self.report(place, step, names, sink),
            Ok(_) => {}
            Err(Malformed) => self.undecoded.count(place),
        }
    }

    /// Reads one event and returns its step.
    fn event(&mut self, place: Place, event: &[u8], names: &mut Names, sink: &mut dyn Sink) -> Result<i64, Malformed> {
        let (mut step, mut starts, mut summary) = (0, false, &event[..0]);
        for field in Fields::of(event) {
            match field? {
                (2, Value::Varint(number)) => step = number.cast_signed(),
                (5, Value::Bytes(bytes)) => summary = bytes,
                (7, Value::Bytes(log)) => {
                    starts = Fields::of(log).any(|field| field == Ok((1, Value::Varint(START))));
                }
                _ => {}
            }
        }
        if starts {
            self.start = Some(place.number);
            let at = At { step: Some(step), ..At::default() };
            sink.report(names, &Report { place: place.number, at, numbers: &[], voids_later: true });
        }
        for field in Fields::of(summary) {
            let (1, Value::Bytes(value)) = field? else { continue };
            self.value(place, value, names, sink)?;
        }
        Ok(step)
    }

    fn value(&mut self, place: Place, bytes: &[u8], names: &mut Names, sink: &mut dyn Sink) -> Result<(), Malformed> {
        let value = value(bytes)?;
        if value.plugin == b"hparams" {
            return values::hyperparameters(value.content, sink);
        }
        if matches!(value.what, What::Nothing) {
            return Ok(());
        }
        let Some(index) = self.tag(value.tag) else {
            self.too_many.count(place);
            return Ok(());
        };
        let tag = &mut self.tags[index];
        match value.what {
            What::Number(number) => {
                tag.series
                    .get_or_insert_with(|| names.series(&String::from_utf8_lossy(value.tag), None, Span::Unknown));
                self.read.push((index, number));
            }
            // The first text of a tag is what a run was started with. Later ones are samples and the like.
            What::Texts(tensor) if value.plugin == b"text" || tag.told => {
                if !std::mem::replace(&mut tag.told, true) {
                    values::text(value.tag, tensor, sink)?;
                }
            }
            _ => self.no_numbers.count(place),
        }
        Ok(())
    }

    /// The index of a tag, which may be new; none where it is one too many.
    fn tag(&mut self, tag: &[u8]) -> Option<usize> {
        if let Some(index) = self.known.get(tag) {
            return Some(*index);
        }
        if self.tags.len() >= MOST_TAGS || tag.len() > LONGEST_TAG {
            return None;
        }
        let index = self.tags.len();
        self.known.insert(tag.into(), index);
        self.tags.push(Tag::default());
        Some(index)
    }

    /// Hands on the numbers of an event.
    fn report(&mut self, place: Place, step: i64, names: &Names, sink: &mut dyn Sink) {
        self.numbers.clear();
        let mut voids_later = false;
        for &(index, number) in &self.read {
            let tag = &mut self.tags[index];
            let Some(series) = tag.series else { continue };
            // Twice in one event: the later one counts.
            if tag.place.is_some_and(|last| last.number == place.number) {
                self.numbers[tag.slot].1 = number;
            } else {
                let begins_again = tag.place.is_some_and(|last| self.start.is_some_and(|start| last.number < start));
                voids_later |= tag.numbers > 0 && (step < tag.last || begins_again && step == tag.last);
                tag.slot = self.numbers.len();
                self.numbers.push((series, number));
            }
            (tag.numbers, tag.last, tag.place) = (tag.numbers + 1, step, Some(place));
            tag.moves |= step != 0;
        }
        let at = At { step: Some(step), ..At::default() };
        sink.report(names, &Report { place: place.number, at, numbers: &self.numbers, voids_later });
    }

    /// Tells what was passed over.
    fn finish(&self, names: &Names, sink: &mut dyn Sink) {
        self.no_numbers.tell("skipped values that are not single numbers, such as histograms and images", sink);
        self.undecoded.tell("skipped records that can't be decoded", sink);
        self.too_long.tell("skipped records longer than 64 MiB", sink);
        self.too_many.tell("skipped values whose tag is too long, or one too many", sink);
        for tag in self.tags.iter().filter(|tag| tag.numbers > 1 && !tag.moves) {
            let (Some(series), Some(place)) = (tag.series, tag.place) else { continue };
            let (name, times) = (&names.name(series).name, tag.numbers);
            let what = format!("`{name}` is reported {times} times, always at step 0: its program logs without steps");
            sink.remark(place.remark(Oddity::Unreadable(what)));
            break;
        }
    }
}
