//! Settings as programs in Python write them: JSON with bare `NaN` and `Infinity`, and tables within tables.

use serde_json::Value;

use crate::{Sink, json};

/// The longest name under which a table is taken apart.
const LONGEST_NAME: usize = 1024;

/// Reads JSON as Python writes it; NaN and ±Inf become texts.
pub(crate) fn read(text: &str) -> Option<Value> {
    serde_json::from_slice(json::quoted(text.as_bytes(), &mut Vec::new())).ok()
}

/// Hands on a setting; one by one what a table holds, as `model/layers`.
pub(crate) fn hand_on(name: &str, value: Value, sink: &mut dyn Sink) {
    match value {
        // JSON is at most 128 tables deep. A name as long as a text is no name.
        Value::Object(table) if !table.is_empty() && name.len() <= LONGEST_NAME => {
            for (key, value) in table {
                hand_on(&format!("{name}/{key}"), value, sink);
            }
        }
        value => sink.setting(name, value),
    }
}

/// A number of which only its double is known. Whole ones were integers, as a rule.
pub(crate) fn number(number: f64) -> Value {
    // Below 2^53, whole doubles are exact.
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        return Value::from(number as i64);
    }
    json::value(number)
}
