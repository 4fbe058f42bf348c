//! A curve over steps, as it is read and drawn.

use schemars::JsonSchema;
use serde::Serialize;

/// Step numbers that one block of a curve stands for; the record's views say the same.
pub const BLOCK: i64 = 1024;

/// Neighbouring steps in one row.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
#[serde(into = "BucketView")]
pub struct Bucket {
    /// The first step.
    pub first: i64,
    /// How many there are: fewer than up to the next bucket where some are left out.
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

/// A bucket as JSON has it: with the mean in place of the sum, which is only a means to it.
#[derive(JsonSchema, Serialize)]
struct BucketView {
    /// The first step.
    first: i64,
    /// How many.
    steps: i64,
    /// How many had a finite value; what follows is over them.
    finite: i64,
    minimum: Option<f64>,
    maximum: Option<f64>,
    mean: Option<f64>,
    /// The first step whose value was not finite.
    first_nonfinite: Option<i64>,
}

impl From<Bucket> for BucketView {
    fn from(bucket: Bucket) -> Self {
        let Bucket { first, steps, finite, minimum, maximum, first_nonfinite, .. } = bucket;
        Self { first, steps, finite, minimum, maximum, mean: bucket.mean(), first_nonfinite }
    }
}

/// Neighbouring steps without a finite value.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Hole {
    /// The first step.
    pub first: i64,
    /// The last step.
    pub last: i64,
    /// `nan`, `inf`, `-inf`.
    pub kind: String,
}
