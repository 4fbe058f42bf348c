//! Loops over a block of logits. A row is a type and a column a token, so that each token has its own lane and no sum
//! runs across lanes.

use std::ops::Range;

use crate::raw::Kernel;
use crate::real::Real;
use crate::sharpness::TOKENS;

/// Adds each type's bias to its row of products, and updates the maxima of the tokens.
pub(crate) struct Raise<'a, T> {
    /// Rows with one element per token, like the maxima.
    pub(crate) block: &'a mut [T],
    pub(crate) lift: &'a [T],
    pub(crate) maxima: &'a mut [T],
}

impl<T: Real> Kernel for Raise<'_, T> {
    type Output = ();

    /// A NaN does not change the maximum; it makes the token's sum of exponentials NaN instead.
    #[inline(always)]
    fn run(self) {
        for (row, lift) in self.block.chunks_exact_mut(self.maxima.len()).zip(self.lift) {
            for (x, max) in row.iter_mut().zip(&mut *self.maxima) {
                *x += *lift;
                *max = if *x > *max { *x } else { *max };
            }
        }
    }
}

/// Turns logits l into e^(l − m), where m is the token's maximum, and adds these up for each token.
pub(crate) struct Exponentials<'a, T> {
    pub(crate) block: &'a mut [T],
    pub(crate) maxima: &'a [T],
    pub(crate) sums: &'a mut [f64],
}

impl<T: Real> Kernel for Exponentials<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut sums = vec![T::ZERO; self.maxima.len()];
        for row in self.block.chunks_exact_mut(self.maxima.len()) {
            for ((x, max), sum) in row.iter_mut().zip(self.maxima).zip(&mut sums) {
                *x = (*x - *max).exp();
                *sum += *x;
            }
        }
        for (total, sum) in self.sums.iter_mut().zip(&sums) {
            *total += sum.wide();
        }
    }
}

/// Measures the logits of a block.
pub(crate) struct MeasureLogits<'a, T> {
    /// Rows with one element per token, like the maxima.
    pub(crate) block: &'a [T],
    pub(crate) maxima: &'a [T],
}

impl<T: Real> Kernel for MeasureLogits<'_, T> {
    type Output = LogitStatistics;

    #[inline(always)]
    fn run(self) -> LogitStatistics {
        let n = self.maxima.len();
        let (mut sums, mut weighted, mut largest) = (vec![0.0f64; n], vec![0.0f64; n], vec![0u64; n]);
        for row in self.block.chunks_exact(n) {
            let sums = sums.iter_mut().zip(&mut weighted).zip(&mut largest);
            for ((&x, &max), ((sum, weighted), largest)) in row.iter().zip(self.maxima).zip(sums) {
                let below = x - max;
                let p = below.exp();
                // 0 · −∞ would be NaN.
                let product = if below < T::VANISHES { T::ZERO } else { below * p };
                *sum += p.wide();
                *weighted += product.wide();
                // The bit patterns of absolute values are in the order of the values, with NaN above all.
                *largest = (*largest).max(x.wide().abs().to_bits());
            }
        }
        LogitStatistics { sums, weighted, largest }
    }
}

/// Σ e^(l − m), Σ (l − m) e^(l − m) and the bits of the largest |l|, token by token.
#[derive(Debug)]
pub(crate) struct LogitStatistics {
    pub(crate) sums: Vec<f64>,
    pub(crate) weighted: Vec<f64>,
    pub(crate) largest: Vec<u64>,
}

impl LogitStatistics {
    /// Adds the statistics of another block of types.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, x)| *sum += x);
        self.weighted.iter_mut().zip(&other.weighted).for_each(|(sum, x)| *sum += x);
        self.largest.iter_mut().zip(&other.largest).for_each(|(max, x)| *max = (*max).max(*x));
    }

    /// For the first `tokens` tokens: the largest |l|, which is NaN if a logit is, and the mean entropy of the
    /// predictions in nats, which is ln Σeˡ⁻ᵐ − Σ (l − m) eˡ⁻ᵐ / Σeˡ⁻ᵐ for each token.
    pub(crate) fn mean(&self, tokens: usize) -> (f64, f64) {
        let largest = self.largest[..tokens].iter().fold(0, |max, x| u64::max(max, *x));
        let entropies = self.sums[..tokens].iter().zip(&self.weighted).map(|(sum, weighted)| sum.ln() - weighted / sum);
        (f64::from_bits(largest), entropies.sum::<f64>() / tokens as f64)
    }
}

/// Computes e^(l − m) for some tokens, type by type.
pub(crate) struct LaneExponentials<'a, T> {
    pub(crate) block: &'a [T],
    /// Elements from one row of the block to the next.
    pub(crate) stride: usize,
    pub(crate) lanes: Range<usize>,
    /// The maxima of those lanes.
    pub(crate) maxima: &'a [T],
    pub(crate) rows: &'a mut [[T; TOKENS]],
}

impl<T: Real> Kernel for LaneExponentials<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (row, out) in self.block.chunks_exact(self.stride).zip(self.rows) {
            for ((out, x), max) in out.iter_mut().zip(&row[self.lanes.clone()]).zip(self.maxima) {
                *out = (*x - *max).exp();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw;

    /// Some logits of 77 types for 2 tokens.
    fn logits() -> Vec<f32> {
        (0..154).map(|i| ((i * 37) % 19) as f32 * 0.7 - 9.0).collect()
    }

    fn token(block: &[f32], n: usize) -> Vec<f64> {
        block.iter().skip(n).step_by(2).map(|x| f64::from(*x)).collect()
    }

    #[test]
    fn exponentials_match_the_naive_ones() {
        let lift: Vec<f32> = (0..77).map(|i| (i % 5) as f32).collect();
        let expected: Vec<f32> = logits().iter().enumerate().map(|(i, x)| x + lift[i / 2]).collect();
        let (mut block, mut maxima, mut sums) = (logits(), [f32::LOWEST; 2], [0.0; 2]);
        raw::widest(Raise { block: &mut block, lift: &lift, maxima: &mut maxima });
        assert_eq!(block, expected);
        raw::widest(Exponentials { block: &mut block, maxima: &maxima, sums: &mut sums });
        for n in 0..2 {
            let l = token(&expected, n);
            let max = l.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(x));
            assert_eq!(f64::from(maxima[n]), max);
            let exact: Vec<f64> = l.iter().map(|x| (x - max).exp()).collect();
            assert!((sums[n] / exact.iter().sum::<f64>() - 1.0).abs() < 1e-6);
            for (e, exact) in token(&block, n).iter().zip(&exact) {
                assert!((e - exact).abs() < 1e-6 * exact);
            }
        }
    }

    #[test]
    fn measured_logits_match_the_naive_ones() {
        let entropy = |l: &[f64]| {
            let max = l.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(x));
            let sum: f64 = l.iter().map(|x| (x - max).exp()).sum();
            let logs = l.iter().map(|x| x - max - sum.ln());
            logs.map(|l| if l < -700.0 { 0.0 } else { -l * l.exp() }).sum::<f64>()
        };
        // Both tokens have the same logits, so that their mean entropy is that of one.
        let close = |row: &[f32]| {
            let block: Vec<f32> = row.iter().flat_map(|x| [*x, *x]).collect();
            let max = row.iter().fold(f32::LOWEST, |m, &x| if x > m { x } else { m });
            let (largest, found) = raw::widest(MeasureLogits { block: &block, maxima: &[max; 2] }).mean(2);
            let row: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
            let expected = entropy(&row);
            assert!(
                (found - expected).abs() < 1e-6 || largest.is_nan() || largest.is_infinite(),
                "{found} for {expected}"
            );
            (largest, found)
        };
        let mut row = logits()[..77].to_vec();
        assert_eq!(close(&row).0, 9.0);
        // A diverged run's logits: no entropy above ln V, whatever their scale.
        assert_eq!(close(&[1e37, -3e37, 1e37, 0.0]).0, f64::from(3e37f32));
        assert_eq!(close(&[3e38, -3e38, 0.0]).0, f64::from(3e38f32));
        row[40] = f32::INFINITY;
        assert_eq!(close(&row).0, f64::INFINITY);
        row[3] = f32::NAN;
        let (largest, entropy) = close(&row);
        assert!(largest.is_nan() && entropy.is_nan());
    }

    #[test]
    fn a_logit_that_is_not_finite_shows_in_the_sum() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut block = vec![0.5; 80];
            block[66] = bad;
            let (mut maxima, mut sums) = ([f32::LOWEST; 2], [0.0; 2]);
            raw::widest(Raise { block: &mut block, lift: &[0.0; 40], maxima: &mut maxima });
            raw::widest(Exponentials { block: &mut block, maxima: &maxima, sums: &mut sums });
            assert!(sums[0].is_nan() && sums[1] == 40.0);
        }
    }
}
