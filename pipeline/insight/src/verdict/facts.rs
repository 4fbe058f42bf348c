//! What was recorded of a run, as far as the rules look at it.

use std::collections::BTreeMap;

use stages::params::Layout;
use stages::plan::BatchPlan;

use identity::{Cell, EvaluationRow, NgramLoss, RunId, SampleRow, Status, StepRow, TraceRow};

/// What the rules look at.
#[derive(Debug)]
pub struct Facts {
    pub run: RunId,
    pub status: Status,
    /// What an even guess costs, and what frequencies do on train, as the stage vocab has them.
    pub even: Option<f64>,
    pub entropy: Option<f64>,
    pub params: BTreeMap<String, Cell>,
    /// Every step, in order.
    pub trace: Vec<TraceRow>,
    /// The steps at which more was measured.
    pub probes: Vec<StepRow>,
    /// The share of training's time that they took.
    pub probe_share: Option<f64>,
    pub evaluations: Vec<EvaluationRow>,
    pub ngrams: Vec<NgramLoss>,
    pub samples: Vec<SampleRow>,
    /// What it read, or why that can't be seen.
    pub batches: Result<Batches, String>,
}

impl Facts {
    pub(super) fn learning_rate(&self) -> Option<f64> {
        match self.params.get("train.learning_rate") {
            Some(Cell::Real(rate)) => Some(*rate),
            _ => None,
        }
    }

    /// The first step that is the run's own, where it is a fork.
    pub fn forked_at(&self) -> Option<i64> {
        match self.params.get("train.fork.step") {
            Some(Cell::Integer(step)) => Some(*step),
            _ => None,
        }
    }

    /// Whether the rate rises until the loss breaks away.
    pub(super) fn is_range_test(&self) -> bool {
        matches!(self.params.get("train.schedule.kind"), Some(Cell::Text(kind)) if kind == "range")
    }
}

/// What a run's batches are made of.
#[derive(Debug, Clone)]
pub struct Batches {
    pub plan: BatchPlan,
    /// Windows of the plan that a step reads.
    pub windows: u64,
    /// Of the vocabulary.
    pub types: u64,
    /// By step of the first epoch: the mean surprise of its tokens, in nats, to one who knows the frequencies of types in train
    /// alone. Of fewer steps, where they are too many to look at.
    pub surprise: Vec<f64>,
}

impl Batches {
    /// What the tokens of each step cost by frequencies alone, where all were looked at. Of a step whose words nobody looked
    /// at, since it begins another epoch in another order, what they cost in the mean.
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
