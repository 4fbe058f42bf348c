//! Pictures of curves and of parameters: what is drawn, as plain values, and their drawing as SVG or PNG.
//!
//! One drawing serves papers (`pipeline plot`) and the report, in which it stands where there is no JavaScript and in print.
//!
//! It draws what it is handed. It reads no record, parses no argument and knows no terminal: which runs a picture shows, and
//! in how many buckets, is its callers' choice, and curves in characters are drawn elsewhere. What these share with pictures
//! is here: the arithmetic of [`axis`] and the few characters of [`text`].

pub mod axis;
pub mod colours;
mod labels;
pub mod parallel;
pub mod png;
mod range;
pub mod svg;
pub mod text;
mod thin;

use schemars::JsonSchema;
use serde::Serialize;

use identity::{Bucket, Hole, RunId};

pub use axis::Baseline;
pub use range::Range;
pub use thin::thin;

/// What a picture shows over steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Training loss.
    Loss,
    /// Loss on valid, by checkpoint.
    Valid,
    /// Gradient norm before clipping.
    GradNorm,
    /// Size of the update over that of the weights.
    UpdateRatio,
    /// Overshoot ratio: below 0 a step raised its own loss.
    Overshoot,
    /// Largest logit.
    LogitMax,
    /// Mean entropy of the predictions.
    Entropy,
    /// Estimate of the largest curvature.
    Sharpness,
    /// Learning rate.
    LearningRate,
}

impl Quantity {
    /// Its column in the record.
    pub fn column(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Valid => "valid",
            Self::GradNorm => "grad_norm",
            Self::UpdateRatio => "update_ratio",
            Self::Overshoot => "overshoot",
            Self::LogitMax => "logit_max",
            Self::Entropy => "entropy",
            Self::Sharpness => "sharpness",
            Self::LearningRate => "learning_rate",
        }
    }

    /// In words, with its unit where it has one.
    pub fn title(self) -> &'static str {
        match self {
            Self::Loss => "training loss, nats a token",
            Self::Valid => "valid loss, nats a token",
            Self::GradNorm => "gradient norm before clipping",
            Self::UpdateRatio => "update over weights",
            Self::Overshoot => "overshoot ratio ρ",
            Self::LogitMax => "largest logit",
            Self::Entropy => "entropy of the predictions, nats",
            Self::Sharpness => "sharpness",
            Self::LearningRate => "learning rate",
        }
    }

    /// Whether a loss of models that count is a line to hold it against.
    pub fn is_loss(self) -> bool {
        matches!(self, Self::Loss | Self::Valid)
    }

    /// A value that means something by itself.
    pub fn mark(self) -> Option<Baseline> {
        // Below it a step raised the loss that it was to lower.
        (self == Self::Overshoot).then(|| Baseline { label: "raises its own loss below".to_owned(), value: 0.0 })
    }
}

/// Of more curves than this, the bands and marks of some would hide the others.
const CROWD: usize = 60;

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
    pub lines: Vec<Line>,
    /// What they can be compared with.
    pub baselines: Vec<Baseline>,
}

/// One run's curve.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Line {
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
    /// Whether a linear axis would show one spike and a floor: no loss, and spread over two powers of ten.
    pub fn wants_log(&self) -> bool {
        !self.quantity.is_loss() && Range::of(self, true).is_some_and(|range| range.high > 100.0 * range.low)
    }

    /// Whether there are so many curves that each is a line and no more.
    pub fn is_crowded(&self) -> bool {
        self.lines.len() > CROWD
    }

    /// Whether anything is there to be drawn.
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.buckets.iter().all(|bucket| bucket.finite == 0) && line.holes.is_empty())
    }
}

impl Line {
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
