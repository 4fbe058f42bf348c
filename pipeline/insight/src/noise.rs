//! The first step at which two losses differ by more than step-to-step noise.
//!
//! Two losses a and b of one step differ by more than noise if |a − b| is more than [`TIMES`] times the noise and more
//! than the fraction [`ROUNDING`] of either loss. The noise is measured for stretches of steps: it is the median of
//! |xₜ − xₜ₋₁| over the [`WINDOW`] steps before a stretch, in the noisier of the two runs. (If the noise is normally
//! distributed, eight medians are 5.4 standard deviations of xₜ − xₜ₋₁.) The first stretch has no steps before it. Its
//! noise is measured on its own steps, in the calmer run, because the other run may already be diverging. A loss that
//! is not finite always differs from a finite one by more than noise.
//!
//! Stretches are short at the beginning, where a loss falls fast ([`stretch`]). The lowest and highest losses of blocks
//! make it unnecessary to read most of the steps.

use schemars::JsonSchema;
use serde::Serialize;

use identity::{BLOCK, Bucket, LossPair};

/// Two losses must differ by this many times the noise.
pub const TIMES: f64 = 8.0;

/// The relative difference that rounding can cause during training.
const ROUNDING: f64 = 1e-6;

/// The number of steps over which noise is measured.
const WINDOW: i64 = 64;

/// The fewest changes from one step to the next whose median is used.
const FEWEST: usize = 8;

/// The most blocks that are read step by step although their lowest and highest losses don't prove a difference. In
/// later blocks, only differences that show in a lowest or highest loss are found, such as spikes.
const MOST_DOUBTS: usize = 32;

/// The first step at which the losses differ by more than noise.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize)]
pub struct Beyond {
    pub step: i64,
    /// The difference of the losses; `None` if one of them is not finite.
    pub apart: Option<f64>,
    /// The median change of the loss from one step to the next.
    pub noise: f64,
    /// Whether `noise` is that of the calmer run, as in the first stretch, instead of that of the noisier one.
    pub calmer: bool,
}

/// A source of the losses of two runs.
pub trait Losses {
    type Error;

    /// The losses of both runs at the steps `from..to`.
    fn pairs(&mut self, from: i64, to: i64) -> Result<Vec<LossPair>, Self::Error>;

    /// The first pair whose losses differ by more than `least` and by more than the fraction `share` of either, or are
    /// of different kinds (finite, NaN, Inf). `steps` are the first step to look at and the step after the last.
    fn first_apart(&mut self, steps: (i64, i64), least: f64, share: f64) -> Result<Option<LossPair>, Self::Error>;
}

/// The first step of the stretch that contains `step`, and the first step after it.
fn stretch(step: i64) -> (i64, i64) {
    let length = match step {
        ..BLOCK => WINDOW,
        BLOCK..16_384 => BLOCK,
        _ => 16 * BLOCK,
    };
    (step / length * length, step / length * length + length)
}

/// The median change of one run's loss from one step to the next.
fn change(pairs: &[LossPair], side: impl Fn(&LossPair) -> f64) -> Option<f64> {
    let changes = pairs.windows(2).filter(|two| two[1].step == two[0].step + 1);
    let mut changes: Vec<f64> = changes.map(|two| (side(&two[1]) - side(&two[0])).abs()).collect();
    changes.retain(|change| change.is_finite());
    changes.sort_by(f64::total_cmp);
    (changes.len() >= FEWEST).then(|| changes[changes.len() / 2])
}

/// The noise of a stretch that follows the steps `before` and starts with the steps `own`.
fn noise(before: &[LossPair], own: &[LossPair]) -> f64 {
    let of = |pairs: &[LossPair]| (change(pairs, |pair| pair.a), change(pairs, |pair| pair.b));
    match (of(before), of(own)) {
        ((Some(a), Some(b)), _) => a.max(b),
        // A run whose losses are no longer finite has no noise.
        ((Some(one), None) | (None, Some(one)), _) => one,
        (_, (Some(a), Some(b))) => a.min(b),
        (_, (Some(one), None) | (None, Some(one))) => one,
        // With so few steps, no difference counts as more than noise.
        _ => f64::INFINITY,
    }
}

/// The bound that a difference between losses of this size must exceed.
fn bound(noise: f64, size: f64) -> f64 {
    (TIMES * noise).max(ROUNDING * size)
}

/// What the lowest and highest losses of two blocks say about the steps in them.
#[derive(Debug, PartialEq)]
enum BlockComparison {
    /// No step can differ by more than noise.
    Nothing,
    /// A step may differ by more than noise.
    Doubt,
    /// A step differs by more than noise.
    Certain,
}

fn look(a: &Bucket, b: &Bucket, noise: f64) -> BlockComparison {
    if a.steps != a.finite || b.steps != b.finite {
        return if (a.finite, a.first_nonfinite) == (b.finite, b.first_nonfinite) {
            BlockComparison::Doubt
        } else {
            BlockComparison::Certain
        };
    }
    let (Some(low_a), Some(high_a), Some(low_b), Some(high_b)) = (a.minimum, a.maximum, b.minimum, b.maximum) else {
        return BlockComparison::Doubt;
    };
    let size = [low_a, high_a, low_b, high_b].iter().fold(0.0, |most: f64, loss| most.max(loss.abs()));
    let widest = (high_a - low_b).max(high_b - low_a);
    // The step with the highest loss of one run shows at least the difference between the highest losses of both runs,
    // because the other run's loss at that step is no higher than its highest. The same holds for the lowest losses.
    let sure = (high_a - high_b).abs().max((low_a - low_b).abs());
    match bound(noise, size) {
        most if sure > most => BlockComparison::Certain,
        _ if widest > bound(noise, 0.0) => BlockComparison::Doubt,
        _ => BlockComparison::Nothing,
    }
}

/// The first step in `from..to` at which the losses differ by more than noise, given that no earlier step differs.
/// `blocks` are the blocks of each run; a block begins at every 1,024th step.
pub fn first_beyond<L: Losses>(
    losses: &mut L,
    (from, to): (i64, i64),
    blocks: (&[Bucket], &[Bucket]),
) -> Result<Option<Beyond>, L::Error> {
    let mut doubts = 0;
    let mut step = from;
    while step < to {
        let (first, end) = stretch(step);
        let end = end.min(to);
        let before = losses.pairs((first - WINDOW).max(0), first)?;
        let own = if before.is_empty() { losses.pairs(first, (first + WINDOW).min(to))? } else { Vec::new() };
        let noise = noise(&before, &own);
        while step < end {
            let last = end.min((step / BLOCK + 1) * BLOCK);
            let of = |blocks: &[Bucket]| {
                blocks
                    .binary_search_by_key(&(step / BLOCK * BLOCK), |block| block.first)
                    .ok()
                    .map(|at| blocks[at].clone())
            };
            let seen = match (of(blocks.0), of(blocks.1)) {
                (Some(a), Some(b)) if a.steps == BLOCK && b.steps == BLOCK => look(&a, &b, noise),
                // The steps of an incomplete block are read, as its extremes may be at steps that the other run lacks.
                _ => BlockComparison::Certain,
            };
            let reads = match seen {
                BlockComparison::Nothing => false,
                BlockComparison::Certain => true,
                BlockComparison::Doubt => doubts < MOST_DOUBTS,
            };
            doubts += usize::from(seen == BlockComparison::Doubt && step >= BLOCK);
            let found = if reads { losses.first_apart((step, last), TIMES * noise, ROUNDING)? } else { None };
            if let Some(pair) = found {
                let apart = Some((pair.a - pair.b).abs()).filter(|apart| apart.is_finite());
                return Ok(Some(Beyond { step: pair.step, apart, noise, calmer: before.is_empty() }));
            }
            step = last;
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Losses in memory, and the number of steps that were read.
    struct Kept(Vec<LossPair>, usize);

    impl Losses for Kept {
        type Error = ();

        fn pairs(&mut self, from: i64, to: i64) -> Result<Vec<LossPair>, ()> {
            let found: Vec<LossPair> = self.0.iter().filter(|pair| (from..to).contains(&pair.step)).copied().collect();
            self.1 += found.len();
            Ok(found)
        }

        fn first_apart(&mut self, (from, to): (i64, i64), least: f64, share: f64) -> Result<Option<LossPair>, ()> {
            let apart = |pair: &LossPair| match (pair.a.is_finite(), pair.b.is_finite()) {
                (true, true) => (pair.a - pair.b).abs() > least.max(share * pair.a.abs().max(pair.b.abs())),
                _ => pair.a != pair.b && !(pair.a.is_nan() && pair.b.is_nan()),
            };
            Ok(self.pairs(from, to)?.into_iter().find(apart))
        }
    }

    fn blocks(losses: &[f64]) -> Vec<Bucket> {
        let block = |(at, losses): (usize, &[f64])| {
            let finite: Vec<f64> = losses.iter().copied().filter(|loss| loss.is_finite()).collect();
            Bucket {
                first: at as i64 * BLOCK,
                steps: losses.len() as i64,
                finite: finite.len() as i64,
                minimum: finite.iter().copied().reduce(f64::min),
                maximum: finite.iter().copied().reduce(f64::max),
                sum: finite.iter().sum(),
                first_nonfinite: losses.iter().position(|loss| !loss.is_finite()).map(|i| at as i64 * BLOCK + i as i64),
            }
        };
        losses.chunks(BLOCK as usize).enumerate().map(block).collect()
    }

    fn found(a: &[f64], b: &[f64]) -> (Option<Beyond>, usize) {
        let pairs = a.iter().zip(b).zip(0..).map(|((&a, &b), step)| LossPair { step, a, b }).collect();
        let mut kept = Kept(pairs, 0);
        let found = first_beyond(&mut kept, (0, a.len() as i64), (&blocks(a), &blocks(b))).unwrap();
        (found, kept.1)
    }

    /// Finds the step by applying the definition at the top of this file to every step.
    fn naive(a: &[f64], b: &[f64]) -> Option<i64> {
        let median = |losses: &[f64]| {
            let mut changes: Vec<f64> = losses.windows(2).map(|two| (two[1] - two[0]).abs()).collect();
            changes.retain(|change| change.is_finite());
            changes.sort_by(f64::total_cmp);
            (changes.len() >= FEWEST).then(|| changes[changes.len() / 2])
        };
        (0..a.len())
            .find(|&step| {
                let first = stretch(step as i64).0 as usize;
                let sides = [a, b].map(|x| median(&x[first.saturating_sub(WINDOW as usize)..first]));
                let sides = sides.into_iter().flatten().collect::<Vec<f64>>();
                let noise = match sides.iter().copied().reduce(f64::max) {
                    Some(noise) => noise,
                    None => {
                        let own = [a, b].map(|x| median(&x[first..(first + WINDOW as usize).min(x.len())]));
                        own.into_iter().flatten().reduce(f64::min).unwrap_or(f64::INFINITY)
                    }
                };
                let (x, y) = (a[step], b[step]);
                let differ = x.to_bits() != y.to_bits() && !(x.is_nan() && y.is_nan());
                let near = (x - y).is_finite() && (x - y).abs() <= (TIMES * noise).max(ROUNDING * x.abs().max(y.abs()));
                differ && !near
            })
            .map(|step| step as i64)
    }

    /// Nearly normal noise: the sum of four uniform numbers.
    fn noisy(seed: u64, steps: usize, size: f64) -> Vec<f64> {
        let draw = stages::random::Stream::new(seed, "noise");
        let even = |at: u64| draw.bits(at) as f64 / u64::MAX as f64 - 0.5;
        let sum = |step: usize| (0..4).map(|i| even(step as u64 * 4 + i)).sum::<f64>();
        (0..steps).map(|step| 3.0 + 3.0 / (1.0 + step as f64 / 100.0) + size * sum(step)).collect()
    }

    #[test]
    fn the_search_finds_what_a_walk_over_every_step_finds() {
        for steps in [1, 2, 40, 64, 65, 1000, 1024, 5000, 20_000] {
            let (a, calm) = (noisy(1, steps, 0.1), noisy(2, steps, 0.1));
            assert_eq!(found(&a, &calm).0.map(|it| it.step), naive(&a, &calm), "{steps}");
            for (at, by) in
                [(0, 2.0), (1, f64::NAN), (63, 9.0), (64, -2.0), (1025, f64::INFINITY), (4099, 1.5), (19_999, 3.0)]
            {
                let mut b = calm.clone();
                let Some(loss) = b.get_mut(at) else { continue };
                *loss += by;
                let seen = found(&a, &b).0.map(|it| it.step);
                assert_eq!(seen, naive(&a, &b), "{steps} {at} {by}");
                assert!(seen == Some(at as i64) || steps < 40, "{steps} {at} {by} {seen:?}");
            }
            // One run drifts away from the other, ever faster.
            let drift: Vec<f64> =
                a.iter().enumerate().map(|(step, loss)| loss + (step as f64 / 3000.0).powi(3)).collect();
            assert_eq!(found(&a, &drift).0.map(|it| it.step), naive(&a, &drift), "{steps}");
        }
    }

    #[test]
    fn equal_runs_and_rounding_are_within_the_noise() {
        let a = noisy(1, 3000, 0.0);
        let rounded: Vec<f64> = a.iter().map(|loss| loss * (1.0 + 1e-9)).collect();
        assert_eq!((found(&a, &a).0, found(&a, &rounded).0), (None, None));
        let nan = vec![f64::NAN; 3000];
        assert_eq!((found(&nan, &nan).0, found(&a, &nan).0.unwrap().step), (None, 0));
    }

    #[test]
    fn a_spike_among_many_steps_is_found_without_reading_most_of_them() {
        let (a, mut b) = (noisy(1, 400_000, 0.1), noisy(2, 400_000, 0.1));
        let (nothing, read) = found(&a, &b);
        assert!(nothing.is_none() && read < 100_000, "{nothing:?} {read}");
        b[387_654] += 2.0;
        let (spike, read) = found(&a, &b);
        assert!(spike.unwrap().step == 387_654 && read < 100_000, "{read}");
    }
}
