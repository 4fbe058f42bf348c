//! What a learning-rate range test shows: where the loss falls, where it breaks away, and a rate well below that.
//!
//! Smith 2017 (arXiv 1506.01186). The rate rises from step to step while the model trains, so that the rate at which the
//! loss breaks away is that of a model which has learned at every lower one.
//!
//! The numbers here were chosen on the half of the labelled grids that is Shakespeare, in tests of 200 steps over five
//! decades, and held against the other half (bench/verdicts/README.md).

use schemars::JsonSchema;
use serde::Serialize;
use stages::params::Optimizer;

/// Steps over which a loss is smoothed: the middle one of as many neighbours. One batch that is hard, or one step that went
/// wrong and was made good by the next, is no break.
const NEIGHBOURS: usize = 9;

/// The loss has broken away where it is above this many times its best so far.
const BROKEN: f64 = 1.25;

/// The loss has fallen where its best is below this share of where it began. In a few steps at a rate far too low it stays
/// within a hundredth.
const FALLEN: f64 = 0.97;

/// How far below the break the limit of a longer training lies, and how far below that limit a rate is suggested.
///
/// A rule that averages gradients over steps feels a rate only after some of them, while a test's has gone on rising. A
/// third of the limit is near the best rate of rules that take the gradient as it is; those that divide by its size have
/// theirs lower.
fn margins(rule: Optimizer) -> (f64, f64) {
    match rule {
        Optimizer::Sgd => (1.0, 3.0),
        Optimizer::Momentum => (3.0, 3.0),
        Optimizer::Adagrad | Optimizer::Rmsprop => (1.0, 10.0),
        Optimizer::Adam | Optimizer::Adamw => (4.0, 6.0),
    }
}

/// One step of a range test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tried {
    pub step: i64,
    pub learning_rate: f64,
    /// Infinite where it was no number.
    pub loss: f64,
}

/// A step that stands out.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize)]
pub struct RangePoint {
    pub step: i64,
    pub learning_rate: f64,
    /// Smoothed; `None` where it is not finite.
    pub loss: Option<f64>,
}

/// What became of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RangeOutcome {
    /// It fell, and broke away.
    Broke,
    /// It fell, and did not break away up to the last rate.
    NeverBroke,
    /// It broke away before it had fallen.
    BrokeAtOnce,
    /// It neither fell nor broke away.
    NeverFell,
}

/// What a range test shows.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Conclusion {
    pub outcome: RangeOutcome,
    /// Where the loss began.
    pub start: Option<f64>,
    /// Where it was lowest before it broke away.
    pub best: Option<RangePoint>,
    /// Where it fell the fastest for each factor of the rate.
    pub steepest: Option<RangePoint>,
    /// The first step of the break.
    pub breaks: Option<RangePoint>,
    /// The rate from which a longer training is expected to break.
    pub limit: Option<f64>,
    /// A rate to try.
    pub suggestion: Option<f64>,
}

/// Reads a test's steps, which ascend.
pub fn conclude(steps: &[Tried], rule: Optimizer) -> Conclusion {
    let smooth = smoothed(steps);
    let broken = breaks_at(steps, &smooth);
    let sound = &smooth[..broken.unwrap_or(smooth.len())];
    let point = |at: usize| {
        let Tried { step, learning_rate, .. } = steps[at];
        RangePoint { step, learning_rate, loss: Some(smooth[at]).filter(|loss| loss.is_finite()) }
    };
    let best = (0..sound.len()).min_by(|a, b| sound[*a].total_cmp(&sound[*b]));
    let start = sound.first().copied().filter(|loss| loss.is_finite());
    let fell = start.zip(best).is_some_and(|(start, best)| sound[best] < FALLEN * start);
    let outcome = match (fell, broken) {
        (true, Some(_)) => RangeOutcome::Broke,
        (true, None) => RangeOutcome::NeverBroke,
        (false, Some(_)) => RangeOutcome::BrokeAtOnce,
        (false, None) => RangeOutcome::NeverFell,
    };
    // Over as many steps as are smoothed, so that a fall is not that of one batch.
    let falls = (NEIGHBOURS..sound.len()).map(|at| (at - NEIGHBOURS / 2, sound[at - NEIGHBOURS] - sound[at]));
    let steepest = falls.filter(|fall| fall.1 > 0.0).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| point(at));
    let breaks = broken.map(point);
    let (lag, below) = margins(rule);
    let limit = breaks.map(|point| point.learning_rate / lag);
    // Where none was met, it lies higher than if the last rate were one.
    let highest = limit.or(steps.last().map(|tried| tried.learning_rate / lag));
    Conclusion {
        outcome,
        start,
        best: best.map(point),
        steepest: steepest.filter(|_| fell),
        breaks,
        limit,
        suggestion: highest.filter(|_| fell).map(|rate| round(rate / below)),
    }
}

/// The middle loss of each step's neighbours; of fewer at both ends.
pub fn smoothed(steps: &[Tried]) -> Vec<f64> {
    let around = NEIGHBOURS / 2;
    let middle = |at: usize| {
        let reach = around.min(at);
        let end = (at + reach + 1).min(steps.len());
        let mut losses: Vec<f64> = steps[at - reach..end].iter().map(|tried| tried.loss).collect();
        losses.sort_by(f64::total_cmp);
        losses[losses.len() / 2]
    };
    (0..steps.len()).map(middle).collect()
}

/// The place of the first step of the break.
fn breaks_at(steps: &[Tried], smooth: &[f64]) -> Option<usize> {
    let mut best = f64::INFINITY;
    (0..steps.len()).find(|&at| {
        let broken = !steps[at].loss.is_finite() || smooth[at] > BROKEN * best;
        best = best.min(smooth[at]);
        broken
    })
}

/// To two digits below 2, and to halves of the first from there on: what a suggestion is good for.
fn round(rate: f64) -> f64 {
    let power = 10f64.powf(rate.log10().floor());
    let unit = if rate < 2.0 * power { power / 10.0 } else { power / 2.0 };
    // Through its words, so that 0.3 is 0.3.
    format!("{:.1e}", (rate / unit).round() * unit).parse().unwrap_or(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conclude(steps: &[Tried]) -> Conclusion {
        super::conclude(steps, Optimizer::Sgd)
    }

    /// A test from 0.01 to 1000 in 101 steps, whose losses are a function of the rate.
    fn tried(loss: impl Fn(usize, f64) -> f64) -> Vec<Tried> {
        let rate = |step: usize| 0.01 * 1e5f64.powf(step as f64 / 100.0);
        let tried = |step: usize| Tried { step: step as i64, learning_rate: rate(step), loss: loss(step, rate(step)) };
        (0..101).map(tried).collect()
    }

    /// Falls from 9.2 to 5.2 around a rate of 1.
    fn falling(rate: f64) -> f64 {
        9.2 - 4.0 * rate / (1.0 + rate)
    }

    #[test]
    fn a_clean_break() {
        let found = conclude(&tried(|_, rate| if rate < 30.0 { falling(rate) } else { 0.3 * rate + 9.0 }));
        assert_eq!(found.outcome, RangeOutcome::Broke);
        let limit = found.breaks.unwrap();
        assert!((30.0..34.0).contains(&limit.learning_rate), "{limit:?}");
        assert_eq!(found.suggestion, Some(11.0));
        let steepest = found.steepest.unwrap().learning_rate;
        assert!((0.7..1.4).contains(&steepest), "{steepest}");
        let best = found.best.unwrap();
        assert!(best.learning_rate < limit.learning_rate && best.loss.unwrap() < 5.5, "{best:?}");
        assert_eq!(found.start, Some(falling(0.01)));
    }

    #[test]
    fn a_spike_that_recovers_is_no_break() {
        let spiked = |step: usize| if (70..72).contains(&step) { 100.0 } else { 0.0 };
        let found = conclude(&tried(|step, rate| falling(rate) + spiked(step)));
        assert_eq!((found.outcome, found.breaks), (RangeOutcome::NeverBroke, None));
        // Nor is one in the last step.
        let found = conclude(&tried(|step, rate| if step == 100 { 50.0 } else { falling(rate) }));
        assert_eq!(found.outcome, RangeOutcome::NeverBroke);
        assert_eq!(found.suggestion, Some(350.0));
    }

    #[test]
    fn a_loss_that_is_no_number_is_a_break_at_once() {
        for bad in [f64::INFINITY, f64::NAN] {
            let mut steps = tried(|_, rate| falling(rate));
            steps.truncate(81);
            steps[80].loss = bad;
            let found = conclude(&steps);
            assert_eq!(found.outcome, RangeOutcome::Broke);
            assert_eq!(found.breaks.unwrap().step, 80);
            assert_eq!(found.suggestion, Some(35.0));
        }
    }

    #[test]
    fn noise_of_batches_is_no_break() {
        let noise = |step: usize| (((step * 7919) % 101) as f64 / 101.0 - 0.5) * 2.0;
        let found =
            conclude(&tried(|step, rate| noise(step) + if rate < 30.0 { falling(rate) } else { 0.3 * rate + 9.0 }));
        assert!((28.0..40.0).contains(&found.breaks.unwrap().learning_rate), "{found:?}");
    }

    #[test]
    fn a_loss_that_never_fell_suggests_nothing() {
        let found = conclude(&tried(|step, _| 9.2 - 0.0002 * step as f64));
        assert_eq!((found.outcome, found.suggestion, found.steepest), (RangeOutcome::NeverFell, None, None));
        let found = conclude(&tried(|step, _| 9.2 + step as f64));
        assert_eq!((found.outcome, found.suggestion), (RangeOutcome::BrokeAtOnce, None));
        let found = conclude(&tried(|_, _| f64::NAN));
        assert_eq!((found.outcome, found.start), (RangeOutcome::BrokeAtOnce, None));
        assert_eq!(conclude(&[]).outcome, RangeOutcome::NeverFell);
    }

    #[test]
    fn rules_with_a_memory_break_later_in_a_test_than_in_a_training() {
        let steps = tried(|_, rate| if rate < 30.0 { falling(rate) } else { 0.3 * rate + 9.0 });
        let of = |rule| super::conclude(&steps, rule);
        let (sgd, momentum, adam) = (of(Optimizer::Sgd), of(Optimizer::Momentum), of(Optimizer::Adam));
        assert_eq!((sgd.breaks, sgd.breaks), (momentum.breaks, adam.breaks));
        assert_eq!(sgd.limit, sgd.breaks.map(|point| point.learning_rate));
        assert_eq!(momentum.limit, sgd.limit.map(|limit| limit / 3.0));
        assert!(adam.suggestion < momentum.suggestion && momentum.suggestion < sgd.suggestion);
    }

    #[test]
    fn suggestions_are_round() {
        let rates = [38.2, 12.6, 0.2, 0.0126, 1e-7, 29.99, 0.00289];
        assert_eq!(rates.map(round), [40.0, 13.0, 0.2, 0.013, 1e-7, 30.0, 0.003]);
        assert_eq!([3.3, 5.2].map(round), [3.5, 5.0]);
    }
}
