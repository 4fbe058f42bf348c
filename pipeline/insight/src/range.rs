//! What a learning-rate range test shows: where the loss falls, where it diverges (the *break*), and a rate well below
//! that.
//!
//! The test is that of Smith 2017 (arXiv 1506.01186). The rate rises from step to step while the model trains, so at
//! the break the model has already trained at every lower rate.
//!
//! The constants here were chosen on the Shakespeare half of the labelled grids, with tests of 200 steps over five
//! orders of magnitude, and checked on the other half (bench/verdicts/README.md).

use schemars::JsonSchema;
use serde::Serialize;
use stages::params::Optimizer;

/// The number of neighbouring steps whose median is the smoothed loss. Smoothing ensures that a single hard batch, or
/// one bad step that the next one undoes, is not a break.
const NEIGHBOURS: usize = 9;

/// The loss has diverged if it exceeds its lowest value so far by this factor.
const BROKEN: f64 = 1.25;

/// The loss has fallen if its lowest value is below this fraction of its first value. At a rate that is far too low,
/// the loss changes by less than a hundredth in the steps of a test.
const FALLEN: f64 = 0.97;

/// Two factors: by how much the limit for a longer run is below the break, and by how much the suggested rate is below
/// that limit.
///
/// An optimizer that averages gradients over steps responds to a rate only some steps later, when the rate of the test
/// has risen further. For optimizers that use the gradient as it is, the best rate is near a third of the limit; for
/// optimizers that divide by the size of the gradient, it is lower.
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
    /// Infinite for a loss that is not finite.
    pub loss: f64,
}

/// A step of interest.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize)]
pub struct RangePoint {
    pub step: i64,
    pub learning_rate: f64,
    /// The smoothed loss; `None` if it is not finite.
    pub loss: Option<f64>,
}

/// What the loss did during a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RangeOutcome {
    /// It fell and then diverged.
    Broke,
    /// It fell and did not diverge up to the last rate.
    NeverBroke,
    /// It diverged before it had fallen.
    BrokeAtOnce,
    /// It neither fell nor diverged.
    NeverFell,
}

/// What a range test shows.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Conclusion {
    pub outcome: RangeOutcome,
    /// The first loss; `None` if it is not finite.
    pub start: Option<f64>,
    /// The step with the lowest loss before the break.
    pub best: Option<RangePoint>,
    /// The step at which the loss fell fastest, relative to the logarithm of the rate.
    pub steepest: Option<RangePoint>,
    /// The first step of the break.
    pub breaks: Option<RangePoint>,
    /// The lowest rate at which a longer run is expected to diverge.
    pub limit: Option<f64>,
    /// A rate to try.
    pub suggestion: Option<f64>,
}

/// Draws conclusions from a test's steps, which ascend.
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
    // The fall is measured over as many steps as the smoothing covers, so that a single batch can't cause it.
    let falls = (NEIGHBOURS..sound.len()).map(|at| (at - NEIGHBOURS / 2, sound[at - NEIGHBOURS] - sound[at]));
    let steepest = falls.filter(|fall| fall.1 > 0.0).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| point(at));
    let breaks = broken.map(point);
    let (lag, below) = margins(rule);
    let limit = breaks.map(|point| point.learning_rate / lag);
    // Without a break, the limit is at least what it would be if the loss had diverged at the last rate.
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

/// For each step, the median loss of the step and its neighbours, of which there are fewer at both ends.
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

/// The index of the first step of the break.
fn breaks_at(steps: &[Tried], smooth: &[f64]) -> Option<usize> {
    let mut best = f64::INFINITY;
    (0..steps.len()).find(|&at| {
        let broken = !steps[at].loss.is_finite() || smooth[at] > BROKEN * best;
        best = best.min(smooth[at]);
        broken
    })
}

/// Rounds to two significant digits if the first is 1, and otherwise to a multiple of half the first digit's unit. A
/// suggestion is no more precise than that.
fn round(rate: f64) -> f64 {
    let power = 10f64.powf(rate.log10().floor());
    let unit = if rate < 2.0 * power { power / 10.0 } else { power / 2.0 };
    // Parsing the decimal text gives exactly 0.3, where arithmetic might give 0.30000000000000004.
    format!("{:.1e}", (rate / unit).round() * unit).parse().unwrap_or(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conclude(steps: &[Tried]) -> Conclusion {
        super::conclude(steps, Optimizer::Sgd)
    }

    /// A test from 0.01 to 1000 in 101 steps, whose losses are a function of step and rate.
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
    fn a_spike_that_recovers_is_not_a_break() {
        let spiked = |step: usize| if (70..72).contains(&step) { 100.0 } else { 0.0 };
        let found = conclude(&tried(|step, rate| falling(rate) + spiked(step)));
        assert_eq!((found.outcome, found.breaks), (RangeOutcome::NeverBroke, None));
        // Nor is a spike in the last step.
        let found = conclude(&tried(|step, rate| if step == 100 { 50.0 } else { falling(rate) }));
        assert_eq!(found.outcome, RangeOutcome::NeverBroke);
        assert_eq!(found.suggestion, Some(350.0));
    }

    #[test]
    fn a_loss_that_is_not_finite_is_a_break_at_once() {
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
    fn noise_of_batches_is_not_a_break() {
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
    fn optimizers_that_average_gradients_break_later_in_a_test_than_in_a_run() {
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
