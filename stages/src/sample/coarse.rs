//! Finds the most likely token without reading all weights in full precision.
//!
//! A copy of the softmax layer's weights, rounded to bf16, takes half the bytes. The difference between a logit
//! computed with this copy and the same logit in f32 is bounded: by Cauchy and Schwarz for the rounding of the weights,
//! and by the usual bound for the rounding of both sums (Higham 2002, "Accuracy and stability of numerical algorithms",
//! 3.1). Only tokens whose logit is within twice that bound of the greatest can be the most likely. Computing those few
//! in f32 gives the same token as computing all logits in f32, on every processor.

use super::kernels::Kernels;
use super::panels::{ColumnPair, LANES};
use super::team::{Affine, PanelProduct, Team};

/// The rounded copy of a layer's weights, in the layout that the kernels read.
#[derive(Debug)]
pub(super) struct Coarse {
    rows: usize,
    /// The number of column pairs per panel.
    pairs: usize,
    panels: Vec<ColumnPair>,
    bias: Vec<f32>,
    /// The error of a logit is at most `by_length · ‖x‖ + constant`.
    by_length: f64,
    constant: f64,
}

impl PanelProduct for Coarse {
    fn rows(&self) -> usize {
        self.rows
    }

    fn panel_bytes(&self) -> usize {
        self.pairs * size_of::<ColumnPair>()
    }

    fn multiply(&self, kernels: Kernels, first: usize, x: &[f32], y: &mut [f32]) {
        kernels.multiply_coarse(&self.panels, self.pairs, first, &self.bias, x, y);
    }
}

impl Coarse {
    /// Rounds the weights of `exact`; `None` if a logit might not be finite.
    pub(super) fn new(exact: &Affine) -> Option<Self> {
        let (rows, columns) = (exact.weights.rows(), exact.weights.columns());
        let pairs = columns.div_ceil(2);
        let mut panels = vec![ColumnPair([0; LANES]); rows.div_ceil(LANES) * pairs];
        // A row is summed in two chains of half the columns each, to which the bias is added; 8 also covers the
        // rounding in this function.
        let rounding = (columns / 2 + 8) as f64 * f64::from(f32::EPSILON) / 2.0;
        let (mut by_length, mut longest, mut finite) = (0.0f64, 0.0f64, true);
        let mut row = vec![0.0; columns];
        for r in 0..rows {
            exact.weights.row(r, &mut row);
            let (mut squares, mut lost) = (0.0, 0.0);
            for (c, weight) in row.iter().enumerate() {
                let half = rounded(*weight);
                let weight = f64::from(*weight);
                squares += weight * weight;
                lost += (weight - f64::from(f32::from_bits(half))).powi(2);
                panels[r / LANES * pairs + c / 2].0[r % LANES] |= if c % 2 == 0 { half >> 16 } else { half };
            }
            finite &= squares.is_finite();
            longest = longest.max(squares.sqrt());
            // The sums with exact and with rounded weights are both rounded, and the rounded row can be longer than the
            // exact one by its rounding error.
            by_length = by_length.max(lost.sqrt() + 2.0 * rounding * (squares.sqrt() + lost.sqrt()));
        }
        let bias = exact.bias.iter().fold(0.0, |greatest: f64, x| greatest.max(f64::from(x.abs())));
        finite &= exact.bias.iter().all(|x| x.is_finite()) && longest * columns as f64 + bias < 1e30;
        finite.then(|| Self {
            rows,
            pairs,
            panels,
            bias: exact.bias.clone(),
            // 10⁻⁹ covers the rounding of the sums above, and 10⁻³⁰ covers subnormal products.
            by_length: by_length * (1.0 + 1e-9),
            constant: 2.0 * rounding * bias + 1e-30,
        })
    }

    /// The most likely token after the hidden state `x`, or `None` if only all logits can tell; `which` is the index of
    /// this product in `team`. Overwrites `near`, and part of `logits`.
    pub(super) fn likeliest(
        &self,
        (team, which): (&Team<'_>, usize),
        exact: &Affine,
        x: &[f32],
        near: &mut [f32],
        logits: &mut [f32],
    ) -> Option<u32> {
        // Every output of an LSTM is between −1 and 1, unless it is not finite.
        if !x.iter().all(|x| x.abs() <= 1.0) {
            return None;
        }
        team.multiply(which, x, near);
        let near = &near[..self.rows];
        let length = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt() * (1.0 + 1e-9);
        let off = self.by_length * length + self.constant;
        // The bound is rounded down, so that no candidate is missed.
        let least = ((f64::from(team.kernels().greatest(near)) - 2.0 * off) as f32).next_down();
        let mut settled = 0;
        let mut best: Option<(f32, usize)> = None;
        for (panel, near) in near.chunks(LANES).enumerate() {
            // Without an early exit, this loop vectorises.
            if !near.iter().fold(false, |found, x| found | (*x >= least)) {
                continue;
            }
            settled += 1;
            if settled > 1 + self.rows / LANES / 8 {
                return None;
            }
            let first = panel * LANES;
            let logits = &mut logits[first..first + LANES];
            exact.multiply(team.kernels(), first, x, logits);
            for (logit, id) in logits.iter().zip(first..self.rows) {
                if best.is_none_or(|(greatest, _)| *logit > greatest) {
                    best = Some((*logit, id));
                }
            }
        }
        best.map(|(_, id)| id as u32)
    }
}

/// The nearest bf16, ties to even, as the bits of an f32.
fn rounded(x: f32) -> u32 {
    let bits = x.to_bits();
    bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;
    use crate::sample::panels::Matrix;

    fn affine(rows: usize, columns: usize, weight: impl Fn(u64) -> f32, bias: impl Fn(u64) -> f32) -> Affine {
        let weights = Matrix::new(rows, columns, |r, out| {
            out.iter_mut().zip(0..).for_each(|(x, c)| *x = weight((r * columns) as u64 + c));
        });
        let mut biases = vec![0.0; rows.next_multiple_of(LANES)];
        biases[..rows].iter_mut().zip(0..).for_each(|(x, r)| *x = bias(r));
        Affine { weights, bias: biases }
    }

    /// (the most likely token by bf16, by f32, whether all errors are within the bound)
    fn both(exact: &Affine, x: &[f32]) -> (Option<u32>, u32, bool) {
        let coarse = Coarse::new(exact).unwrap();
        let kernels = Kernels::detect();
        let (mut near, mut logits) = (vec![0.0; exact.padded_rows()], vec![0.0; exact.padded_rows()]);
        let found = Team::gather(kernels, vec![&coarse], 1, |team| {
            coarse.likeliest((team, 0), exact, x, &mut near, &mut logits)
        });
        exact.multiply(kernels, 0, x, &mut logits);
        let length = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let bound = coarse.by_length * length + coarse.constant;
        let within =
            near.iter().zip(&logits).all(|(near, exact)| (f64::from(*near) - f64::from(*exact)).abs() <= bound);
        let logits = &logits[..exact.rows()];
        let greatest = kernels.greatest(logits);
        (found, logits.iter().position(|logit| *logit == greatest).unwrap_or(0) as u32, within)
    }

    #[test]
    fn the_most_likely_token_is_that_of_all_logits() {
        let random = Stream::new(8, "coarse test");
        let mut told = 0;
        for case in 0..200 {
            let (rows, columns) = (1 + random.below(case, 3000) as usize, 1 + random.below(case + 1000, 90) as usize);
            let at = |i: u64| (random.normal(case << 32 | i)) as f32;
            // Some rows are equal or nearly equal, so that only the product in f32 can tell them apart.
            let third = ((rows / 3 + 1) * columns) as u64;
            let twin = |i: u64| if case % 2 == 0 { i % third } else { i };
            let weight = |i: u64| at(twin(i)) * (1.0 + if case % 4 == 0 { i as f32 * 1e-9 } else { 0.0 });
            let exact = affine(rows, columns, weight, |r| if case % 2 == 0 { 0.5 } else { at(1 << 31 | r) });
            let x: Vec<f32> = (0..columns as u64).map(|i| at(1 << 30 | i).clamp(-1.0, 1.0)).collect();
            let (found, expected, within) = both(&exact, &x);
            assert!(within, "case {case}");
            assert!(found.is_none_or(|found| found == expected), "case {case}: {found:?}, expected {expected}");
            told += usize::from(found.is_some());
        }
        assert!(told > 150, "only {told} cases were decided");
    }

    #[test]
    fn possibly_nonfinite_logits_are_all_computed() {
        for odd in [f32::NAN, f32::INFINITY, 1e30] {
            assert!(Coarse::new(&affine(40, 3, |i| if i == 50 { odd } else { 0.1 }, |_| 0.0)).is_none());
            assert!(Coarse::new(&affine(40, 3, |_| 0.1, |r| if r == 39 { odd } else { 0.0 })).is_none());
        }
        let exact = affine(40, 2, |i| i as f32, |_| 0.0);
        assert_eq!(both(&exact, &[0.5, f32::NAN]).0, None);
        assert_eq!(both(&exact, &[0.5, 1.0]).0, Some(39));
    }

    #[test]
    fn ties_are_resolved_correctly_or_left_to_all_logits() {
        let (found, expected, _) = both(&affine(64, 4, |_| 0.25, |_| 0.0), &[1.0; 4]);
        assert_eq!((found.unwrap_or(0), expected), (0, 0));
    }
}
