//! What a run came to, from what was recorded of it.
//!
//! The data come first: whatever the loss does, a run that reads the wrong text says nothing about its rate. Bounds were
//! chosen on one half of a set of labelled runs and are reported on the other (bench/verdicts/README.md).

use std::collections::BTreeMap;

use stages::plan::Plan;

use crate::record::read::{Cell, Evaluation, NgramLoss, Sample, StepRow};
use crate::record::verdicts::{Kind, TraceRow, Verdict};

/// The version of the rules: verdicts of another are made again.
pub const RULES: i64 = 1;

/// What the rules look at.
#[derive(Debug)]
pub struct Facts {
    pub status: String,
    pub params: BTreeMap<String, Cell>,
    /// Every step, in order.
    pub trace: Vec<TraceRow>,
    /// The steps at which more was measured.
    pub probes: Vec<StepRow>,
    pub evaluations: Vec<Evaluation>,
    pub ngrams: Vec<NgramLoss>,
    pub samples: Vec<Sample>,
    /// What it read, or why that can't be seen.
    pub batches: Result<Batches, String>,
}

/// What a run's batches are made of.
#[derive(Debug)]
pub struct Batches {
    pub plan: Plan,
    /// Windows of the plan that a step reads.
    pub windows: u64,
    /// Of the vocabulary.
    pub types: u64,
    /// By step: the mean surprise of its tokens, in nats, to one who knows the frequencies of types in train alone.
    pub surprise: Vec<f64>,
}

/// Judges a run.
pub fn judge(facts: &Facts) -> Verdict {
    Verdict {
        verdict: Kind::Inconclusive,
        cause: None,
        onset: None,
        recovered: None,
        sentence: format!("too little to say after {} steps", facts.trace.len()),
        advice: None,
        rules: RULES,
        seen: String::new(),
        findings: Vec::new(),
        evidence: Vec::new(),
        checks: Vec::new(),
    }
}
