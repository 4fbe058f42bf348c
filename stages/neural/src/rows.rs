//! Loops over one row of logits: what the softmax layer does to each, in vectors.

use crate::raw::Kernel;

/// Partial results kept side by side, so that sums vectorise in an order that no vector width changes.
const LANES: usize = 32;

/// Turns a row of logits l into scale · (softmax(l) − onehot(target)), adds it to `bias`, and yields the row's loss.
pub(crate) struct Turn<'a> {
    pub(crate) row: &'a mut [f32],
    pub(crate) target: usize,
    pub(crate) scale: f32,
    pub(crate) bias: &'a mut [f32],
}

impl Kernel for Turn<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let Self { row, target, scale, bias } = self;
        let max = maximum(row);
        let above = f64::from(max) - f64::from(row[target]);
        let mut sums = [0.0f32; LANES];
        let (chunks, rest) = row.as_chunks_mut::<LANES>();
        for chunk in chunks {
            for (x, sum) in chunk.iter_mut().zip(&mut sums) {
                *x = exp(*x - max);
                *sum += *x;
            }
        }
        for x in rest {
            *x = exp(*x - max);
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
        above + f64::from(sum).ln()
    }
}

/// A row's maximum m, and Σ e^(l − m).
pub(crate) struct Partition<'a> {
    pub(crate) row: &'a [f32],
}

impl Kernel for Partition<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn run(self) -> (f32, f32) {
        let max = maximum(self.row);
        let mut sums = [0.0f32; LANES];
        let (chunks, rest) = self.row.as_chunks::<LANES>();
        for chunk in chunks {
            for (x, sum) in chunk.iter().zip(&mut sums) {
                *sum += exp(*x - max);
            }
        }
        for x in rest {
            sums[0] += exp(*x - max);
        }
        (max, total(&sums))
    }
}

/// What a row of logits l looks like.
pub(crate) struct Look<'a> {
    pub(crate) row: &'a [f32],
}

impl Kernel for Look<'_> {
    type Output = (f32, f64);

    /// The largest |l|, NaN where a logit is, and the entropy of softmax(l) in nats: ln Σeˡ⁻ᵐ − Σ (l − m) eˡ⁻ᵐ / Σeˡ⁻ᵐ
    /// with m the maximum.
    #[inline(always)]
    fn run(self) -> (f32, f64) {
        let max = maximum(self.row);
        let (mut sums, mut weighted, mut largest) = ([0.0f64; LANES], [0.0f64; LANES], [0u32; LANES]);
        let mut see = |i: usize, x: f32| {
            let below = x - max;
            let p = exp(below);
            // Not 0 · −∞, which is NaN.
            let product = if below < LOWEST { 0.0 } else { below * p };
            sums[i] += f64::from(p);
            weighted[i] += f64::from(product);
            // Bit patterns of absolute values go up with the values, and NaN's are above all.
            largest[i] = largest[i].max(x.abs().to_bits());
        };
        let (chunks, rest) = self.row.as_chunks::<LANES>();
        for chunk in chunks {
            for (i, &x) in chunk.iter().enumerate() {
                see(i, x);
            }
        }
        rest.iter().for_each(|&x| see(0, x));
        let (sum, weighted): (f64, f64) = (sums.iter().sum(), weighted.iter().sum());
        (f32::from_bits(largest.into_iter().fold(0, u32::max)), sum.ln() - weighted / sum)
    }
}

/// The largest element; a NaN is passed over here and found again in the sum.
#[inline(always)]
fn maximum(row: &[f32]) -> f32 {
    let mut maxima = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (x, max) in chunk.iter().zip(&mut maxima) {
            *max = if *x > *max { *x } else { *max };
        }
    }
    rest.iter().chain(&maxima).fold(f32::NEG_INFINITY, |max, &x| if x > max { x } else { max })
}

/// The sum of the lanes, by halves.
#[inline(always)]
fn total(lanes: &[f32; LANES]) -> f32 {
    let mut lanes = *lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Below this, eˣ is no normal number.
const LOWEST: f32 = -87.0;

/// eˣ for x ≤ 0, within 2 units in the last place; what would be no normal number is 0, and NaN stays NaN.
///
/// The reduction and the polynomial are those of Cephes' `expf` (Moshier 1992): x = n·ln 2 + r with |r| ≤ ½ ln 2.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2²³ rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Not f32::max, which would turn NaN into a number.
    let within = if x < LOWEST { LOWEST } else { x };
    let shifted = within.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, within));
    let mut p = 1.987_569_1e-4f32;
    p = p.mul_add(r, 1.398_199_9e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 1.666_666_5e-1);
    p = p.mul_add(r, 0.5);
    p = p.mul_add(r * r, r) + 1.0;
    let power = p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < LOWEST { 0.0 } else { power }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw;

    #[test]
    fn exp_agrees_with_the_exact_one() {
        for i in 0..870_000 {
            let x = -(i as f32) * 1e-4;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 2.5e-7, "exp({x})");
        }
        assert!(exp(f32::NEG_INFINITY) == 0.0 && exp(-1e30) == 0.0);
        assert!(exp(f32::NAN).is_nan());
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn a_row_is_turned_as_by_its_naive_twin() {
        let logits: Vec<f32> = (0..77).map(|i| ((i * 37) % 19) as f32 * 0.7 - 6.0).collect();
        let sum: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
        let (mut row, mut bias) = (logits.clone(), vec![1.0; 77]);
        let loss = raw::widest(Turn { row: &mut row, target: 5, scale: 0.25, bias: &mut bias });
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
        assert_eq!(close(&[1e37, -3e37, 1e37, 0.0]), 3e37);
        assert_eq!(close(&[3e38, -3e38, 0.0]), 3e38);
        let mut row = logits;
        row[40] = f32::INFINITY;
        assert_eq!(raw::widest(Look { row: &row }).0, f32::INFINITY);
        row[3] = f32::NAN;
        let (largest, entropy) = raw::widest(Look { row: &row });
        assert!(largest.is_nan() && entropy.is_nan());
    }

    #[test]
    fn what_is_not_finite_shows_in_the_loss() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut row = vec![0.5; 40];
            row[33] = bad;
            assert!(raw::widest(Partition { row: &row }).1.is_nan());
            assert!(raw::widest(Turn { row: &mut row, target: 0, scale: 1.0, bias: &mut [0.0; 40] }).is_nan());
        }
    }
}
