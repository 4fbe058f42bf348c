//! Trials of a cause: a run in which only what the cause names is changed, and what its outcome says about the cause.

use crate::verdict::causes::round;
use crate::verdict::notes::number;
use crate::verdict::{Facts, now};
use identity::Cell;
use identity::verdict::{Cause, Kind, Signal, TrialOutcome, Verdict};

/// How much lower a loss must be, in nats, to count as a different outcome; smaller differences occur by chance.
const CLEARLY: f64 = 0.1;

/// A run that differs only in what a cause names.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    pub cause: Cause,
    /// The checkpoint that it forks from; `None` if it starts from the beginning.
    pub fork: Option<i64>,
    /// The parameters that it sets, as `--set` takes them.
    pub sets: Vec<String>,
    /// What the trial changes, as a phrase that follows "with": `a third of the rate`.
    with: String,
}

/// Whether a cause has a trial.
pub fn has_one(cause: Cause) -> bool {
    matches!(cause, Cause::RateTooHigh | Cause::RateTooLow | Cause::InitialWeights | Cause::SlidingWindow)
}

/// The trial of a verdict's cause.
///
/// # Errors
/// When there is no trial; the text says why, and follows the name of the run and a colon.
pub fn of(verdict: &Verdict, facts: &Facts) -> Result<Trial, String> {
    let Some(cause) = &verdict.cause else {
        return Err(format!("its verdict is {} and names no cause", verdict.verdict));
    };
    if let (Some(onset), Some(fork)) = (verdict.onset, facts.forked_at())
        && onset <= fork
    {
        return Err(format!(
            "the problem began at step {onset}, no later than the fork at step {fork}; confirm the run that it was \
             forked from"
        ));
    }
    let name = cause.as_str().replace('_', " ");
    let Some(cause) = cause.known() else {
        return Err(format!("its cause, {name}, comes from newer rules, which this program does not know"));
    };
    if facts.forked_at().is_some() && matches!(cause, Cause::SlidingWindow | Cause::InitialWeights) {
        return Err(format!("its cause, {name}, is inherited from the run that it was forked from; confirm that run"));
    }
    let rate = |factor: f64| match facts.params.get("train.learning_rate") {
        // Rounded as in the advice, so that the trial tries what was advised.
        Some(Cell::Real(rate)) => Ok(round(rate * factor)),
        _ => Err("it has no learning rate".to_owned()),
    };
    let trial =
        |fork: Option<i64>, set: String, with: &str| Trial { cause, fork, sets: vec![set], with: with.to_owned() };
    Ok(match cause {
        // The loss of step n is that of checkpoint n, so the update before the onset caused the loss at the onset.
        Cause::RateTooHigh => {
            let fork = verdict.onset.map(|onset| onset - 1).filter(|at| *at > 0);
            trial(fork, format!("train.learning_rate={}", rate(1.0 / 3.0)?), "a third of the rate")
        }
        // As in the advice: ten times the rate if steps have much headroom.
        Cause::RateTooLow if verdict.evidence.iter().any(|it| it.signal == Signal::Headroom) => {
            trial(None, format!("train.learning_rate={}", rate(10.0)?), "ten times the rate")
        }
        Cause::RateTooLow => trial(None, format!("train.learning_rate={}", rate(3.0)?), "three times the rate"),
        Cause::InitialWeights => {
            let mut them = trial(None, "train.init={ uniform = 0.1 }".to_owned(), "small initial weights");
            them.sets.push("train.forget_bias=0.0".to_owned());
            them
        }
        Cause::SlidingWindow => {
            trial(None, "batch.layout=streams".to_owned(), "parallel streams instead of a sliding window")
        }
        Cause::CorruptedBatches | Cause::TooLittleText | Cause::NoOrder | Cause::SplitsDiffer => {
            return Err(format!("no trial can test its cause, {name}, because the text itself must change"));
        }
    })
}

impl Trial {
    /// The outcome as a word, and a sentence. `before` is the run in question, `after` the trial.
    pub fn outcome(&self, before: (&Verdict, &Facts), after: (&Verdict, &Facts)) -> (TrialOutcome, String) {
        let ((was, of), (is, and)) = (now(before.1), now(after.1));
        if of != and {
            let said = format!("their last losses can't be compared: one is a {of} loss, the other a {and} loss");
            return (TrialOutcome::Open, said);
        }
        let well = !matches!(after.0.verdict, Kind::DataFault | Kind::Diverged | Kind::Unstable | Kind::Inconclusive);
        // After a data fault, only held-out text shows which run is better; `now` prefers its loss.
        let better = match (was, is) {
            (Some(was), Some(is)) => is < was - CLEARLY,
            _ => false,
        };
        let said = |loss: Option<f64>| match loss {
            None => "no loss".to_owned(),
            Some(loss) if loss.is_finite() => number(loss),
            Some(_) => "NaN or Inf".to_owned(),
        };
        let ends = match (was, is) {
            (Some(was), Some(is)) if !was.is_finite() && !is.is_finite() => "is NaN or Inf too".to_owned(),
            _ => format!("ends at {} instead of {}", said(is), said(was)),
        };
        let kind = after.0.verdict.as_str().replace('_', " ");
        let with = &self.with;
        match (self.cause, well, better) {
            // A loss that recovered may end as low as one that never rose.
            (Cause::RateTooHigh, true, false) if before.0.recovered == Some(true) => {
                (TrialOutcome::Confirmed, format!("with {with}, the loss does not rise ({kind}) and {ends}"))
            }
            // For a run that never recovered, a recovery is a different outcome.
            (Cause::RateTooHigh | Cause::InitialWeights, _, true)
                if before.0.verdict == Kind::Diverged && after.0.verdict == Kind::Unstable =>
            {
                (TrialOutcome::Confirmed, format!("with {with}, the loss recovers ({kind}) and {ends}"))
            }
            (Cause::SlidingWindow, _, true) if after.0.verdict != Kind::DataFault => {
                (TrialOutcome::Confirmed, format!("with {with}, at the same rate, the loss {ends} ({kind})"))
            }
            (_, true, true) => {
                (TrialOutcome::Confirmed, format!("with {with} and all else equal, the loss {ends} ({kind})"))
            }
            (_, false, _) if after.0.verdict == Kind::Inconclusive => {
                (TrialOutcome::Open, format!("with {with}, the trial is {kind}: the loss {ends}"))
            }
            (Cause::RateTooLow, false, _) => (
                TrialOutcome::Open,
                format!("with {with}, the verdict is {kind}, so that rate is too high; the loss {ends}"),
            ),
            (_, false, true) => (
                TrialOutcome::NotConfirmed,
                format!(
                    "with {with}, the verdict is {kind} too, but the loss {ends}; to continue from there: pipeline \
                     confirm {}",
                    after.1.run
                ),
            ),
            (_, false, false) => {
                (TrialOutcome::NotConfirmed, format!("with {with}, the verdict is {kind} too: the loss {ends}"))
            }
            // If the rate is too low to show the effect of the cause, the trial shows nothing.
            (Cause::SlidingWindow | Cause::RateTooLow, _, false) if after.0.verdict == Kind::TooLow => (
                TrialOutcome::Open,
                format!("with {with}, the loss {ends}: at such a rate, little is learned either way ({kind})"),
            ),
            (_, true, false) => {
                (TrialOutcome::NotConfirmed, format!("with {with}, the loss {ends}, which is no better ({kind})"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{judge, tests::run};

    /// A run that diverges at step 120 to a loss of `to`.
    fn diverges(to: f64) -> (Verdict, Facts) {
        let facts = run(300, |at| if at < 120 { 7.0 - at as f64 * 0.03 } else { to });
        (judge(&facts), facts)
    }

    #[test]
    fn the_trial_forks_from_the_checkpoint_before_the_onset() {
        let (verdict, facts) = diverges(9.0);
        let trial = of(&verdict, &facts).unwrap();
        assert_eq!((trial.fork, trial.sets), (Some(119), vec!["train.learning_rate=0.3".to_owned()]));
        // At the start there is no checkpoint to fork from.
        let at_once = Verdict { onset: Some(1), ..verdict };
        assert_eq!(of(&at_once, &facts).unwrap().fork, None);
    }

    #[test]
    fn a_sound_run_and_a_broken_text_have_no_trial() {
        let facts = run(300, |at| 7.0 - at as f64 * 0.01);
        assert_eq!(of(&judge(&facts), &facts), Err("its verdict is stable and names no cause".to_owned()));
        let verdict = Verdict { cause: Some(Cause::NoOrder.into()), ..judge(&facts) };
        assert_eq!(
            of(&verdict, &facts),
            Err("no trial can test its cause, no order, because the text itself must change".to_owned())
        );
        let newer = Verdict { cause: Some("moon_phase".to_owned().into()), ..judge(&facts) };
        assert_eq!(
            of(&newer, &facts),
            Err("its cause, moon phase, comes from newer rules, which this program does not know".to_owned())
        );
    }

    #[test]
    fn outcomes_compare_the_trial_with_the_run() {
        let (verdict, facts) = diverges(9.0);
        let trial = of(&verdict, &facts).unwrap();
        let outcome = |(is, there): &(Verdict, Facts)| trial.outcome((&verdict, &facts), (is, there)).0;
        assert_eq!(outcome(&diverges(3.4)), TrialOutcome::Confirmed);
        assert_eq!(outcome(&diverges(9.5)), TrialOutcome::NotConfirmed);
        let less = diverges(8.0);
        let said = trial.outcome((&verdict, &facts), (&less.0, &less.1)).1;
        assert!(said.contains("diverged too, but the loss ends at 8.00 instead of 9.00"), "{said}");
        let short = run(5, |_| 7.0);
        assert_eq!(outcome(&(judge(&short), short)), TrialOutcome::Open);
    }
}
