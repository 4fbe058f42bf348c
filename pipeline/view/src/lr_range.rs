//! Learning rate range tests: runs whose learning rate rises until the loss diverges.

use identity::{RunId, TraceRow};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use stages::params::{Batch, Layout, Optimizer, Train};

use crate::Source;
use crate::models::baselines;
use chart::axis::Baseline;
use insight::range::{Conclusion, Tried, conclude, smoothed};

/// Some learning rate range tests.
#[derive(Debug, JsonSchema, Serialize)]
pub struct LrRangeView {
    pub tests: Vec<RangeTest>,
}

/// A learning rate range test and its conclusion.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RangeTest {
    pub run: RunId,
    /// The values that distinguish the tested point from those of other tests.
    pub point: Map<String, Value>,
    pub optimizer: Optimizer,
    pub from: f64,
    pub to: f64,
    /// The planned number of steps; a run ends early if its loss is not finite.
    pub steps: i64,
    #[serde(flatten)]
    pub found: Conclusion,
    /// The scale of the loss that the rates apply to; `None` if the optimizer does not depend on this scale.
    #[serde(skip)]
    pub scale: Option<LossUnit>,
    /// Whether consecutive batches overlap almost entirely.
    pub sliding: bool,
    /// The command that trains at the suggested rate.
    pub command: Option<String>,
    /// The horizontal lines drawn beside the curve.
    pub baselines: Vec<Baseline>,
    pub curve: Vec<CurveStep>,
}

/// The scale of the loss that learning rates apply to.
#[derive(Debug, Clone, Copy)]
pub struct LossUnit {
    pub summed: bool,
    pub unroll: u64,
}

/// A step of the curve.
#[derive(Debug, JsonSchema, Serialize)]
pub struct CurveStep {
    pub step: i64,
    pub learning_rate: f64,
    /// `None` if the loss was not finite.
    pub loss: Option<f64>,
    pub smoothed: Option<f64>,
}

impl RangeTest {
    /// Reads the range test `run`, but without the command that trains at the suggested rate.
    pub fn read<S: Source>(
        source: &mut S,
        run: RunId,
        span: RateSpan,
        steps: i64,
        point: &TestedPoint,
    ) -> Result<Self, S::Error> {
        let rows = source.record().trace(run)?;
        let (stages, ngrams) = (source.stages(run)?, source.record().ngrams(run)?);
        let mut lines = baselines(&stages, &ngrams);
        // The loss of a short test stays far above the baselines with longer contexts.
        lines.retain(|line| matches!(line.label.as_str(), "ln V" | "unigram"));
        Ok(Self { baselines: lines, ..Self::of(run, &rows, span, steps, point) })
    }

    /// Draws conclusions from the steps of a test.
    pub fn of(run: RunId, rows: &[TraceRow], span: RateSpan, steps: i64, point: &TestedPoint) -> Self {
        let TestedPoint { swept, train, batch } = point;
        // Every step of a range test has a rate.
        let rate = |row: &TraceRow| row.learning_rate.unwrap_or(f64::NAN);
        let tried: Vec<Tried> = rows
            .iter()
            .map(|row| Tried { step: row.step, learning_rate: rate(row), loss: row.loss.unwrap_or(f64::INFINITY) })
            .collect();
        let step = |(row, smooth): (&TraceRow, f64)| CurveStep {
            step: row.step,
            learning_rate: rate(row),
            loss: row.loss,
            smoothed: Some(smooth).filter(|loss| loss.is_finite()),
        };
        let plain = matches!(train.optimizer, Optimizer::Sgd | Optimizer::Momentum) && batch.unroll > 1;
        let mut found = conclude(&tried, train.optimizer);
        let sliding = batch.layout == Layout::Sliding;
        if sliding {
            // With a data fault, no rate can be suggested.
            found.suggestion = None;
        }
        let summed = train.loss_scale.factor(batch.unroll) != 1.0;
        Self {
            run,
            point: swept.clone(),
            optimizer: train.optimizer,
            from: span.from,
            to: span.to,
            steps,
            found,
            scale: plain.then_some(LossUnit { summed, unroll: batch.unroll }),
            sliding,
            command: None,
            baselines: Vec::new(),
            curve: rows.iter().zip(smoothed(&tried)).map(step).collect(),
        }
    }
}

/// The point that is tested.
#[derive(Debug)]
pub struct TestedPoint {
    /// The values that distinguish the point from others.
    pub swept: Map<String, Value>,
    pub train: Train,
    pub batch: Batch,
}

/// The rates of the first and the last step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateSpan {
    pub from: f64,
    pub to: f64,
}
