//! The items of a row or of a configuration: a key, and a value as JSON that Python wrote.

use crate::json;
use crate::protobuf::{Fields, Malformed, Value};

/// An item of a history or a configuration: its key, whose parts are joined, and its value as JSON.
pub(super) fn item<'a>(item: &'a [u8], separator: u8, key: &mut Vec<u8>) -> Result<&'a [u8], Malformed> {
    key.clear();
    let (mut flat, mut value, mut nested) = (&item[..0], &item[..0], false);
    for field in Fields::of(item) {
        match field? {
            (1, Value::Bytes(bytes)) => flat = bytes,
            (2, Value::Bytes(part)) => {
                if std::mem::replace(&mut nested, true) {
                    key.push(separator);
                }
                key.extend_from_slice(part);
            }
            (16, Value::Bytes(json)) => value = json,
            _ => {}
        }
    }
    if !nested {
        key.extend_from_slice(flat);
    }
    Ok(value)
}

/// A number as Python writes it in JSON; NaN and ±Inf are bare or quoted.
pub(super) fn number(json: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(json).ok()?.trim_ascii();
    match text.strip_prefix('"') {
        Some(quoted) => json::no_json_number(quoted.strip_suffix('"')?),
        None => text.parse().ok(),
    }
}

/// A whole number, be it written with a fraction of zero.
pub(super) fn whole(json: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(json).ok()?.trim_ascii();
    // Below 2^53, whole doubles are exact.
    let double = || number(json).filter(|it| it.fract() == 0.0 && it.abs() < 9_007_199_254_740_992.0);
    text.parse().ok().or_else(|| double().map(|number| number as i64))
}
