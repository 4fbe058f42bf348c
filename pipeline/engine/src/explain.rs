//! Why a job is computed: the fields in which it differs from the nearest earlier execution of its stage.

use serde_json::Value;

use identity::{Difference, Fields, StageName};
use record::{Record, RecordError};

/// One line for each field that differs from the nearest earlier execution: the one with the fewest differing fields,
/// and of equals the newest.
///
/// # Errors
/// When the record can't be read.
pub fn why(record: &mut Record, stage: &StageName, fields: &Fields) -> Result<Vec<String>, RecordError> {
    let nearest = record
        .earlier_fields(stage.as_str())?
        .iter()
        .filter_map(|text| Fields::from_json(text))
        .map(|earlier| fields.differences(&earlier))
        // The list is newest first, and `min_by_key` takes the first of equals.
        .min_by_key(Vec::len);
    Ok(match nearest {
        None => vec![format!("{stage} was never executed before")],
        Some(differences) if differences.is_empty() => {
            vec!["its result was there, but an object of it is gone or damaged".to_owned()]
        }
        Some(differences) => differences.iter().map(line).collect(),
    })
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
