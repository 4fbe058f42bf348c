//! What a run came to, from what was recorded of it.
//!
//! The data come first: whatever the loss does, a run that reads the wrong text says nothing about its rate. Bounds were
//! chosen by sets of labelled runs and are reported on another (bench/verdicts/README.md).

mod bounds;
pub mod causes;
mod checks;
mod course;
mod data;
mod findings;
mod left;
pub mod losses;
pub mod notes;
mod rise;
pub mod signals;

use std::collections::BTreeMap;

use stages::params::Layout;
use stages::plan::Plan;

use bounds::{BOUNDS, Bounds};
use course::View;
use notes::{Notes, count};
use record::read::{Cell, Evaluation, NgramLoss, Sample, StepRow};
use record::verdicts::{Finding, Kind, TraceRow, Verdict};
use signals::Signals;

/// The version of the rules: verdicts of another are made again.
pub const RULES: i64 = 10;

/// What the rules look at.
#[derive(Debug)]
pub struct Facts {
    pub run: i64,
    pub status: String,
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
    pub evaluations: Vec<Evaluation>,
    pub ngrams: Vec<NgramLoss>,
    pub samples: Vec<Sample>,
    /// What it read, or why that can't be seen.
    pub batches: Result<Batches, String>,
}

impl Facts {
    fn learning_rate(&self) -> Option<f64> {
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
    fn is_range_test(&self) -> bool {
        matches!(self.params.get("train.schedule.kind"), Some(Cell::Text(kind)) if kind == "range")
    }
}

/// What a run's batches are made of.
#[derive(Debug, Clone)]
pub struct Batches {
    pub plan: Plan,
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
    fn costs(&self, steps: usize) -> Option<Vec<f64>> {
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

/// Where a run's loss is now, as its verdict has it: the last held-out loss, or the training loss where none was scored since
/// it left; and which of the two.
pub fn now(facts: &Facts) -> (Option<f64>, &'static str) {
    let (signals, bounds) = measured(facts);
    match &signals.course {
        Some(course) => {
            let view = View::of(&signals, course, &bounds);
            (Some(if course.ends_finite { view.now } else { f64::INFINITY }), view.of)
        }
        None => (None, "training"),
    }
}

/// What the rules look at, and what they hold it against.
fn measured(facts: &Facts) -> (Signals, Bounds) {
    let bounds = BOUNDS.for_noise(losses::noise(facts), facts.trace.len());
    (Signals::of(facts, &bounds), bounds)
}

/// What the rules look at.
pub fn signals_of(facts: &Facts) -> Signals {
    measured(facts).0
}

/// Judges a run.
pub fn judge(facts: &Facts) -> Verdict {
    let (signals, bounds) = measured(facts);
    let mut notes = Notes::default();
    let fault = data::fault(&signals, facts, &bounds, &mut notes);
    let mut outcome = course::outcome(&signals, facts, &bounds, &mut notes);
    if let (Some(onset), Some(fork)) = (outcome.onset, facts.forked_at())
        // The loss of the fork's first step is of weights that it was given.
        && onset as i64 <= fork
    {
        // What the fork was given had no part in it.
        let said = format!(
            "; that was before the fork at step {}, at the rate of what it was forked from",
            count(fork as u64)
        );
        outcome.sentence.push_str(&said);
        outcome.advice = None;
    }
    findings::find(&signals, facts, &bounds, &mut notes);
    if outcome.cause == Some("initial_weights") {
        // The verdict says it.
        notes.retract("odd_start");
    }
    let unseen = facts.batches.is_err();
    let mut verdict = Verdict {
        verdict: outcome.kind,
        cause: outcome.cause.map(str::to_owned),
        onset: outcome.onset.map(|step| step as i64),
        recovered: outcome.recovered,
        sentence: match &outcome.because {
            Some(because) => format!("{}. {because}", outcome.sentence),
            None => outcome.sentence.clone(),
        },
        advice: outcome.advice,
        rules: RULES,
        seen: String::new(),
        findings: notes.findings,
        evidence: notes.evidence,
        checks: notes.checks,
    };
    if let Some(fault) = fault {
        // What the loss did stays told, without advice: of a rate nothing can be said before the data are right.
        verdict.findings.insert(
            0,
            Finding {
                finding: format!("course_{}", verdict.verdict.word()),
                step: verdict.onset,
                sentence: outcome.sentence,
            },
        );
        verdict.verdict = Kind::DataFault;
        verdict.cause = Some(fault.cause.to_owned());
        verdict.onset = Some(fault.onset as i64);
        verdict.recovered = None;
        verdict.sentence = fault.sentence;
        verdict.advice = Some(fault.advice);
        // What the rate does is no matter before the data are right.
        verdict
            .evidence
            .retain(|it| it.about == Kind::DataFault.word() || verdict.findings.iter().any(|f| f.finding == it.about));
    }
    // What a checkpoint brings along no fork can have otherwise.
    let brought = matches!(verdict.cause.as_deref(), Some("sliding_window" | "initial_weights"));
    if brought && facts.forked_at().is_some() {
        verdict.sentence.push_str("; so it was in what this run was forked from");
        verdict.advice = None;
    }
    if verdict.verdict != Kind::DataFault && unseen && verdict.advice.is_some() {
        let advice = "what was read could not be looked at, and comes before the rate: name the store with --store";
        verdict.advice = Some(advice.to_owned());
    }
    verdict
}

#[cfg(test)]
pub mod tests;
