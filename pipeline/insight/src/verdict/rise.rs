//! How far a loss has risen, beside what chance does in as many steps.
//!
//! An extreme of a million means is not an extreme of 300. So a rise starts from the lowest mean over a tenth of the steps so
//! far, which no few easy batches set; and past the first steps what chance does is measured on the run's own course before the
//! rise, where a course that departs cannot hide itself.

use std::ops::RangeInclusive;

use super::bounds::Bounds;
use super::statistics::{ENOUGH, FEW, MEAN, median, quarters, spread};

/// The share of the steps so far, one in so many, whose mean is a level that the loss had reached.
const SHARE: usize = 10;

/// Means over this many times more steps find lesser rises, if they last.
const LONGER: usize = 4;

/// What a loss counts at most in a long mean: one that has exploded leaves a sum no digits for the others.
const MOST: f64 = 1e6;

/// The greatest rise of a loss, relative to its bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Rise {
    pub by: f64,
    pub bound: f64,
    /// What the bound would be were the words' noise all there is.
    pub least: f64,
    /// The steps of the mean that has risen.
    pub steps: usize,
    /// The lowest mean before, and where it ends.
    pub low: f64,
    pub from: usize,
    /// Where the mean that has risen ends.
    pub peak_at: usize,
}

impl Rise {
    /// Of at least one loss, and of the same without what the unigram model makes of its words; the lesser of both counts,
    /// since a text that gets harder raises only the first.
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
                // What some steps have risen above is what preceded all of them.
                let (low, from) = lows[at - few];
                // Above an even guess a loss and its noise are as many times as large.
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

/// Where a loss that rose began to stay above a level: backwards from the peak, as long as a loss, or a mean that ends there,
/// is above it. Longer means bridge what shorter ones have of noise; shorter ones are closer to where it began. `rose` is from
/// the lowest mean before the rise to its peak, and `rise_steps` those of the mean that has risen.
pub(super) fn onset(losses: &[f64], rose: RangeInclusive<usize>, rise_steps: usize, above: f64) -> usize {
    let (rise_from, peak_at) = rose.into_inner();
    let sums = Sums::of(losses);
    // A sharp rise is highest where it begins. One that only long means show can be lower than a lone step before it.
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

/// The steps of means by which a run of so many steps is judged.
fn scales(steps: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(FEW), |few| Some(few * LONGER))
        .take_while(move |few| *few == FEW || ENOUGH * few < steps)
}

/// Losses by step, and the sums of those before each.
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

    /// By step: the lowest mean so far over a tenth of the steps so far (at least ten), all finite, and where it ends.
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

    /// What means of so many steps differ from one another by, up to a step: their robust deviation within a quarter of it.
    fn noise(&self, few: usize, to: usize) -> f64 {
        let means: Vec<f64> = (few..=to).step_by(few).map(|to| self.mean(to - few, to)).collect();
        median(quarters(&means).filter_map(spread).filter(|spread| spread.is_finite())).unwrap_or(0.0)
    }
}
