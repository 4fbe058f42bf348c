//! Hugging Face's `trainer_state.json`, which `transformers.Trainer` writes into every checkpoint.
//!
//! `log_history` is a list of objects with `step` and `epoch`. `loss` is the mean since the last such object; the last
//! object of a training, with `train_runtime`, says what the whole of it came to and is no point of a curve.
//! (`Trainer.log` and `_maybe_log_save_evaluate` in transformers' `trainer.py`, `TrainerState` in
//! `trainer_callback.py`.) With `logging_nan_inf_filter`, which is on unless a user turns it off, a NaN loss has been
//! replaced by a mean before it got here; the numbers are left as they stand.

use std::fmt;
use std::io::{BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::json::{Key, Leaf, Leaves, Quoted, stopped, value};
use crate::records::Records;
use crate::{Names, ReadError, Remark, Sink, Span};

/// Reads a `trainer_state.json`, or its `log_history` alone. Places are the entries of that list, from 0.
///
/// # Errors
/// What the input refuses, or that it has no such list.
pub fn read(input: &mut dyn Read, names: &mut Names, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let input = BufReader::with_capacity(64 * 1024, Quoted::new(input));
    let mut parser = serde_json::Deserializer::from_reader(input);
    let mut state = State { names, sink, records: Records::new(span), entries: 0, found: false, path: String::new() };
    let parsed = File(&mut state).deserialize(&mut parser).and_then(|()| parser.end());
    let oddity = parsed.err().map(stopped).transpose()?;
    if !state.found {
        return Err(ReadError::Format("no log_history is in it, as a trainer_state.json has".into()));
    }
    if let Some(what) = oddity {
        state.sink.remark(Remark { place: state.entries, byte: None, what });
    }
    Ok(())
}

/// Over what the numbers of a key are taken.
fn span(key: &str) -> Span {
    match key {
        "loss" => Span::SinceLast,
        "grad_norm" | "learning_rate" => Span::Step,
        // Of the weights at that step.
        _ if key.starts_with("eval_") => Span::Step,
        _ => Span::Unknown,
    }
}

/// The span in a list that stands alone: not even `loss` is Hugging Face's there.
fn unknown(_key: &str) -> Span {
    Span::Unknown
}

struct State<'a> {
    names: &'a mut Names,
    sink: &'a mut dyn Sink,
    records: Records,
    /// Entries of the history so far.
    entries: u64,
    /// Whether there is a history.
    found: bool,
    path: String,
}

/// The whole file.
struct File<'s, 'a>(&'s mut State<'a>);

impl<'de> DeserializeSeed<'de> for File<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for File<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the state of a trainer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        loop {
            self.0.path.clear();
            if map.next_key_seed(Key(&mut self.0.path))?.is_none() {
                return Ok(());
            }
            match self.0.path.as_str() {
                "log_history" => {
                    self.0.found = true;
                    map.next_value_seed(History(self.0))?;
                }
                // What the training's callbacks keep for themselves.
                "stateful_callbacks" => {
                    map.next_value::<IgnoredAny>()?;
                }
                _ => {
                    let State { sink, path, .. } = &mut *self.0;
                    map.next_value_seed(Leaves {
                        path,
                        take: &mut |path: &str, leaf: Leaf<'_>| setting(*sink, path, leaf),
                    })?;
                }
            }
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        self.0.records = Records::new(unknown);
        History(self.0).visit_seq(list)
    }
}

/// Settings, and what the training came to.
fn setting(sink: &mut dyn Sink, path: &str, leaf: Leaf<'_>) {
    let value = match leaf {
        Leaf::Number(number) => value(number),
        Leaf::Integer(number) => Value::from(number),
        Leaf::Text(text) => Value::from(text),
        // `is_local_process_zero` and its like: of which process wrote the file.
        Leaf::Bool(_) if path.starts_with("is_") => return,
        Leaf::Bool(flag) => Value::from(flag),
        Leaf::Other => return,
    };
    sink.setting(path, value);
}

/// The list of what was logged.
struct History<'s, 'a>(&'s mut State<'a>);

impl<'de> DeserializeSeed<'de> for History<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for History<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of what was logged")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let State { names, sink, records, entries, found, path } = self.0;
        loop {
            records.begin();
            path.clear();
            let mut closing = false;
            let mut take = |path: &str, leaf: Leaf<'_>| {
                closing |= path == "train_runtime";
                records.take(path, leaf);
            };
            if list.next_element_seed(Leaves { path, take: &mut take })?.is_none() {
                return Ok(());
            }
            if closing {
                for (name, number) in records.numbers() {
                    sink.setting(name, value(number));
                }
            } else {
                *found |= records.counts() && records.has_numbers();
                records.report(*entries, None, names, *sink);
            }
            *entries += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Collected;

    const STATE: &str = r#"{
  "best_metric": 2.5,
  "epoch": 1.0,
  "is_local_process_zero": true,
  "log_history": [
    {"epoch": 0.25, "grad_norm": NaN, "learning_rate": 0.001, "loss": 3.5, "step": 5},
    {"epoch": 0.5, "grad_norm": Infinity, "learning_rate": 1e-05, "loss": 2, "step": 10},
    {"epoch": 0.5, "eval_loss": -Infinity, "eval_runtime": 0.5, "step": 10, "note": "NaN, \"Infinity\""},
    {"epoch": 1, "step": 20, "total_flos": 8.5e15, "train_loss": 2.75, "train_runtime": 12.5}
  ],
  "logging_steps": 5,
  "max_steps": 20,
  "stateful_callbacks": {"TrainerControl": {"args": {"should_log": false}}},
  "train_batch_size": 2,
  "trial_name": null,
  "trial_params": {"lr": 0.001, "scheduler": "cosine"}
}"#;

    const REPORTS: [&str; 3] = [
        "0 s5 e0.25 grad_norm'=NaN learning_rate'=0.001 loss~=3.5",
        "1 s10 e0.5 grad_norm'=inf learning_rate'=0.00001 loss~=2",
        "2 s10 e0.5 eval_loss'=-inf eval_runtime'=0.5",
    ];

    fn collect(bytes: &[u8]) -> (Collected, Result<(), ReadError>) {
        let (mut names, mut sink, mut bytes) = (Names::default(), Collected::default(), bytes);
        let result = read(&mut bytes, &mut names, &mut sink);
        (sink, result)
    }

    #[test]
    fn points_settings_and_what_it_came_to() {
        let (sink, result) = collect(STATE.as_bytes());
        result.unwrap();
        assert_eq!(sink.reports, REPORTS);
        assert_eq!(
            sink.settings,
            [
                "best_metric=2.5",
                "epoch=1.0",
                "total_flos=8500000000000000.0",
                "train_loss=2.75",
                "train_runtime=12.5",
                "logging_steps=5",
                "max_steps=20",
                "train_batch_size=2",
                "trial_params/lr=0.001",
                "trial_params/scheduler=\"cosine\""
            ]
        );
        assert_eq!(sink.remarks, [] as [&str; 0]);
    }

    #[test]
    fn cut_anywhere_the_entries_before_are_there() {
        let history = STATE.find("log_history\": [").unwrap() + "log_history\"".len();
        for length in 0..STATE.len() {
            let (sink, result) = collect(&STATE.as_bytes()[..length]);
            assert!(REPORTS.iter().zip(&sink.reports).all(|(whole, cut)| whole == cut), "{length}");
            if length < history {
                assert!(matches!(result, Err(ReadError::Format(_))), "{length}");
            } else {
                result.unwrap();
                assert_eq!(sink.remarks.len(), 1, "{length}");
                assert!(sink.remarks[0].contains("still being written"), "{length}: {:?}", sink.remarks);
            }
        }
    }

    #[test]
    fn one_wrong_byte_costs_what_follows() {
        for at in 0..STATE.len() {
            let mut bytes = STATE.as_bytes().to_vec();
            bytes[at] ^= 0x15;
            let (sink, _) = collect(&bytes);
            // The one more is the last, if a word of its own isn't there any more.
            assert!(sink.remarks.len() <= 1 && sink.reports.len() <= REPORTS.len() + 1, "{at}");
        }
        let (sink, result) = collect(STATE.replace("0.5, \"grad_norm", "0.5; \"grad_norm").as_bytes());
        result.unwrap();
        assert_eq!((sink.reports.len(), sink.remarks.len()), (1, 1));
        assert!(sink.remarks[0].starts_with("1: the JSON can't be read from here on"), "{:?}", sink.remarks);
    }

    #[test]
    fn a_list_alone_is_a_history() {
        let (sink, result) =
            collect(b"[{\"step\": 1, \"loss\": nan}, {\"step\": 2.0, \"loss\": 1}, {\"step\": 2.5, \"loss\": 1}]");
        result.unwrap();
        assert_eq!(sink.reports, ["0 s1 loss=NaN", "1 s2 loss=1", "2 loss=1"]);
        assert_eq!(sink.remarks, ["2: 2.5 is no step: such reports have none"]);
    }

    #[test]
    fn other_files_are_refused() {
        for other in [
            "",
            "{}",
            "[]",
            "[1, 2]",
            "7",
            "step 1 loss 2",
            "{\"log\": [{\"step\": 1, \"loss\": 2}]}",
            "[{\"id\": 1}]",
            "\u{0}",
        ] {
            assert!(matches!(collect(other.as_bytes()).1, Err(ReadError::Format(_))), "{other}");
        }
        let deep = format!("{{\"log_history\": {}", "[".repeat(100_000));
        assert_eq!(collect(deep.as_bytes()).0.remarks.len(), 1);
    }
}
