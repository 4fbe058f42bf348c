//! The best of many runs.

use crate::models::last;
use identity::verdict::Verdict;
use identity::{Bucket, EvaluationRow};
use insight::comparison::Differing;
use insight::winner::{self, Group, Scored, Winner};

/// The tail of a run is the last `1 / TAIL` of its steps.
const TAIL: i64 = 10;

/// Groups the runs, and finds the best group if the losses can be compared.
pub fn best(
    parameters: &[Differing],
    verdicts: &[Verdict],
    evaluations: &[Vec<EvaluationRow>],
    curves: &[Vec<Bucket>],
    incomparable: bool,
) -> (Vec<Group>, Option<Winner>) {
    let runs: Vec<Scored> = verdicts
        .iter()
        .zip(evaluations)
        .zip(curves)
        .map(|((verdict, scores), curve)| Scored {
            verdict: verdict.verdict,
            valid: last(scores, "valid").and_then(|score| score.loss),
            tail: tail(curve),
        })
        .collect();
    let mut groups = winner::groups(parameters, runs.len());
    let winner = if incomparable { None } else { winner::winner(&mut groups, &runs) };
    (groups, winner)
}

/// The mean loss over the last tenth of the steps.
fn tail(curve: &[Bucket]) -> Option<f64> {
    let end = curve.last().map(|bucket| bucket.first + bucket.steps)?;
    let last = curve.iter().filter(|bucket| bucket.first + bucket.steps > end - (end / TAIL).max(1));
    let (sum, finite, steps) = last.fold((0.0, 0, 0), |(sum, finite, steps), bucket| {
        (sum + bucket.sum, finite + bucket.finite, steps + bucket.steps)
    });
    (finite == steps).then(|| sum / finite.max(1) as f64).filter(|mean| mean.is_finite())
}
