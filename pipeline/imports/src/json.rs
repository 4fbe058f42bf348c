//! JSON as Python writes it.
//!
//! Python's `json.dumps` writes what JSON has no word for as bare `NaN`, `Infinity` and `-Infinity`
//! (<https://docs.python.org/3/library/json.html#infinite-and-nan-number-values>), and programs that format their
//! lines themselves write `nan` and `inf`; serde_json refuses them all. Here such words are put in quotes as the bytes
//! stream by, and read as numbers again behind the parser. Which keys matter is not known here.

mod quoted;

use std::fmt;
use std::io::ErrorKind;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

pub use quoted::{Quoted, quoted};

use crate::{Oddity, ReadError};

/// The most bytes of the keys that lead to a scalar.
const LONGEST_PATH: usize = 1 << 20;

/// NaN or ±Inf, by any of the words that programs write for them.
pub fn no_json_number(word: &str) -> Option<f64> {
    let bare = word.strip_prefix(['+', '-']).unwrap_or(word);
    if bare.eq_ignore_ascii_case("nan") {
        Some(f64::NAN)
    } else if bare.eq_ignore_ascii_case("inf") || bare.eq_ignore_ascii_case("infinity") {
        Some(if word.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY })
    } else {
        None
    }
}

/// The number that a value is: also NaN and ±Inf, whose words stand in quotes by now.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(word) => no_json_number(word),
        _ => None,
    }
}

/// A number as a value; NaN and ±Inf as Python's words for them.
pub fn value(number: f64) -> Value {
    match serde_json::Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => Value::from("NaN"),
        None if number > 0.0 => Value::from("Infinity"),
        None => Value::from("-Infinity"),
    }
}

/// Why the parser stopped: an error of the input, or something odd about the text.
pub(crate) fn stopped(error: serde_json::Error) -> Result<Oddity, ReadError> {
    match error.io_error_kind() {
        Some(ErrorKind::InvalidData) => Ok(Oddity::Unreadable(error.to_string())),
        Some(_) => Err(ReadError::Io(error.into())),
        None if error.is_eof() => Ok(Oddity::Truncated),
        None => Ok(Oddity::Unreadable(format!("the JSON can't be read from here on: {error}"))),
    }
}

/// A scalar of a JSON text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Leaf<'a> {
    /// A number, or a word for NaN or ±Inf.
    Number(f64),
    /// An integer that `i64` holds.
    Integer(i64),
    /// A text that is no such word.
    Text(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// `null`, or a list: what lists hold is not handed on.
    Other,
}

/// Hands on the scalars of a value, each with the keys that lead to it, joined by `/`.
pub struct Leaves<'a, F> {
    /// The keys so far. A value that breaks off leaves some behind.
    pub path: &'a mut String,
    /// Takes the scalars.
    pub take: &'a mut F,
}

impl<'de, F: FnMut(&str, Leaf<'_>)> DeserializeSeed<'de> for Leaves<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(&str, Leaf<'_>)> Visitor<'de> for Leaves<'_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        (self.take)(self.path, Leaf::Bool(value));
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        (self.take)(self.path, Leaf::Integer(value));
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        (self.take)(self.path, i64::try_from(value).map_or(Leaf::Number(value as f64), Leaf::Integer));
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        (self.take)(self.path, Leaf::Number(value));
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        (self.take)(self.path, no_json_number(value).map_or(Leaf::Text(value), Leaf::Number));
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        (self.take)(self.path, Leaf::Other);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        (self.take)(self.path, Leaf::Other);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let length = self.path.len();
        while map.next_key_seed(Key(self.path))?.is_some() {
            map.next_value_seed(Leaves { path: self.path, take: self.take })?;
            self.path.truncate(length);
        }
        Ok(())
    }
}

/// Puts a key behind those that lead to it.
pub(crate) struct Key<'a>(pub &'a mut String);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        // Keys within keys are held all at once.
        if self.0.len().saturating_add(key.len()) > LONGEST_PATH {
            return Err(E::custom("keys longer than 1 MiB"));
        }
        if !self.0.is_empty() {
            self.0.push('/');
        }
        self.0.push_str(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let mut scratch = Vec::new();
        let list: Vec<Value> =
            serde_json::from_slice(quoted(b"[1, 2.5, NaN, -Infinity, \"inf\", \"1\", null]", &mut scratch)).unwrap();
        let numbers: Vec<Option<f64>> = list.iter().map(number).collect();
        assert!(numbers[2].unwrap().is_nan());
        assert_eq!(numbers[0..2], [Some(1.0), Some(2.5)]);
        assert_eq!(numbers[3..], [Some(f64::NEG_INFINITY), Some(f64::INFINITY), None, None]);
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1] {
            assert_eq!(super::number(&value(number)).unwrap().to_bits(), number.to_bits());
        }
    }
}
