//! How far a loss has risen, compared with the rises that chance produces in the same number of steps.
//!
//! The lowest of a million means is lower by chance than the lowest of 300. A rise is therefore measured from the
//! lowest mean over a tenth of the steps so far, which a few easy batches can't determine. After the first steps, the
//! effect of chance is measured on the run's own losses before the rise, so that a loss that diverges does not raise
//! its own bound.

use std::ops::RangeInclusive;

use super::bounds::Bounds;
use super::statistics::{ENOUGH, FEW, MEAN, median, quarters, spread};

/// The loss has reached a level if its mean over `1 / SHARE` of the steps so far is at that level.
const SHARE: usize = 10;

/// The factor between one length of means and the next. Longer means show smaller rises, provided that these last.
const LONGER: usize = 4;

/// The value to which losses are limited in a long mean. Without a limit, the sum would have no digits left for other
/// losses after one that exploded.
const MOST: f64 = 1e6;

/// The greatest rise of a loss, relative to its bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Rise {
    pub by: f64,
    pub bound: f64,
    /// What the bound would be if the only noise were that of the tokens.
    pub least: f64,
    /// The number of steps of the mean that rose.
    pub steps: usize,
    /// The lowest mean before the rise.
    pub low: f64,
    /// The last step of the lowest mean.
    pub from: usize,
    /// The last step of the mean that rose.
    pub peak_at: usize,
}

impl Rise {
    /// The greatest rise of `losses`, which must not be empty, and of `excess`, the losses minus the unigram baseline.
    /// The smaller of the two rises counts, because a text that gets harder raises only the losses.
    pub(super) fn of(losses: &[f64], excess: &[f64], even: Option<f64>, bounds: &Bounds) -> Self {
        let [raw, net] = [losses, excess].map(Sums::of);
        let [lows, lows_net] = [&raw, &net].map(Sums::lows);
        let mut most =
            Self { by: 0.0, bound: bounds.rise, least: bounds.rise, steps: FEW, low: losses[0], from: 0, peak_at: 0 };
        for few in scales(losses.len()) {
            let mut chance = [0.0; 2];
            let mut measure = ENOUGH * few;
            for at in if few == FEW { FEW } else { measure }..losses.len() {
                if at == measure {
                    measure *= 2;
                    chance = [&raw, &net].map(|sums| bounds.chance(sums.noise(few, at), measure));
                }
                // A mean is compared with the level before its first step.
                let (low, from) = lows[at - few];
                // Above the loss of a uniform guess, noise is proportional to the loss.
                let level = even.map_or(1.0, |even| (low / even).max(1.0));
                let of = |sums: &Sums<'_>, low: f64, least: f64, chance: f64| {
                    (sums.mean(at + 1 - few, at + 1) - low, least.max(chance) * level, least * level)
                };
                let all = of(&raw, low, bounds.rise, chance[0]);
                let rest = of(&net, lows_net[at - few].0, bounds.rise_net, chance[1]);
                let (by, bound, least) = if all.0 / all.1 <= rest.0 / rest.1 { all } else { rest };
                if by / bound > most.by / most.bound {
                    most = Self { by, bound, least, steps: few, low, from, peak_at: at };
                }
            }
        }
        most
    }
}

/// The step from which a loss that rose stayed above the level `above`. The search goes backwards from the peak for as
/// long as the loss of a step, or a mean that ends at the step, is above the level. Longer means bridge noise that
/// shorter ones do not; shorter means are closer to the beginning of the rise. `rose` is the range from the lowest mean
/// before the rise to the peak, and `rise_steps` the number of steps of the mean that rose.
pub(super) fn onset(losses: &[f64], rose: RangeInclusive<usize>, rise_steps: usize, above: f64) -> usize {
    let (rise_from, peak_at) = rose.into_inner();
    let sums = Sums::of(losses);
    // A sharp rise is highest where it begins. A rise that only long means show can be lower than a single step before.
    let begin = if rise_steps == FEW { rise_from } else { peak_at + 1 - rise_steps };
    let mut at = (begin..=peak_at).max_by(|a, b| losses[*a].total_cmp(&losses[*b])).unwrap_or(0);
    let stays = |at: usize| {
        let over = |steps: usize| sums.mean((at + 1).saturating_sub(steps), at + 1) > above;
        losses[at] > above || over(MEAN) || scales(at).any(|steps| (MEAN..=rise_steps).contains(&steps) && over(steps))
    };
    while at > rise_from && stays(at - 1) {
        at -= 1;
    }
    at
}

/// The lengths of the means by which a run of `steps` steps is judged.
fn scales(steps: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(FEW), |few| Some(few * LONGER))
        .take_while(move |few| *few == FEW || ENOUGH * few < steps)
}

/// Losses by step, and for each step the sum of those before it.
struct Sums<'a> {
    losses: &'a [f64],
    before: Vec<f64>,
}

impl<'a> Sums<'a> {
    fn of(losses: &'a [f64]) -> Self {
        let add = |sum: &mut f64, loss: &f64| {
            let before = *sum;
            *sum += loss.min(MOST);
            Some(before)
        };
        let last = f64::INFINITY;
        Self { losses, before: losses.iter().chain([&last]).scan(0.0, add).collect() }
    }

    fn mean(&self, from: usize, to: usize) -> f64 {
        let steps = (to - from) as f64;
        match to - from <= MEAN {
            true => self.losses[from..to].iter().sum::<f64>() / steps,
            false => (self.before[to] - self.before[from]) / steps,
        }
    }

    /// For each step, the lowest mean up to that step, and the last step of that mean. A mean is over a tenth of the
    /// steps up to its last one (at least ten), all of whose losses are finite.
    fn lows(&self) -> Vec<(f64, usize)> {
        let (mut low, mut finite_from) = ((f64::INFINITY, 0), 0);
        let to = |at: usize| {
            if !self.losses[at].is_finite() {
                finite_from = at + 1;
            }
            let from = (at + 1).saturating_sub(MEAN.max((at + 1) / SHARE));
            let mean = self.mean(from, at + 1);
            if from >= finite_from && mean < low.0 {
                low = (mean, at);
            }
            low
        };
        (0..self.losses.len()).map(to).collect()
    }

    /// How much the means of `few` steps differ from one another up to the step `to`: the median, over the quarters of
    /// those steps, of their robust deviation.
    fn noise(&self, few: usize, to: usize) -> f64 {
        let means: Vec<f64> = (few..=to).step_by(few).map(|to| self.mean(to - few, to)).collect();
        median(quarters(&means).filter_map(spread).filter(|spread| spread.is_finite())).unwrap_or(0.0)
    }
}
