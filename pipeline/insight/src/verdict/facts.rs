//! The part of a run's record that the rules read.

use std::collections::BTreeMap;

use stages::params::Layout;
use stages::plan::BatchPlan;

use identity::{Cell, EvaluationRow, NgramLoss, RunId, SampleRow, Status, StepRow, TraceRow};

/// What the rules read about a run.
#[derive(Debug)]
pub struct Facts {
    pub run: RunId,
    pub status: Status,
    /// The loss of a uniform guess, as the stage `vocab` reported it.
    pub even: Option<f64>,
    /// The unigram baseline on train, as the stage `vocab` reported it.
    pub entropy: Option<f64>,
    pub params: BTreeMap<String, Cell>,
    /// Every step, in order.
    pub trace: Vec<TraceRow>,
    /// The probed steps.
    pub probes: Vec<StepRow>,
    /// The share of the training time that the probes took.
    pub probe_share: Option<f64>,
    pub evaluations: Vec<EvaluationRow>,
    pub ngrams: Vec<NgramLoss>,
    pub samples: Vec<SampleRow>,
    /// The data that the run read, or why they can't be read now.
    pub batches: Result<Batches, String>,
}

impl Facts {
    pub(super) fn learning_rate(&self) -> Option<f64> {
        match self.params.get("train.learning_rate") {
            Some(Cell::Real(rate)) => Some(*rate),
            _ => None,
        }
    }

    /// The run's own first step, if it is a fork.
    pub fn forked_at(&self) -> Option<i64> {
        match self.params.get("train.fork.step") {
            Some(Cell::Integer(step)) => Some(*step),
            _ => None,
        }
    }

    /// Whether the run is a range test, whose rate rises until the loss diverges.
    pub(super) fn is_range_test(&self) -> bool {
        matches!(self.params.get("train.schedule.kind"), Some(Cell::Text(kind)) if kind == "range")
    }
}

/// The data in a run's batches.
#[derive(Debug, Clone)]
pub struct Batches {
    pub plan: BatchPlan,
    /// The number of the plan's windows per step.
    pub windows: u64,
    /// The number of types in the vocabulary.
    pub types: u64,
    /// For each step of the first epoch, the mean loss of its tokens under the unigram baseline of train, in nats. If
    /// the epoch has too many steps, only the first ones are included.
    pub surprise: Vec<f64>,
}

impl Batches {
    /// The loss of each step's tokens under the unigram baseline; `None` unless it is known for the whole first epoch.
    /// Later epochs repeat the first one; if they read the text in another order, their steps get the mean.
    pub(super) fn costs(&self, steps: usize) -> Option<Vec<f64>> {
        let (windows, epoch) = (self.windows.max(1), self.plan.steps_per_epoch());
        let seen = &self.surprise;
        let first = epoch.div_ceil(windows).max(1) as usize;
        if seen.is_empty() || seen.len() < steps.min(first) {
            return None;
        }
        let again = self.plan.layout != Layout::Shuffled && epoch.is_multiple_of(windows);
        let mean = seen.iter().sum::<f64>() / seen.len() as f64;
        let cost = |step: usize| match step < first || again {
            true => seen[step % first],
            false => mean,
        };
        Some((0..steps).map(cost).collect())
    }
}
