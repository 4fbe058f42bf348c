//! Defaults of parameters. They tell which parameters a user set, and the types of recorded values.

use std::collections::{BTreeMap, HashSet};

use identity::{Cell, Param, RunId};
use serde_json::Value;
use stages::params::{SPLIT, STAGES};

use crate::format;
use stages::schema::flatten;

/// Defaults by dotted name.
#[derive(Debug)]
pub struct Defaults(BTreeMap<String, Value>);

impl Defaults {
    /// All defaults, for a run with this seed, from which some of them are taken.
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

    /// Whether a parameter has its default value.
    pub fn hold(&self, param: &Param) -> bool {
        self.0.get(&param.name).is_some_and(|value| match (value, &param.value) {
            // The record stores booleans as 0 and 1, and lists as JSON.
            (Value::Bool(value), Cell::Integer(cell)) => i64::from(*value) == *cell,
            (Value::Number(value), Cell::Integer(cell)) => value.as_i64() == Some(*cell),
            (Value::Number(value), Cell::Real(cell)) => value.as_f64() == Some(*cell),
            (value, cell) => *value == json(cell),
        })
    }

    /// A parameter's value as it would be written in an experiment.
    pub fn shown(&self, name: &str, cell: &Cell) -> String {
        match (self.0.get(name), cell) {
            (Some(Value::Bool(_)), Cell::Integer(value)) => (*value != 0).to_string(),
            _ => format::cell(cell),
        }
    }
}

impl Defaults {
    /// A parameter's value as JSON, with the type of its key.
    pub fn typed(&self, name: &str, cell: &Cell) -> Value {
        match (self.0.get(name), cell) {
            (Some(Value::Bool(_)), Cell::Integer(value)) => Value::from(*value != 0),
            _ => json(cell),
        }
    }
}

/// Adds the default values of keys that some runs lack because the runs are older than the keys.
pub fn with_later(mut params: Vec<Param>, runs: &[RunId]) -> Vec<Param> {
    let mut added = Vec::new();
    for stage in STAGES.iter().filter(|stage| stage.keys.iter().any(|key| key.later)) {
        let own = || params.iter().filter(|param| param.name.split_once('.').is_some_and(|(it, _)| it == stage.stage));
        // A run without a stage has none of its parameters.
        let with_stage: HashSet<RunId> = own().map(|param| param.run).collect();
        for key in stage.keys.iter().filter(|key| key.later) {
            let Some(value) = key.default_value(1).as_ref().and_then(cell) else { continue };
            let name = format!("{}.{}", stage.stage, key.name);
            let with_key: HashSet<RunId> = own().filter(|param| param.name == name).map(|param| param.run).collect();
            let lacks = |run: &&RunId| !with_key.contains(run) && (stage.later || with_stage.contains(run));
            added.extend(runs.iter().filter(lacks).map(|run| Param {
                run: *run,
                name: name.clone(),
                value: value.clone(),
            }));
        }
    }
    params.extend(added);
    params
}

/// A value as the record stores it; `None` for a list or a table.
fn cell(value: &Value) -> Option<Cell> {
    match value {
        Value::Bool(value) => Some(Cell::Integer(i64::from(*value))),
        Value::Number(value) => {
            Some(value.as_i64().map_or_else(|| Cell::Real(value.as_f64().unwrap_or(0.0)), Cell::Integer))
        }
        Value::String(text) => Some(Cell::Text(text.clone())),
        _ => None,
    }
}

/// A parameter's value as JSON. (The record stores lists as JSON text.)
pub fn json(cell: &Cell) -> Value {
    match cell {
        Cell::Text(text) if text.starts_with('[') => serde_json::from_str(text).unwrap_or(Value::from(text.as_str())),
        other => serde_json::to_value(other).unwrap_or(Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_older_than_a_key_has_its_default() {
        let param = |run: RunId, name: &str, value: Cell| Param { run, name: name.to_owned(), value };
        let steps = |run| param(run, "train.steps", Cell::Integer(9));
        let given = vec![steps(RunId(1)), steps(RunId(2)), param(RunId(2), "baselines.order", Cell::Integer(3))];
        let found = with_later(given, &[RunId(1), RunId(2)]);
        let of = |run: RunId, name: &str| {
            found.iter().find(|it| it.run == run && it.name == name).map(|it| it.value.clone())
        };
        assert_eq!(of(RunId(1), "baselines.order"), Some(Cell::Integer(5)));
        assert_eq!(of(RunId(2), "baselines.order"), Some(Cell::Integer(3)));
        assert_eq!(of(RunId(1), "train.loss_scale"), Some(Cell::Text("mean".to_owned())));
        assert!(found.iter().all(|it| !it.name.starts_with("evaluate.")));
    }
}
