//! From which step on two losses differ by more than losses do from one step to the next.
//!
//! Two losses a and b of one step are *beyond the noise* where |a − b| is more than [`TIMES`] the noise, and more than
//! [`ROUNDING`] of either. The noise of a run is the median of |xₜ − xₜ₋₁| over the [`WINDOW`] steps before a stretch, and
//! the noisier run's counts: for normal noise eight medians are 5.4 standard deviations of such a change. Where too few
//! steps lie before, which is in the first stretch, the steps of that stretch stand in, and the calmer run's count, since
//! the other may be on its way already. A loss that is not a number is beyond the noise of one that is.
//!
//! Stretches are short while a loss falls fast ([`stretch`]). What blocks say of their least and greatest losses spares
//! most of the steps.

use schemars::JsonSchema;
use serde::Serialize;

use identity::{BLOCK, Bucket, LossPair};

/// How many times the noise two losses must differ by.
pub const TIMES: f64 = 8.0;

/// What rounding may come to in training, in parts of a loss.
const ROUNDING: f64 = 1e-6;

/// Steps over which noise is measured.
const WINDOW: i64 = 64;

/// The fewest changes that make a median.
const FEWEST: usize = 8;

/// Blocks that are read step by step though their extremes alone don't say that there is something to find. What is behind
/// the last of them is found where a run's least or greatest loss shows it, which a spike does.
const MOST_DOUBTS: usize = 32;

/// The first step beyond the noise.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize)]
pub struct Beyond {
    pub step: i64,
    /// How far the losses are apart; `None` where one of them is no number.
    pub apart: Option<f64>,
    /// The median change from one step to the next.
    pub noise: f64,
    /// Whether that is the calmer run's, as in the first stretch, and not the noisier one's.
    pub calmer: bool,
}

/// Where losses come from.
pub trait Losses {
    type Error;

    /// The pairs of the steps `from..to`.
    fn pairs(&mut self, from: i64, to: i64) -> Result<Vec<LossPair>, Self::Error>;

    /// The first pair of the steps `from..to` that is further apart than `least` and than `share` of either loss, or whose
    /// losses are not both of one kind.
    fn first_apart(&mut self, steps: (i64, i64), least: f64, share: f64) -> Result<Option<LossPair>, Self::Error>;
}

/// The first step of the stretch that `step` lies in, and the first behind it.
fn stretch(step: i64) -> (i64, i64) {
    let length = match step {
        ..BLOCK => WINDOW,
        BLOCK..16_384 => BLOCK,
        _ => 16 * BLOCK,
    };
    (step / length * length, step / length * length + length)
}

/// The median change from one step to the next of one side.
fn change(pairs: &[LossPair], side: impl Fn(&LossPair) -> f64) -> Option<f64> {
    let changes = pairs.windows(2).filter(|two| two[1].step == two[0].step + 1);
    let mut changes: Vec<f64> = changes.map(|two| (side(&two[1]) - side(&two[0])).abs()).collect();
    changes.retain(|change| change.is_finite());
    changes.sort_by(f64::total_cmp);
    (changes.len() >= FEWEST).then(|| changes[changes.len() / 2])
}

/// The noise of a stretch that has `before` before it and begins with `own`.
fn noise(before: &[LossPair], own: &[LossPair]) -> f64 {
    let of = |pairs: &[LossPair]| (change(pairs, |pair| pair.a), change(pairs, |pair| pair.b));
    match (of(before), of(own)) {
        ((Some(a), Some(b)), _) => a.max(b),
        // A run that is no number any more has no noise.
        ((Some(one), None) | (None, Some(one)), _) => one,
        (_, (Some(a), Some(b))) => a.min(b),
        (_, (Some(one), None) | (None, Some(one))) => one,
        // So few steps tell nothing.
        _ => f64::INFINITY,
    }
}

/// What a difference must pass.
fn bound(noise: f64, size: f64) -> f64 {
    (TIMES * noise).max(ROUNDING * size)
}

/// What two blocks say of the steps within.
#[derive(Debug, PartialEq)]
enum BlockComparison {
    /// None can be beyond the noise.
    Nothing,
    /// One may be.
    Doubt,
    /// One is.
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
    // Where one run's greatest is that far above the other's, so is it above the other's loss at the same step.
    let sure = (high_a - high_b).abs().max((low_a - low_b).abs());
    match bound(noise, size) {
        most if sure > most => BlockComparison::Certain,
        _ if widest > bound(noise, 0.0) => BlockComparison::Doubt,
        _ => BlockComparison::Nothing,
    }
}

/// The first step beyond the noise of the steps `from..to`, none before which differ; `blocks` are those that begin at
/// every 1,024th step, of both runs.
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
                // The last block of a run tells of other steps than the two have in common.
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

    /// Losses in memory; counts the steps that are read.
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

    /// Every step by itself, as the head of this file words it.
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

    /// Normal enough: the sum of four even numbers.
    fn noisy(seed: u64, steps: usize, size: f64) -> Vec<f64> {
        let draw = stages::random::Stream::new(seed, "noise");
        let even = |at: u64| draw.bits(at) as f64 / u64::MAX as f64 - 0.5;
        let sum = |step: usize| (0..4).map(|i| even(step as u64 * 4 + i)).sum::<f64>();
        (0..steps).map(|step| 3.0 + 3.0 / (1.0 + step as f64 / 100.0) + size * sum(step)).collect()
    }

    #[test]
    fn what_a_walk_over_every_step_finds() {
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
            // One leaves for good, ever faster.
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
    fn a_spike_in_many_steps_is_found_without_reading_them() {
        let (a, mut b) = (noisy(1, 400_000, 0.1), noisy(2, 400_000, 0.1));
        let (nothing, read) = found(&a, &b);
        assert!(nothing.is_none() && read < 100_000, "{nothing:?} {read}");
        b[387_654] += 2.0;
        let (spike, read) = found(&a, &b);
        assert!(spike.unwrap().step == 387_654 && read < 100_000, "{read}");
    }
}
