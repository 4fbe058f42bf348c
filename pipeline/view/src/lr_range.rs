//! Trainings whose rate rises until the loss breaks away.

use identity::{RunId, TraceRow};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use stages::params::{Batch, Layout, Optimizer, Train};

use crate::Source;
use crate::models::baselines;
use chart::axis::Baseline;
use insight::range::{Conclusion, Tried, conclude, smoothed};

/// Some range tests.
#[derive(Debug, JsonSchema, Serialize)]
pub struct LrRangeView {
    pub tests: Vec<RangeTest>,
}

/// A test and what it shows.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RangeTest {
    pub run: RunId,
    /// What tells its point from those of other tests.
    pub point: Map<String, Value>,
    pub optimizer: Optimizer,
    pub from: f64,
    pub to: f64,
    /// Of the training, had it not ended at a loss that was no number.
    pub steps: i64,
    #[serde(flatten)]
    pub found: Conclusion,
    /// How many times a mean loss the loss is that the rates are meant for; `None` where rates are the same for either.
    #[serde(skip)]
    pub scale: Option<LossUnit>,
    /// Whether neighbouring batches are nearly the same.
    pub sliding: bool,
    /// What trains at the suggestion.
    pub command: Option<String>,
    /// The lines of the curve.
    pub baselines: Vec<Baseline>,
    pub curve: Vec<CurveStep>,
}

/// The loss that rates are meant for.
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
    /// `None` where it was no number.
    pub loss: Option<f64>,
    pub smoothed: Option<f64>,
}

impl RangeTest {
    /// Reads the test that a run is; without the command that trains at the suggestion.
    ///
    /// # Errors
    /// Those of the source.
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
        // So early, what longer contexts come to is out of sight.
        lines.retain(|line| matches!(line.label.as_str(), "ln V" | "unigram"));
        Ok(Self { baselines: lines, ..Self::of(run, &rows, span, steps, point) })
    }

    /// What the steps of a test show.
    pub fn of(run: RunId, rows: &[TraceRow], span: RateSpan, steps: i64, point: &TestedPoint) -> Self {
        let TestedPoint { swept, train, batch } = point;
        // Every step of such a run has its rate.
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
            // A fault of the data comes before the rate.
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

/// The point that a test is of.
#[derive(Debug)]
pub struct TestedPoint {
    /// What tells it from the others.
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
