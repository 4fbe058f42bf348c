//! A curve over steps, as it is read and drawn.

use serde::Serialize;
use serde::ser::SerializeStruct as _;

/// Neighbouring steps in one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// The first step.
    pub first: i64,
    /// How many.
    pub steps: i64,
    /// How many had a finite value; what follows is over them.
    pub finite: i64,
    /// The least value.
    pub minimum: Option<f64>,
    /// The greatest value.
    pub maximum: Option<f64>,
    /// The sum of the values.
    pub sum: f64,
    /// The first step whose value was not finite.
    pub first_nonfinite: Option<i64>,
}

impl Bucket {
    /// The mean of its finite values.
    pub fn mean(&self) -> Option<f64> {
        // A sum of losses near the largest float overflows; their mean does not.
        (self.finite > 0)
            .then(|| (self.sum / self.finite as f64).clamp(self.minimum.unwrap_or(0.0), self.maximum.unwrap_or(0.0)))
    }
}

/// With the mean in place of the sum, which is only a means to it.
impl Serialize for Bucket {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Bucket", 7)?;
        fields.serialize_field("first", &self.first)?;
        fields.serialize_field("steps", &self.steps)?;
        fields.serialize_field("finite", &self.finite)?;
        fields.serialize_field("minimum", &self.minimum)?;
        fields.serialize_field("maximum", &self.maximum)?;
        fields.serialize_field("mean", &self.mean())?;
        fields.serialize_field("first_nonfinite", &self.first_nonfinite)?;
        fields.end()
    }
}

/// Neighbouring steps without a finite value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hole {
    /// The first step.
    pub first: i64,
    /// The last step.
    pub last: i64,
    /// `nan`, `inf`, `-inf`.
    pub kind: String,
}
