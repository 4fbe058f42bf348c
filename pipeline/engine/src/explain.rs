//! Explains why a job is computed: names the fields in which it differs from the nearest earlier execution of its
//! stage.

use std::collections::HashSet;

use serde_json::Value;

use identity::{Difference, ExecutionId, Fields, StageName};
use record::{Record, RecordError};

/// Explains why jobs are computed; those of upstream stages must be explained first.
#[derive(Debug, Default)]
pub struct Explainer {
    /// Outputs of the executions that jobs have been compared with so far.
    compared: HashSet<String>,
}

impl Explainer {
    /// One line for each field that differs from the nearest earlier execution. The nearest is the one with the fewest
    /// differing fields; among equals, the one whose inputs come from the executions that this job's upstream jobs were
    /// compared with; then the newest. Without the second rule, the choice between two points computed side by side
    /// would depend on which ended last.
    pub fn why(&mut self, record: &mut Record, stage: &StageName, fields: &Fields) -> Result<Vec<String>, RecordError> {
        let strange = |difference: &&Difference| {
            difference.name.starts_with("input.")
                && difference.before.as_ref().and_then(Value::as_str).is_some_and(|it| !self.compared.contains(it))
        };
        let nearest = record
            .earlier_fields(stage.as_str())?
            .into_iter()
            .filter_map(|(execution, text)| Some((execution, fields.differences(&Fields::from_json(&text)?))))
            // The list is newest first, and `min_by_key` takes the first of equals.
            .min_by_key(|(_, differences)| (differences.len(), differences.iter().filter(strange).count()));
        let Some((execution, differences)) = nearest else {
            return Ok(vec![format!("{stage} has not been executed before")]);
        };
        self.compared.extend(record.made_by(ExecutionId(execution))?);
        Ok(match differences.is_empty() {
            true => vec!["the result is cached, but one of its files in the store is missing or damaged".to_owned()],
            false => differences.iter().map(line).collect(),
        })
    }
}

/// A difference, described in one line.
pub(super) fn line(difference: &Difference) -> String {
    let name = difference.name.strip_prefix("param.").unwrap_or(&difference.name);
    match (&difference.before, &difference.now) {
        (Some(before), Some(now)) => format!("{name}: {} -> {}", short(before), short(now)),
        (None, Some(now)) => format!("{name}: added, now {}", short(now)),
        (Some(before), None) => format!("{name}: removed, was {}", short(before)),
        (None, None) => name.to_owned(),
    }
}

/// A value for display; a digest is cut to its first digits.
fn short(value: &Value) -> String {
    match value.as_str() {
        Some(text) if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) => text[..12].to_owned(),
        _ => value.to_string(),
    }
}
