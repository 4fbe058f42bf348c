//! The defaults of parameters: what a run's parameters are told apart from, and how a recorded value is worded.

use std::collections::BTreeMap;

use serde_json::Value;
use stages::params::{SPLIT, STAGES};

use crate::experiment::flatten;
use crate::record::read::{Cell, Param};
use crate::ui::format;

/// Defaults by dotted name.
#[derive(Debug)]
pub struct Defaults(BTreeMap<String, Value>);

impl Defaults {
    /// With the seed that some of them follow.
    pub fn of(seed: i64) -> Self {
        let mut all = vec![("seed".to_owned(), Value::from(1))];
        for stage in STAGES {
            for key in stage.keys {
                if let Some(value) = key.default_value(seed) {
                    flatten(&format!("{}.{}", stage.stage, key.name), &value, &mut all);
                }
            }
        }
        for key in SPLIT {
            all.extend(key.default_value(seed).map(|value| (format!("corpus.split.{}", key.name), value)));
        }
        Self(all.into_iter().collect())
    }

    /// Whether a parameter is what it would be unwritten.
    pub fn hold(&self, param: &Param) -> bool {
        self.0.get(&param.name).is_some_and(|value| match (value, &param.value) {
            // Booleans are 0 and 1 in the record, lists are JSON.
            (Value::Bool(value), Cell::Integer(cell)) => i64::from(*value) == *cell,
            (Value::Number(value), Cell::Integer(cell)) => value.as_i64() == Some(*cell),
            (Value::Number(value), Cell::Real(cell)) => value.as_f64() == Some(*cell),
            (value, cell) => *value == json(cell),
        })
    }

    /// A parameter's value as an experiment would say it.
    pub fn shown(&self, name: &str, cell: &Cell) -> String {
        match (self.0.get(name), cell) {
            (Some(Value::Bool(_)), Cell::Integer(value)) => (*value != 0).to_string(),
            _ => format::cell(cell),
        }
    }
}

impl Defaults {
    /// A parameter's value as JSON, in its key's own type.
    pub fn typed(&self, name: &str, cell: &Cell) -> Value {
        match (self.0.get(name), cell) {
            (Some(Value::Bool(_)), Cell::Integer(value)) => Value::from(*value != 0),
            _ => json(cell),
        }
    }
}

/// A parameter's value as JSON; lists are JSON in the record.
pub fn json(cell: &Cell) -> Value {
    match cell {
        Cell::Text(text) if text.starts_with('[') => serde_json::from_str(text).unwrap_or(Value::from(text.as_str())),
        other => serde_json::to_value(other).unwrap_or(Value::Null),
    }
}
