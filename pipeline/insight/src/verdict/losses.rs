//! Where the loss of a training went.

use schemars::JsonSchema;
use serde::Serialize;

use super::bounds::Bounds;
use super::facts::Facts;
use super::rise::Rise;
use super::statistics::{MEAN, means, median, quarters, spread};

/// Where the loss went. Means are those of ten steps, the last of which names them; what is not finite counts as infinite.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Course {
    pub first: f64,
    /// The median of the last tenth of steps (at least ten); of those since its peak, where it has risen among them.
    pub last: f64,
    /// The lowest mean, and where.
    pub lowest: f64,
    pub lowest_at: usize,
    /// How far a mean rose above the lowest mean before it, where that is most beside its bound; that bound; and the steps of
    /// the mean.
    pub rise: f64,
    pub rise_bound: f64,
    /// What that bound would be were the words' noise all there is.
    pub rise_least: f64,
    pub rise_steps: usize,
    /// Where that lowest was, what it was, and where the rise was highest.
    pub rise_from: usize,
    pub rise_low: f64,
    pub peak_at: usize,
    /// What the same steps cost above what frequencies alone make of their words, in the median; and by how much less that is
    /// in the last fifth than in the fifth before, 0 where it has risen since.
    pub excess: f64,
    pub falling: f64,
    /// Whether the last loss is a number.
    pub ends_finite: bool,
    pub nonfinite: usize,
    pub first_nonfinite: Option<usize>,
    /// Steps whose loss stands out from those around it: more than eight robust deviations above their median.
    pub spikes: Vec<usize>,
}

/// What losses differ from one another by, for their words alone: the robust deviation (1.4826 · MAD) of what steps' tokens
/// cost by frequencies alone, which no training moves, within a quarter of the run, so that a text of parts has no more of it.
/// Where the text is not at hand, of what losses do from one step to the next in the quietest quarter: what thrashes is not to
/// hide itself.
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

/// Training losses by step; what is not finite counts as infinite.
pub(super) fn losses(facts: &Facts) -> Vec<f64> {
    facts.trace.iter().map(|row| row.loss.unwrap_or(f64::INFINITY)).collect()
}

impl Course {
    /// Whether the loss has risen by more than chance makes of it.
    pub fn rose(&self) -> bool {
        self.rise >= self.rise_bound
    }

    /// Of at least one loss; `costs` are what frequencies alone make of the words of the same steps, and `even` is what an
    /// even guess costs.
    pub(super) fn of(losses: &[f64], costs: &[f64], even: Option<f64>, bounds: &Bounds) -> Option<Self> {
        let first = *losses.first()?;
        let excess: Vec<f64> = losses.iter().zip(costs).map(|(loss, cost)| loss - cost).collect();
        let mut tail = losses.len() - (losses.len() / 10).max(MEAN).min(losses.len());
        let fifth = (losses.len() / 5).max(1);
        let (end, start) = (losses.len() - fifth, losses.len().saturating_sub(2 * fifth));
        let (lowest_at, lowest) = lowest(&means(losses));
        let rise = Rise::of(losses, &excess, even, bounds);
        let middle = |losses: &[f64]| median(losses.iter().copied()).unwrap_or(f64::INFINITY);
        // What has risen among the last steps is no longer where it was before.
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

/// The place and value of the least of some values.
fn lowest(values: &[f64]) -> (usize, f64) {
    let least = values.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
    least.map_or((0, f64::INFINITY), |(at, value)| (at, *value))
}

/// Steps whose loss is far above the median of the eleven around it, by what steps differ from that median.
fn spikes(losses: &[f64]) -> Vec<usize> {
    const HALF: usize = 5;
    let around = |at: usize| &losses[at.saturating_sub(HALF)..(at + HALF + 1).min(losses.len())];
    let above: Vec<f64> = (0..losses.len())
        .map(|at| losses[at] - median(around(at).iter().copied()).unwrap_or(losses[at]))
        .map(|above| if above.is_nan() { 0.0 } else { above })
        .collect();
    let spread = 1.4826 * median(above.iter().map(|above| above.abs())).unwrap_or(0.0);
    // The first steps fall so fast that each stands above those around it.
    (HALF..losses.len()).filter(|at| above[*at] > (8.0 * spread).max(0.3)).collect()
}
