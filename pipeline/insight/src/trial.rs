//! What would show that a cause is the cause: the same training but for what the cause names, and what its outcome says.

use crate::verdict::causes::round;
use crate::verdict::notes::number;
use crate::verdict::{Facts, now};
use identity::Cell;
use identity::verdict::{Cause, Kind, Signal, TrialOutcome, Verdict};

/// How much lower a loss must be to be another outcome: an untold part of a perplexity comes and goes by chance.
const CLEARLY: f64 = 0.1;

/// A run that differs in what a cause names.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    pub cause: Cause,
    /// The checkpoint that it goes on from; from the beginning otherwise.
    pub fork: Option<i64>,
    /// What it sets, as `--set` takes it.
    pub sets: Vec<String>,
    /// What that is, in words.
    with: String,
}

/// Whether a cause has a trial.
pub fn has_one(cause: Cause) -> bool {
    matches!(cause, Cause::RateTooHigh | Cause::RateTooLow | Cause::InitialWeights | Cause::SlidingWindow)
}

/// The trial of a verdict's cause.
///
/// # Errors
/// Why there is none, in words.
pub fn of(verdict: &Verdict, facts: &Facts) -> Result<Trial, String> {
    let Some(cause) = &verdict.cause else {
        return Err(format!("its verdict is {} and names no cause", verdict.verdict));
    };
    if let (Some(onset), Some(fork)) = (verdict.onset, facts.forked_at())
        && onset <= fork
    {
        return Err(format!(
            "what began at step {onset} began before its fork at step {fork}: confirm what it was forked from"
        ));
    }
    let name = cause.as_str().replace('_', " ");
    let Some(cause) = cause.known() else {
        return Err(format!("its cause, {name}, is one of newer rules, which this program does not know"));
    };
    if facts.forked_at().is_some() && matches!(cause, Cause::SlidingWindow | Cause::InitialWeights) {
        return Err(format!(
            "its {name} came with the checkpoint that it was forked from: confirm what that belongs to"
        ));
    }
    let rate = |factor: f64| match facts.params.get("train.learning_rate") {
        // As the advice words it, so that what is advised is what was tried.
        Some(Cell::Real(rate)) => Ok(round(rate * factor)),
        _ => Err("it has no learning rate".to_owned()),
    };
    let trial =
        |fork: Option<i64>, set: String, with: &str| Trial { cause, fork, sets: vec![set], with: with.to_owned() };
    Ok(match cause {
        // Step n measures checkpoint n: the onset's loss is of weights that the step before it made.
        Cause::RateTooHigh => {
            let fork = verdict.onset.map(|onset| onset - 1).filter(|at| *at > 0);
            trial(fork, format!("train.learning_rate={}", rate(1.0 / 3.0)?), "a third of the rate")
        }
        // As the advice has it: where steps have much room, ten times.
        Cause::RateTooLow if verdict.evidence.iter().any(|it| it.signal == Signal::Headroom) => {
            trial(None, format!("train.learning_rate={}", rate(10.0)?), "ten times the rate")
        }
        Cause::RateTooLow => trial(None, format!("train.learning_rate={}", rate(3.0)?), "three times the rate"),
        Cause::InitialWeights => {
            let mut them = trial(None, "train.init={ uniform = 0.1 }".to_owned(), "small initial weights");
            them.sets.push("train.forget_bias=0.0".to_owned());
            them
        }
        Cause::SlidingWindow => trial(None, "batch.layout=streams".to_owned(), "the text in parallel streams"),
        Cause::CorruptedBatches | Cause::TooLittleText | Cause::NoOrder | Cause::SplitsDiffer => {
            return Err(format!("no trial can put {name} right: the text itself must change"));
        }
    })
}

impl Trial {
    /// What came of it: the outcome's word, and a sentence. `before` is the run in question, `after` the trial.
    pub fn outcome(&self, before: (&Verdict, &Facts), after: (&Verdict, &Facts)) -> (TrialOutcome, String) {
        let ((was, of), (is, and)) = (now(before.1), now(after.1));
        if of != and {
            let said = format!("what they end at is no one thing: a {of} loss beside a {and} loss");
            return (TrialOutcome::Open, said);
        }
        let well = !matches!(after.0.verdict, Kind::DataFault | Kind::Diverged | Kind::Unstable | Kind::Inconclusive);
        // Whatever a wrong text was learned to, only held-out text tells.
        let better = match (was, is) {
            (Some(was), Some(is)) => is < was - CLEARLY,
            _ => false,
        };
        let said = |loss: Option<f64>| match loss {
            None => "no score".to_owned(),
            Some(loss) if loss.is_finite() => number(loss),
            Some(_) => "what is not finite".to_owned(),
        };
        let ends = match (was, is) {
            (Some(was), Some(is)) if !was.is_finite() && !is.is_finite() => "its loss is not finite either".to_owned(),
            _ => format!("it ends at {} instead of {}", said(is), said(was)),
        };
        let kind = after.0.verdict.as_str().replace('_', " ");
        let with = &self.with;
        match (self.cause, well, better) {
            // A loss that came back may end no higher than one that never left.
            (Cause::RateTooHigh, true, false) if before.0.recovered == Some(true) => {
                (TrialOutcome::Confirmed, format!("with {with} the loss does not rise ({kind}); {ends}"))
            }
            // Of a run that never came back, to come back is another outcome.
            (Cause::RateTooHigh | Cause::InitialWeights, _, true)
                if before.0.verdict == Kind::Diverged && after.0.verdict == Kind::Unstable =>
            {
                (TrialOutcome::Confirmed, format!("with {with} it comes back ({kind}): {ends}"))
            }
            (Cause::SlidingWindow, _, true) if after.0.verdict != Kind::DataFault => {
                (TrialOutcome::Confirmed, format!("with {with}, at the same rate, {ends} ({kind})"))
            }
            (_, true, true) => (TrialOutcome::Confirmed, format!("with {with} and all else equal {ends} ({kind})")),
            (_, false, _) if after.0.verdict == Kind::Inconclusive => {
                (TrialOutcome::Open, format!("with {with} {ends}, which says too little ({kind})"))
            }
            (Cause::RateTooLow, false, _) => {
                (TrialOutcome::Open, format!("with {with} it is {kind}, which is too much: {ends}"))
            }
            (_, false, true) => (
                TrialOutcome::NotConfirmed,
                format!(
                    "with {with} it is {kind} too, if less so: {ends}; pipeline confirm {} continues from there",
                    after.1.run
                ),
            ),
            (_, false, false) => (TrialOutcome::NotConfirmed, format!("with {with} it is {kind} too: {ends}")),
            // Where the rate hides what the cause does, nothing is shown.
            (Cause::SlidingWindow | Cause::RateTooLow, _, false) if after.0.verdict == Kind::TooLow => (
                TrialOutcome::Open,
                format!("with {with} {ends}: at such a rate little is learned either way ({kind})"),
            ),
            (_, true, false) => {
                (TrialOutcome::NotConfirmed, format!("with {with} {ends}, which is no better ({kind})"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{judge, tests::run};

    /// A run that leaves at step 120 for a loss of `to`.
    fn leaves(to: f64) -> (Verdict, Facts) {
        let facts = run(300, |at| if at < 120 { 7.0 - at as f64 * 0.03 } else { to });
        (judge(&facts), facts)
    }

    #[test]
    fn the_state_before_the_onset_is_forked() {
        let (verdict, facts) = leaves(9.0);
        let trial = of(&verdict, &facts).unwrap();
        assert_eq!((trial.fork, trial.sets), (Some(119), vec!["train.learning_rate=0.3".to_owned()]));
        // At the start there is nothing to go on from.
        let at_once = Verdict { onset: Some(1), ..verdict };
        assert_eq!(of(&at_once, &facts).unwrap().fork, None);
    }

    #[test]
    fn a_sound_verdict_and_a_broken_text_have_no_trial() {
        let facts = run(300, |at| 7.0 - at as f64 * 0.01);
        assert_eq!(of(&judge(&facts), &facts), Err("its verdict is stable and names no cause".to_owned()));
        let verdict = Verdict { cause: Some(Cause::NoOrder.into()), ..judge(&facts) };
        assert_eq!(
            of(&verdict, &facts),
            Err("no trial can put no order right: the text itself must change".to_owned())
        );
        let newer = Verdict { cause: Some("moon_phase".to_owned().into()), ..judge(&facts) };
        assert_eq!(
            of(&newer, &facts),
            Err("its cause, moon phase, is one of newer rules, which this program does not know".to_owned())
        );
    }

    #[test]
    fn what_came_of_it() {
        let (verdict, facts) = leaves(9.0);
        let trial = of(&verdict, &facts).unwrap();
        let outcome = |(is, there): &(Verdict, Facts)| trial.outcome((&verdict, &facts), (is, there)).0;
        assert_eq!(outcome(&leaves(3.4)), TrialOutcome::Confirmed);
        assert_eq!(outcome(&leaves(9.5)), TrialOutcome::NotConfirmed);
        assert!(
            trial.outcome((&verdict, &facts), (&leaves(8.0).0, &leaves(8.0).1)).1.contains("diverged too, if less so")
        );
        let short = run(5, |_| 7.0);
        assert_eq!(outcome(&(judge(&short), short)), TrialOutcome::Open);
    }
}
