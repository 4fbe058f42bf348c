//! Loops over one row of logits: what the softmax layer does to each, in vectors.

use crate::raw::Kernel;
use crate::real::Real;

/// Partial results kept side by side, so that sums vectorise in an order that no vector width changes.
const LANES: usize = 32;

/// Turns a row into scale · (softmax(l) − onehot(target)) with the logits l = row + lift, adds it to `bias`, and yields
/// the row's loss.
pub(crate) struct Turn<'a, T> {
    pub(crate) row: &'a mut [T],
    pub(crate) lift: &'a [T],
    pub(crate) target: usize,
    pub(crate) scale: T,
    pub(crate) bias: &'a mut [T],
}

impl<T: Real> Kernel for Turn<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let Self { row, lift, target, scale, bias } = self;
        raise(row, lift);
        let max = maximum(row);
        let above = max.wide() - row[target].wide();
        let mut sums = [T::ZERO; LANES];
        let (chunks, rest) = row.as_chunks_mut::<LANES>();
        for chunk in chunks {
            for (x, sum) in chunk.iter_mut().zip(&mut sums) {
                *x = (*x - max).exp();
                *sum += *x;
            }
        }
        for x in rest {
            *x = (*x - max).exp();
            sums[0] += *x;
        }
        let sum = total(&sums);
        let factor = scale / sum;
        for (x, b) in row.iter_mut().zip(bias.iter_mut()) {
            *x *= factor;
            *b += *x;
        }
        row[target] -= scale;
        bias[target] -= scale;
        above + sum.wide().ln()
    }
}

/// Turns a row into the logits l = row + lift, and yields their maximum m, and Σ e^(l − m).
pub(crate) struct Partition<'a, T> {
    pub(crate) row: &'a mut [T],
    pub(crate) lift: &'a [T],
}

impl<T: Real> Kernel for Partition<'_, T> {
    type Output = (T, T);

    #[inline(always)]
    fn run(self) -> (T, T) {
        raise(self.row, self.lift);
        let max = maximum(self.row);
        let mut sums = [T::ZERO; LANES];
        let (chunks, rest) = self.row.as_chunks::<LANES>();
        for chunk in chunks {
            for (x, sum) in chunk.iter().zip(&mut sums) {
                *sum += (*x - max).exp();
            }
        }
        for x in rest {
            sums[0] += (*x - max).exp();
        }
        (max, total(&sums))
    }
}

/// What a row of logits l looks like.
pub(crate) struct Look<'a, T> {
    pub(crate) row: &'a [T],
}

impl<T: Real> Kernel for Look<'_, T> {
    type Output = (f64, f64);

    /// The largest |l|, NaN where a logit is, and the entropy of softmax(l) in nats: ln Σeˡ⁻ᵐ − Σ (l − m) eˡ⁻ᵐ / Σeˡ⁻ᵐ
    /// with m the maximum.
    #[inline(always)]
    fn run(self) -> (f64, f64) {
        let max = maximum(self.row);
        let (mut sums, mut weighted, mut largest) = ([0.0f64; LANES], [0.0f64; LANES], [0u64; LANES]);
        let mut see = |i: usize, x: T| {
            let below = x - max;
            let p = below.exp();
            // Not 0 · −∞, which is NaN.
            let product = if below < T::VANISHES { T::ZERO } else { below * p };
            sums[i] += p.wide();
            weighted[i] += product.wide();
            // Bit patterns of absolute values go up with the values, and NaN's are above all.
            largest[i] = largest[i].max(x.wide().abs().to_bits());
        };
        let (chunks, rest) = self.row.as_chunks::<LANES>();
        for chunk in chunks {
            for (i, &x) in chunk.iter().enumerate() {
                see(i, x);
            }
        }
        rest.iter().for_each(|&x| see(0, x));
        let (sum, weighted): (f64, f64) = (sums.iter().sum(), weighted.iter().sum());
        (f64::from_bits(largest.into_iter().fold(0, u64::max)), sum.ln() - weighted / sum)
    }
}

/// Adds the bias to a row of products, where it is in cache anyway.
#[inline(always)]
pub(crate) fn raise<T: Real>(row: &mut [T], lift: &[T]) {
    for (x, lift) in row.iter_mut().zip(lift) {
        *x += *lift;
    }
}

/// The largest element; a NaN is passed over here and found again in the sum.
#[inline(always)]
fn maximum<T: Real>(row: &[T]) -> T {
    let mut maxima = [T::LOWEST; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (x, max) in chunk.iter().zip(&mut maxima) {
            *max = if *x > *max { *x } else { *max };
        }
    }
    rest.iter().chain(&maxima).fold(T::LOWEST, |max, &x| if x > max { x } else { max })
}

/// The sum of the lanes, by halves.
#[inline(always)]
fn total<T: Real>(lanes: &[T; LANES]) -> T {
    let mut lanes = *lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            let other = lanes[i + width];
            lanes[i] += other;
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw;

    #[test]
    fn a_row_is_turned_as_by_its_naive_twin() {
        let logits: Vec<f32> = (0..77).map(|i| ((i * 37) % 19) as f32 * 0.7 - 6.0).collect();
        let sum: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
        let lift: Vec<f32> = (0..77).map(|i| (i % 5) as f32).collect();
        let mut row: Vec<f32> = logits.iter().zip(&lift).map(|(l, lift)| l - lift).collect();
        let mut bias = vec![1.0; 77];
        let loss = raw::widest(Turn { row: &mut row, lift: &lift, target: 5, scale: 0.25, bias: &mut bias });
        assert!((loss - (sum.ln() - f64::from(logits[5]))).abs() < 1e-6);
        for (i, x) in row.iter().enumerate() {
            let expected = 0.25 * (f64::from(logits[i]).exp() / sum - f64::from(u8::from(i == 5)));
            assert!((f64::from(*x) - expected).abs() < 1e-7, "element {i}");
            assert!((f64::from(bias[i]) - 1.0 - expected).abs() < 1e-6, "bias {i}");
        }
    }

    #[test]
    fn a_look_at_a_row_is_that_of_its_naive_twin() {
        let logits: Vec<f32> = (0..77).map(|i| ((i * 37) % 19) as f32 * 0.7 - 9.0).collect();
        let exact = |row: &[f32]| {
            let max = row.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(f64::from(x)));
            let sum: f64 = row.iter().map(|&x| (f64::from(x) - max).exp()).sum();
            row.iter()
                .map(|&x| f64::from(x) - max - sum.ln())
                .map(|l| if l < -700.0 { 0.0 } else { -l * l.exp() })
                .sum()
        };
        let close = |row: &[f32]| {
            let (largest, entropy) = raw::widest(Look { row });
            let expected: f64 = exact(row);
            assert!((entropy - expected).abs() < 1e-6, "{entropy} for {expected}");
            largest
        };
        assert_eq!(close(&logits), 9.0);
        // A diverged run's logits: no entropy above ln V, whatever their scale.
        assert_eq!(close(&[1e37, -3e37, 1e37, 0.0]), f64::from(3e37f32));
        assert_eq!(close(&[3e38, -3e38, 0.0]), f64::from(3e38f32));
        let mut row = logits;
        row[40] = f32::INFINITY;
        assert_eq!(raw::widest(Look { row: &row }).0, f64::INFINITY);
        row[3] = f32::NAN;
        let (largest, entropy) = raw::widest(Look { row: &row });
        assert!(largest.is_nan() && entropy.is_nan());
    }

    #[test]
    fn what_is_not_finite_shows_in_the_loss() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut row = vec![0.5; 40];
            row[33] = bad;
            let lift = [0.0; 40];
            assert!(raw::widest(Partition { row: &mut row, lift: &lift }).1.is_nan());
            let turn = Turn { row: &mut row, lift: &lift, target: 0, scale: 1.0, bias: &mut [0.0; 40] };
            assert!(raw::widest(turn).is_nan());
        }
    }
}
