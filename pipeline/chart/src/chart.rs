//! Curves of one quantity, and what they can be compared with.

use schemars::JsonSchema;
use serde::Serialize;

use crate::axis::Baseline;
use crate::quantity::Quantity;
use identity::{Bucket, Hole, RunId};

/// Of more curves than this, the bands and marks of some would hide the others.
pub const CROWD: usize = 60;

/// Curves of one quantity.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Chart {
    /// What is drawn.
    pub quantity: Quantity,
    /// What it is of: a study's name.
    pub of: String,
    /// Steps that the axis holds.
    pub steps: i64,
    /// A curve for each run.
    pub lines: Vec<Curve>,
    /// What they can be compared with.
    pub baselines: Vec<Baseline>,
}

/// One run's curve.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Curve {
    /// Its number.
    pub run: RunId,
    /// What tells it from the others.
    pub label: String,
    /// Its colour, by place among the runs.
    pub place: usize,
    /// What it was, step by step or coarser.
    pub buckets: Vec<Bucket>,
    /// Where it was not a number.
    pub holes: Vec<Hole>,
    /// The step at which a verdict says that it began.
    pub onset: Option<i64>,
}

impl Chart {
    /// Whether there are so many curves that each is a line and no more.
    pub fn is_crowded(&self) -> bool {
        self.lines.len() > CROWD
    }

    /// Whether anything is there to be drawn.
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.buckets.iter().all(|bucket| bucket.finite == 0) && line.holes.is_empty())
    }
}

impl Curve {
    /// The mean of its last bucket with a finite value.
    pub fn last(&self) -> Option<f64> {
        self.buckets.iter().rev().find_map(Bucket::mean)
    }

    /// What it was at its end, where that was no number.
    pub fn ends_as(&self) -> Option<&str> {
        let (hole, bucket) = (self.holes.last()?, self.buckets.last()?);
        (hole.last + 1 >= bucket.first + bucket.steps).then_some(&hole.kind)
    }

    /// Its greatest value.
    pub fn peak(&self) -> Option<f64> {
        self.buckets.iter().filter_map(|bucket| bucket.maximum).reduce(f64::max)
    }
}
