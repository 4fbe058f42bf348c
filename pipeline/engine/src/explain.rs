//! Why a job is computed: the fields in which it differs from the nearest earlier execution of its stage.

use std::collections::HashSet;

use serde_json::Value;

use identity::{Difference, ExecutionId, Fields, StageName};
use record::{Record, RecordError};

/// Explains jobs, those of upstream stages first.
#[derive(Debug, Default)]
pub struct Explainer {
    /// What the executions made that jobs were compared with so far.
    compared: HashSet<String>,
}

impl Explainer {
    /// One line for each field that differs from the nearest earlier execution: the one with the fewest differing fields;
    /// of equals the one whose inputs were made by executions that are nearest to this job's upstream jobs; and of those
    /// the newest. Without the second rule, which of two points that were computed side by side a stage is compared with
    /// would be left to which ended last.
    ///
    /// # Errors
    /// When the record can't be read.
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
            return Ok(vec![format!("{stage} was never executed before")]);
        };
        self.compared.extend(record.made_by(ExecutionId(execution))?);
        Ok(match differences.is_empty() {
            true => vec!["its result was there, but an object of it is gone or damaged".to_owned()],
            false => differences.iter().map(line).collect(),
        })
    }
}

/// A difference in one line.
pub(super) fn line(difference: &Difference) -> String {
    let name = difference.name.strip_prefix("param.").unwrap_or(&difference.name);
    match (&difference.before, &difference.now) {
        (Some(before), Some(now)) => format!("{name}: {} -> {}", short(before), short(now)),
        (None, Some(now)) => format!("{name}: {}, which was not there", short(now)),
        (Some(before), None) => format!("{name}: no longer there, was {}", short(before)),
        (None, None) => name.to_owned(),
    }
}

/// A value as people read it; a digest by its first digits.
fn short(value: &Value) -> String {
    match value.as_str() {
        Some(text) if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) => text[..12].to_owned(),
        _ => value.to_string(),
    }
}
