//! Curves of one quantity with their baselines.

use schemars::JsonSchema;
use serde::Serialize;

use crate::axis::Baseline;
use crate::quantity::Quantity;
use identity::{Bucket, Hole, RunId};

/// With more curves than this, the bands and marks of some would hide the others.
pub const CROWD: usize = 60;

/// Curves of one quantity.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Chart {
    /// The quantity that is drawn.
    pub quantity: Quantity,
    /// The name of the study, or of the runs.
    pub of: String,
    /// Steps on the x axis.
    pub steps: i64,
    /// One curve per run.
    pub lines: Vec<Curve>,
    /// Values to compare the curves with.
    pub baselines: Vec<Baseline>,
}

/// One run's curve.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Curve {
    /// The run.
    pub run: RunId,
    /// What distinguishes it from the other runs.
    pub label: String,
    /// Its position among the runs, which determines its colour.
    pub place: usize,
    /// Its values, per step or coarser.
    pub buckets: Vec<Bucket>,
    /// The steps at which its values are not finite.
    pub holes: Vec<Hole>,
    /// The step of the onset in the run's verdict.
    pub onset: Option<i64>,
}

impl Chart {
    /// Whether there are too many curves to draw more than a line for each.
    pub fn is_crowded(&self) -> bool {
        self.lines.len() > CROWD
    }

    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.buckets.iter().all(|bucket| bucket.finite == 0) && line.holes.is_empty())
    }
}

impl Curve {
    /// The mean of its last bucket with a finite value.
    pub fn last(&self) -> Option<f64> {
        self.buckets.iter().rev().find_map(Bucket::mean)
    }

    /// The kind of its last value, if that is not finite.
    pub fn ends_as(&self) -> Option<&str> {
        let (hole, bucket) = (self.holes.last()?, self.buckets.last()?);
        (hole.last + 1 >= bucket.first + bucket.steps).then_some(&hole.kind)
    }

    /// Its highest value.
    pub fn peak(&self) -> Option<f64> {
        self.buckets.iter().filter_map(|bucket| bucket.maximum).reduce(f64::max)
    }
}
