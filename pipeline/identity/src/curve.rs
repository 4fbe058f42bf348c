//! Curves over steps, as they are read and drawn.

use schemars::JsonSchema;
use serde::Serialize;

/// The length of a block of steps, in step numbers; the record's views use the same length.
pub const BLOCK: i64 = 1024;

/// Consecutive steps, summarised in one row.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
#[serde(into = "BucketView")]
pub struct Bucket {
    /// The first step.
    pub first: i64,
    /// The number of steps; fewer than its width if there are gaps.
    pub steps: i64,
    /// The number of finite values; the figures below are computed from these values.
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

/// A bucket in JSON: with the mean instead of the sum, which serves only to compute it.
#[derive(JsonSchema, Serialize)]
struct BucketView {
    /// The first step.
    first: i64,
    /// The number of steps.
    steps: i64,
    /// The number of finite values; the figures below are computed from these values.
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

/// Consecutive steps without a finite value.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Hole {
    /// The first step.
    pub first: i64,
    /// The last step.
    pub last: i64,
    /// `nan`, `inf`, `-inf`.
    pub kind: String,
}
