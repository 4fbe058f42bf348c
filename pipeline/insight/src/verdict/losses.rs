//! The course of the training loss.

use schemars::JsonSchema;
use serde::Serialize;

use super::bounds::Bounds;
use super::facts::Facts;
use super::rise::Rise;
use super::statistics::{MEAN, means, median, quarters, spread};

/// The course of the training loss. Means are over ten steps, and the step of a mean is the last of these; a loss that
/// is not finite counts as infinite.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Course {
    pub first: f64,
    /// The median loss of the last tenth of steps (at least ten), or of the steps since the peak if the loss rose
    /// within that tenth.
    pub last: f64,
    /// The lowest mean.
    pub lowest: f64,
    /// The step of the lowest mean.
    pub lowest_at: usize,
    /// The greatest rise, relative to its bound, of a mean above the lowest mean before it.
    pub rise: f64,
    /// The bound of that rise.
    pub rise_bound: f64,
    /// What the bound would be if the only noise were that of the tokens.
    pub rise_least: f64,
    /// The number of steps of the mean that rose.
    pub rise_steps: usize,
    /// The step of the lowest mean before the rise.
    pub rise_from: usize,
    /// The lowest mean before the rise.
    pub rise_low: f64,
    /// The step at which the rise was highest.
    pub peak_at: usize,
    /// The median, over the steps of `last`, of the loss minus the unigram baseline of the step's tokens.
    pub excess: f64,
    /// How much lower that excess is in the last fifth of steps than in the fifth before; 0 if the loss has just risen.
    pub falling: f64,
    /// Whether the last loss is finite.
    pub ends_finite: bool,
    pub nonfinite: usize,
    pub first_nonfinite: Option<usize>,
    /// Steps whose loss is more than eight robust deviations above the median of the steps around them.
    pub spikes: Vec<usize>,
}

/// How much losses differ only because of the tokens of each step: the robust deviation (1.4826 · MAD) of the unigram
/// baseline of these tokens, which does not depend on training. It is measured within quarters of the run, so that
/// differences between parts of the text do not add to it. Without the text, it is the deviation of step-to-step
/// changes of the loss in the quietest quarter, so that a thrashing loss does not pass as noise.
pub(super) fn noise(facts: &Facts) -> Option<f64> {
    match &facts.batches {
        Ok(batches) => median(quarters(&batches.surprise).filter_map(spread)),
        Err(_) => {
            let from_step_to_step = |losses: &[f64]| {
                let steps = losses.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| step.is_finite());
                Some(spread(&steps.collect::<Vec<_>>())? / std::f64::consts::SQRT_2)
            };
            quarters(&losses(facts)).filter_map(from_step_to_step).min_by(f64::total_cmp)
        }
    }
}

/// Training losses by step; a loss that is not finite counts as infinite.
pub(super) fn losses(facts: &Facts) -> Vec<f64> {
    facts.trace.iter().map(|row| row.loss.unwrap_or(f64::INFINITY)).collect()
}

impl Course {
    /// Whether the loss has risen by more than chance explains.
    pub fn rose(&self) -> bool {
        self.rise >= self.rise_bound
    }

    /// The course of `losses`; `None` if there are none. `costs` are the unigram baselines of the tokens of the same
    /// steps, and `even` is the loss of a uniform guess.
    pub(super) fn of(losses: &[f64], costs: &[f64], even: Option<f64>, bounds: &Bounds) -> Option<Self> {
        let first = *losses.first()?;
        let excess: Vec<f64> = losses.iter().zip(costs).map(|(loss, cost)| loss - cost).collect();
        let mut tail = losses.len() - (losses.len() / 10).max(MEAN).min(losses.len());
        let fifth = (losses.len() / 5).max(1);
        let (end, start) = (losses.len() - fifth, losses.len().saturating_sub(2 * fifth));
        let (lowest_at, lowest) = lowest(&means(losses));
        let rise = Rise::of(losses, &excess, even, bounds);
        let middle = |losses: &[f64]| median(losses.iter().copied()).unwrap_or(f64::INFINITY);
        // If the loss rose within the last steps, the steps before the rise do not show its present level.
        let just_risen = rise.by >= rise.bound && rise.peak_at >= tail;
        if just_risen {
            let behind = losses.len() - (rise.peak_at + 1);
            tail = if behind >= MEAN { rise.peak_at + 1 } else { rise.peak_at + 1 - rise.steps };
        }
        Some(Self {
            first,
            last: middle(&losses[tail..]),
            lowest,
            lowest_at,
            rise: rise.by,
            rise_bound: rise.bound,
            rise_least: rise.least,
            rise_steps: rise.steps,
            rise_from: rise.from,
            rise_low: rise.low,
            peak_at: rise.peak_at,
            excess: middle(&excess[tail..]),
            falling: if just_risen { 0.0 } else { middle(&excess[start..end]) - middle(&excess[end..]) },
            ends_finite: losses.last().is_some_and(|loss| loss.is_finite()),
            nonfinite: losses.iter().filter(|loss| !loss.is_finite()).count(),
            first_nonfinite: losses.iter().position(|loss| !loss.is_finite()),
            spikes: spikes(losses),
        })
    }
}

/// The index and value of the lowest of some values.
fn lowest(values: &[f64]) -> (usize, f64) {
    let least = values.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
    least.map_or((0, f64::INFINITY), |(at, value)| (at, *value))
}

/// Steps whose loss is far above the median of the eleven steps around them, compared with the usual distance from that
/// median.
fn spikes(losses: &[f64]) -> Vec<usize> {
    const HALF: usize = 5;
    let around = |at: usize| &losses[at.saturating_sub(HALF)..(at + HALF + 1).min(losses.len())];
    let above: Vec<f64> = (0..losses.len())
        .map(|at| losses[at] - median(around(at).iter().copied()).unwrap_or(losses[at]))
        .map(|above| if above.is_nan() { 0.0 } else { above })
        .collect();
    let spread = 1.4826 * median(above.iter().map(|above| above.abs())).unwrap_or(0.0);
    // The first steps don't count: the loss falls so fast there that each step is far above those after it.
    (HALF..losses.len()).filter(|at| above[*at] > (8.0 * spread).max(0.3)).collect()
}
