//! Lines of JSON, each an object with a step or an epoch and some numbers: what many training loops append to a file,
//! and what MMEngine, LLaMA-Factory and others write.
//!
//! Objects within the object are flattened: `{"train": {"loss": 2}}` is the series `train/loss`. A file whose lines
//! count nothing is counted by its lines. What precedes the first line that counts is the run's settings.

use std::io::{BufReader, Read};

use serde::de::DeserializeSeed;
use serde_json::Value;

use crate::cells::{End, read_line};
use crate::columns::span;
use crate::json::{Leaves, quoted};
use crate::records::Records;
use crate::row::{Row, unreadable};
use crate::{Names, Oddity, ReadError, Remark, Sink};

/// The most lines that wait for one that counts, and the longest of them.
const MOST_WAITING: usize = 8;
const LONGEST_WAITING: usize = 1 << 20;

/// Reads lines of JSON. Places are lines, from 1.
///
/// # Errors
/// What the input refuses, or that no line is an object of JSON.
pub fn read(input: &mut dyn Read, names: &mut Names, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut log = Log {
        names,
        sink,
        records: Records::new(span),
        before: Before::Unknown(Vec::new()),
        objects: 0,
        path: String::new(),
        scratch: Vec::new(),
    };
    let mut input = BufReader::with_capacity(64 * 1024, input);
    let mut line = Vec::new();
    let mut place = 0;
    // Lines that are no objects: how many, and the first.
    let mut others = (0_u64, 0_u64);
    loop {
        line.clear();
        let Some(end) = read_line(&mut input, &mut line)? else { break };
        place += 1;
        let text = trimmed(&line);
        if text.is_empty() {
            continue;
        }
        match log.parse(text) {
            Ok(()) => log.object(place, text),
            Err(_) if end == End::Input && text.first() == Some(&b'{') => {
                log.sink.remark(Remark { place, byte: None, what: Oddity::Truncated });
            }
            Err(_) => others = (others.0 + 1, if others.0 == 0 { place } else { others.1 }),
        }
    }
    log.finish();
    if log.objects == 0 {
        return Err(ReadError::Format("no line of it is an object of JSON".into()));
    }
    match others {
        (0, _) => {}
        (1, first) => unreadable(log.sink, first, "this line is no object of JSON".into()),
        (count, first) => {
            unreadable(log.sink, first, format!("{count} lines, of which this is the first, are no objects of JSON"))
        }
    }
    Ok(())
}

/// Without blanks, a byte order mark, and the NULs that a file system leaves where a machine went down.
fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let nuls = line.iter().take_while(|byte| **byte == 0).count();
    line[nuls..].trim_ascii()
}

struct Log<'a> {
    names: &'a mut Names,
    sink: &'a mut dyn Sink,
    records: Records,
    before: Before,
    objects: u64,
    path: String,
    scratch: Vec<u8>,
}

/// What has come before of a log.
enum Before {
    /// Nothing that counts. Its lines wait, each with its place.
    Unknown(Vec<(u64, Vec<u8>)>),
    /// A line that counts steps or epochs.
    Counted,
    /// So many lines with numbers, none of which counts.
    Uncounted(i64),
}

impl Log<'_> {
    /// Takes the scalars of a line.
    fn parse(&mut self, line: &[u8]) -> Result<(), serde_json::Error> {
        self.records.begin();
        self.path.clear();
        let mut parser = serde_json::Deserializer::from_slice(quoted(line, &mut self.scratch));
        let (records, path) = (&mut self.records, &mut self.path);
        let object = line.first() == Some(&b'{');
        if !object {
            return Err(serde::de::Error::custom("no object"));
        }
        Leaves { path, take: &mut |path: &str, leaf: crate::json::Leaf<'_>| records.take(path, leaf) }
            .deserialize(&mut parser)?;
        parser.end()
    }

    /// A line that was parsed.
    fn object(&mut self, place: u64, line: &[u8]) {
        self.objects += 1;
        match &mut self.before {
            Before::Unknown(waiting) if self.records.counts() => {
                if self.records.in_doubt() {
                    self.records.row = Row::in_doubt();
                }
                for (_, line) in std::mem::take(waiting) {
                    settings(self.sink, &line, &mut self.scratch);
                }
                self.before = Before::Counted;
                self.records.report(place, None, self.names, self.sink);
            }
            Before::Unknown(waiting) if waiting.len() < MOST_WAITING => {
                if line.len() <= LONGEST_WAITING {
                    waiting.push((place, line.to_vec()));
                }
            }
            Before::Unknown(_) => {
                self.give_up_waiting();
                // What waited has been parsed since.
                if self.parse(line).is_ok() {
                    self.uncounted(place);
                }
            }
            Before::Counted => self.records.report(place, None, self.names, self.sink),
            Before::Uncounted(_) => self.uncounted(place),
        }
    }

    /// Nothing counts: neither what waits nor, it seems, what follows.
    fn give_up_waiting(&mut self) {
        let Before::Unknown(waiting) = std::mem::replace(&mut self.before, Before::Uncounted(0)) else { return };
        for (place, line) in waiting {
            if self.parse(&line).is_ok() {
                self.uncounted(place);
            }
        }
    }

    fn uncounted(&mut self, place: u64) {
        if !self.records.has_numbers() {
            return;
        }
        let Before::Uncounted(lines) = &mut self.before else { return };
        if *lines == 0 {
            unreadable(
                self.sink,
                place,
                "no step and no epoch is in the lines: the lines themselves are counted".into(),
            );
        }
        *lines += 1;
        let line = *lines;
        self.records.report(place, Some(line), self.names, self.sink);
    }

    fn finish(&mut self) {
        match &mut self.before {
            // A run that has said nothing so far but its settings.
            Before::Unknown(waiting) if waiting.len() == 1 => {
                for (_, line) in std::mem::take(waiting) {
                    settings(self.sink, &line, &mut self.scratch);
                }
            }
            Before::Unknown(_) => self.give_up_waiting(),
            _ => {}
        }
        self.records.row.finish(self.names, self.sink);
    }
}

/// A line that comes before all that count.
fn settings(sink: &mut dyn Sink, line: &[u8], scratch: &mut Vec<u8>) {
    if let Ok(Value::Object(all)) = serde_json::from_slice(quoted(line, scratch)) {
        for (name, value) in all {
            flattened(sink, name, value);
        }
    }
}

fn flattened(sink: &mut dyn Sink, name: String, value: Value) {
    match value {
        // The parser allows no more than 128 of them within one another.
        Value::Object(all) => {
            for (key, value) in all {
                flattened(sink, format!("{name}/{key}"), value);
            }
        }
        Value::Null => {}
        _ => sink.setting(&name, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Collected;

    fn collect(bytes: &[u8]) -> (Collected, Result<(), ReadError>) {
        let (mut names, mut sink, mut bytes) = (Names::default(), Collected::default(), bytes);
        let result = read(&mut bytes, &mut names, &mut sink);
        (sink, result)
    }

    fn whole(text: &str) -> Collected {
        let (sink, result) = collect(text.as_bytes());
        result.unwrap();
        sink
    }

    const LOG: &str = r#"{"model": {"layers": 2, "betas": [0.9, 0.95]}, "lr": 0.1, "note": "NaN"}
{"step": 1, "train": {"loss": 2.5}, "lr": "1e-3", "elapsed": "0:00:05", "done": false}

{"step": 2, "train": {"loss": NaN}, "valid": {"loss": -Infinity}}
{"train": {"loss": "inf"}, "step": 3.0, "epoch": 0.5}
"#;

    const REPORTS: [&str; 3] =
        ["2 s1 train/loss=2.5 lr=0.001", "4 s2 train/loss=NaN valid/loss=-inf", "5 s3 e0.5 train/loss=inf"];

    #[test]
    fn objects_are_flattened() {
        for log in [LOG.to_owned(), LOG.replace('\n', "\r\n"), format!("\u{feff}{LOG}"), format!("\0\0{LOG}")] {
            let sink = whole(&log);
            assert_eq!(sink.reports, REPORTS);
            assert_eq!(sink.settings, ["lr=0.1", "model/betas=[0.9,0.95]", "model/layers=2", "note=\"NaN\""]);
            assert_eq!(sink.remarks, [] as [&str; 0]);
        }
    }

    #[test]
    fn cut_anywhere_the_lines_before_are_there() {
        // A line is whole with its last bracket, also if no newline is behind it.
        let lines = LOG.lines().filter(|line| !line.is_empty()).map(|line| LOG.find(line).unwrap() + line.len());
        let ends: Vec<usize> = lines.collect();
        for length in 0..LOG.len() {
            let (sink, result) = collect(&LOG.as_bytes()[..length]);
            assert_eq!(result.is_err(), length < ends[0], "{length}");
            let whole = ends.iter().filter(|end| **end <= length).count();
            assert_eq!(sink.reports, REPORTS[..whole.saturating_sub(1)], "{length}");
            let is_cut = !ends.contains(&length) && !LOG[..length].ends_with('\n') && length > 0;
            assert_eq!(sink.remarks.len(), usize::from(is_cut), "{length}: {:?}", sink.remarks);
        }
    }

    #[test]
    fn lines_of_another_kind_are_remarked() {
        let sink = whole(
            r#"start
{"step": 1, "loss": 2}
{"step": 2, "loss": }
[1]
{"step": 3, "loss": 1} x
{"step": 4, "loss": 1}
"#,
        );
        assert_eq!(sink.reports, ["2 s1 loss=2", "6 s4 loss=1"]);
        assert_eq!(sink.remarks, ["1: 4 lines, of which this is the first, are no objects of JSON"]);
    }

    #[test]
    fn lines_that_count_nothing_are_counted() {
        let sink = whole("{\"loss\": 3}\n{\"note\": \"x\"}\n{\"loss\": 2, \"lr\": 0.1}\n");
        assert_eq!(sink.reports, ["1 s1 loss=3", "3 s2 loss=2 lr=0.1"]);
        assert_eq!(sink.remarks, ["1: no step and no epoch is in the lines: the lines themselves are counted"]);
        let many: String = (0..100).map(|line| format!("{{\"loss\": {line}}}\n")).collect();
        let sink = whole(&many);
        assert_eq!((sink.reports.len(), sink.reports[99].as_str()), (100, "100 s100 loss=99"));
        // A summary without a step has no place on the axis.
        assert_eq!(whole("{\"step\": 7, \"loss\": 3}\n{\"test_loss\": 2}\n").reports, ["1 s7 loss=3", "2 test_loss=2"]);
        // A run that has said nothing but its settings.
        assert_eq!(whole("{\"lr\": 0.1}\n").settings, ["lr=0.1"]);
    }

    #[test]
    fn batches_within_epochs_and_splits() {
        let sink = whole(
            r#"{"mode": "train", "epoch": 1, "iter": 50, "loss": 3}
{"mode": "train", "epoch": 1, "iter": 100, "loss": 2}
{"mode": "val", "epoch": 1, "loss": 2.5}
{"mode": "train", "epoch": 2, "iter": 50, "loss": 1}
"#,
        );
        assert_eq!(
            sink.reports,
            ["1 e1 b50 train:loss=3", "2 e1 b100 train:loss=2", "3 e1 val:loss=2.5", "4 e2 b50 train:loss=1"]
        );
    }

    #[test]
    fn named_values() {
        let sink = whole(
            r#"{"name": "loss", "value": 3, "step": 1}
{"name": "lr", "value": 0.1, "step": 1}
{"value": 2, "step": 2}
"#,
        );
        assert_eq!(sink.reports, ["1 s1 loss=3", "2 s1 lr=0.1", "3 s2 value=2"]);
    }

    #[test]
    fn of_two_steps_the_trainings_own_counts() {
        let sink = whole(
            r#"{"_step": 0, "global_step": 100, "loss": 3}
{"global_step": 200, "_step": 1, "loss": 2}
"#,
        );
        assert_eq!(sink.reports, ["1 s100 _step=0 loss=3", "2 s200 _step=1 loss=2"]);
    }

    #[test]
    fn steps_that_are_none() {
        let sink = whole(
            r#"{"step": 0.5, "loss": 1}
{"step": NaN, "loss": 2}
{"step": 1e300, "loss": 3}
{"step": -1, "loss": 4}
{"step": 18446744073709551615, "loss": 5}
"#,
        );
        assert_eq!(sink.reports, ["1 loss=1", "2 loss=2", "3 loss=3", "4 s-1 loss=4", "5 loss=5"]);
        assert_eq!(sink.remarks, ["1: 0.5 is no step: such reports have none"]);
    }

    #[test]
    fn other_files_are_refused() {
        for other in ["", "\n\n", "step 1 loss 2\n", "[{\"step\": 1}]", "\"a\"\n", "{\n  \"a\": 1\n}\n"] {
            assert!(matches!(collect(other.as_bytes()).1, Err(ReadError::Format(_))), "{other}");
        }
        let deep = format!("{}\n{{\"step\": 1, \"loss\": 1}}\n", "{\"a\":".repeat(100_000));
        assert_eq!(whole(&deep).reports, ["2 s1 loss=1"]);
    }

    #[test]
    fn noise_never_panics() {
        let mut random: u64 = 7;
        for _ in 0..3000 {
            let mut bytes = LOG.as_bytes().to_vec();
            for _ in 0..4 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (random >> 33) as usize % bytes.len();
                bytes[at] = (random >> 20) as u8;
            }
            let _ = collect(&bytes);
        }
    }
}
