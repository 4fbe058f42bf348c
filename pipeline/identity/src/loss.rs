//! Losses and other figures measured during training, which may be NaN or infinite.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::words::words;

words! {
    /// What kind of number a loss is. SQL and JSON have no number for the last three, so the kind is stored with the
    /// value.
    LossKind, "kind of loss":
    /// A finite number.
    Finite = "finite",
    /// Not a number.
    Nan = "nan",
    /// Positive infinity.
    Infinite = "inf",
    /// Negative infinity.
    NegativeInfinite = "-inf",
}

/// A loss or another measured figure: finite, NaN or infinite. In JSON it is a number, or the word for its kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss(pub f64);

/// The error for a value and a kind that contradict each other: only a finite loss has a value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("a loss of kind {kind} can't have the value {value:?}")]
pub struct NoLoss {
    /// The value.
    pub value: Option<f64>,
    /// The kind.
    pub kind: LossKind,
}

impl Loss {
    /// The loss that two columns of the record contain.
    ///
    /// # Errors
    /// If the columns contradict each other.
    pub fn new(value: Option<f64>, kind: LossKind) -> Result<Self, NoLoss> {
        match (value, kind) {
            (Some(value), LossKind::Finite) if value.is_finite() => Ok(Self(value)),
            (None, LossKind::Nan) => Ok(Self(f64::NAN)),
            (None, LossKind::Infinite) => Ok(Self(f64::INFINITY)),
            (None, LossKind::NegativeInfinite) => Ok(Self(f64::NEG_INFINITY)),
            _ => Err(NoLoss { value, kind }),
        }
    }

    /// What kind of number it is.
    pub fn kind(self) -> LossKind {
        match self.0 {
            x if x.is_nan() => LossKind::Nan,
            f64::INFINITY => LossKind::Infinite,
            f64::NEG_INFINITY => LossKind::NegativeInfinite,
            _ => LossKind::Finite,
        }
    }

    /// The value if it is finite: SQLite has no NaN, and an infinity would spoil sums.
    pub fn finite(self) -> Option<f64> {
        self.0.is_finite().then_some(self.0)
    }

    /// The value and the kind, as the record's columns store them.
    pub fn columns(self) -> (Option<f64>, LossKind) {
        (self.finite(), self.kind())
    }
}

impl Serialize for Loss {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.finite() {
            Some(value) => serializer.serialize_f64(value),
            None => serializer.serialize_str(self.kind().as_str()),
        }
    }
}

impl JsonSchema for Loss {
    fn schema_name() -> Cow<'static, str> {
        "Loss".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "number" }, { "enum": ["nan", "inf", "-inf"] }] })
    }
}

impl<'de> Deserialize<'de> for Loss {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(f64),
            Word(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Self(number)),
            Either::Word(word) => {
                let kind = word.parse().ok();
                let loss = kind.and_then(|kind| Self::new(None, kind).ok());
                loss.ok_or_else(|| serde::de::Error::custom(format!("`{word}` is not a number, nan, inf or -inf")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [f64; 7] = [0.0, -0.0, 2.5, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

    #[test]
    fn a_loss_survives_a_round_trip_through_columns_and_json() {
        for x in ALL {
            let (value, kind) = Loss(x).columns();
            assert_eq!(value.is_some(), kind == LossKind::Finite);
            let json = serde_json::to_string(&Loss(x)).unwrap();
            for back in [Loss::new(value, kind).unwrap(), serde_json::from_str::<Loss>(&json).unwrap()] {
                assert!(back.0.to_bits() == x.to_bits() || back.0.is_nan() && x.is_nan(), "{x} {json}");
            }
        }
        assert_eq!(serde_json::to_string(&[Loss(1.0), Loss(f64::NEG_INFINITY)]).unwrap(), r#"[1.0,"-inf"]"#);
        for word in ["\"finite\"", "\"big\"", "\"NaN\"", "null"] {
            assert!(serde_json::from_str::<Loss>(word).is_err(), "{word}");
        }
    }

    #[test]
    fn columns_that_contradict_each_other_are_refused() {
        assert_eq!(
            Loss::new(None, LossKind::Finite).unwrap_err().to_string(),
            "a loss of kind finite can't have the value None"
        );
        for kind in [LossKind::Nan, LossKind::Infinite, LossKind::NegativeInfinite] {
            assert!(Loss::new(Some(1.0), kind).is_err());
        }
        assert!(Loss::new(Some(f64::NAN), LossKind::Finite).is_err());
    }

    #[test]
    fn kinds_are_the_words_of_the_record() {
        let words: Vec<&str> = LossKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(words, ["finite", "nan", "inf", "-inf"]);
    }
}
