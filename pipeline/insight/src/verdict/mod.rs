//! Judges a run from its record.
//!
//! The data come first: whatever its loss does, a run that reads faulty data says nothing about the learning rate. The
//! bounds were chosen on some sets of labelled runs, and their accuracy was measured on another set
//! (bench/verdicts/README.md).

mod bounds;
mod case;
pub mod causes;
mod checks;
mod course;
mod data;
mod facts;
mod findings;
mod left;
pub mod losses;
pub mod notes;
mod rise;
pub mod signals;
mod statistics;

use bounds::{BOUNDS, Bounds};
use case::CourseView;
pub use facts::{Batches, Facts};
use identity::Word;
use identity::verdict::{About, Cause, Finding, FindingKind, Kind, Verdict};
use notes::{Notes, count};
use signals::Signals;

/// The version of the rules; verdicts of another version are recomputed.
pub const RULES: i64 = 11;

/// The present loss of a run as its verdict uses it, and which loss that is: the last held-out loss, or the training
/// loss if no checkpoint was evaluated since the loss rose.
pub fn now(facts: &Facts) -> (Option<f64>, &'static str) {
    let (signals, bounds) = measured(facts);
    match &signals.course {
        Some(course) => {
            let view = CourseView::of(&signals, course, &bounds);
            (Some(if course.ends_finite { view.now } else { f64::INFINITY }), view.of)
        }
        None => (None, "training"),
    }
}

/// The signals that the rules look at, and the bounds that they compare them with.
fn measured(facts: &Facts) -> (Signals, Bounds) {
    let bounds = BOUNDS.for_noise(losses::noise(facts), facts.trace.len());
    (Signals::of(facts, &bounds), bounds)
}

/// The signals that the rules look at.
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
        // The loss of a fork's first step is that of the weights in its checkpoint.
        && onset as i64 <= fork
    {
        // The fork's own parameters can't be the cause of what began before the fork.
        let said = format!(
            "; that was before the fork at step {}, at the learning rate of the run that it was forked from",
            count(fork as u64)
        );
        outcome.sentence.push_str(&said);
        outcome.advice = None;
    }
    findings::find(&signals, facts, &bounds, &mut notes);
    if outcome.cause == Some(Cause::InitialWeights) {
        // The verdict already says this.
        notes.retract(FindingKind::OddStart);
    }
    let unseen = facts.batches.is_err();
    let mut verdict = Verdict {
        verdict: outcome.kind,
        cause: outcome.cause.map(Word::from),
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
        // The course of the loss is still reported, but without advice: nothing can be said about a rate before the
        // data are right.
        if let Some(course) = FindingKind::course(verdict.verdict) {
            let finding = Finding { finding: course.into(), step: verdict.onset, sentence: outcome.sentence };
            verdict.findings.insert(0, finding);
        }
        verdict.verdict = Kind::DataFault;
        verdict.cause = Some(fault.cause.into());
        verdict.onset = Some(fault.onset as i64);
        verdict.recovered = None;
        verdict.sentence = fault.sentence;
        verdict.advice = Some(fault.advice);
        // Evidence about the rate does not count before the data are right.
        let stays = |about: About| match about {
            About::Verdict(kind) => kind == Kind::DataFault,
            About::Finding(kind) => verdict.findings.iter().any(|it| it.finding == kind),
        };
        verdict.evidence.retain(|it| it.about.known().is_some_and(stays));
    }
    // A fork can't change what it inherits from its checkpoint.
    let cause = verdict.cause.as_ref().and_then(Word::known);
    let brought = matches!(cause, Some(Cause::SlidingWindow | Cause::InitialWeights));
    if brought && facts.forked_at().is_some() {
        verdict.sentence.push_str("; this was so already in the run that it was forked from");
        verdict.advice = None;
    }
    if verdict.verdict != Kind::DataFault && unseen && verdict.advice.is_some() {
        let advice = "the data could not be checked; before changing the learning rate, name the store with --store";
        verdict.advice = Some(advice.to_owned());
    }
    verdict
}

#[cfg(test)]
pub mod tests;
