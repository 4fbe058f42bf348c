//! A cheap proxy for the sharpness, which is the largest eigenvalue λmax of the loss's Hessian.
//!
//! With respect to the softmax layer's matrix, the Hessian is E[h hᵀ ⊗ (diag p − p pᵀ)], with h the layer's inputs and
//! p its predictions, and this layer's part of the Hessian dominates. The product λmax(E[h hᵀ]) · λmax(diag p̄ − E[p
//! pᵀ]), where p̄ = E[p], is a proxy for its λmax. Both factors are found by power iteration, over few tokens and from
//! a fixed start.

use crate::raw::{self, Kernel};
use crate::real::Real;

/// How many tokens of a window, counted from its end, the predictions are taken from.
pub(crate) const TOKENS: usize = 64;

/// The number of multiplications in a power iteration. The error of the final Rayleigh quotient is the square of that
/// of the vector: the quotient is below λmax, by a few per cent if no eigenvalue stands out, and by far less if one
/// does.
pub(crate) const ROUNDS: usize = 20;

/// λmax(E[h hᵀ]) of rows h of `width` elements.
pub(crate) fn of_inputs<T: Real>(rows: &[T], width: usize) -> f64 {
    let mut v: Vec<T> = (0..width).map(|i| T::of(sign(i))).collect();
    let tokens = T::of((rows.len() / width) as f64);
    let mut found = T::ZERO;
    for _ in 0..ROUNDS {
        let mut out = vec![T::ZERO; width];
        raw::widest(InputsProduct { rows, v: &v, out: &mut out });
        out.iter_mut().for_each(|x| *x = *x / tokens);
        found = step(&mut v, &out);
    }
    found.wide()
}

/// λmax(diag p̄ − E[p pᵀ]) of predictions given type by type, with one lane per token in each row; unused lanes are 0.
pub(crate) fn of_predictions<T: Real>(rows: &[[T; TOKENS]], tokens: usize) -> f64 {
    let share = T::ONE / T::of(tokens as f64);
    let mean: Vec<T> = rows.iter().map(|row| row.iter().copied().sum::<T>() * share).collect();
    let mut v: Vec<T> = mean.iter().enumerate().map(|(i, p)| *p * T::of(sign(i))).collect();
    let mut found = T::ZERO;
    for _ in 0..ROUNDS {
        let mut out = vec![T::ZERO; v.len()];
        raw::widest(PredictionsProduct { rows, mean: &mean, share, v: &v, out: &mut out });
        found = step(&mut v, &out);
    }
    found.wide()
}

/// The sign of element i of the start vector, from Knuth's multiplicative hash: a pattern that weights don't share.
pub(crate) fn sign(i: usize) -> f64 {
    if (i as u32).wrapping_mul(2_654_435_769) >> 31 == 0 { 1.0 } else { -1.0 }
}

/// The Rayleigh quotient vᵀMv / vᵀv of a vector v and `made` = Mv, which then replaces v, scaled to length 1.
fn step<T: Real>(v: &mut Vec<T>, made: &[T]) -> T {
    let dot = |a: &[T], b: &[T]| a.iter().zip(b).map(|(a, b)| a.wide() * b.wide()).sum::<f64>();
    let quotient = dot(v, made) / dot(v, v);
    let length = dot(made, made).sqrt();
    // If the matrix is all zeros, any vector will do.
    let scale = T::of(if length > 0.0 || length.is_nan() { 1.0 / length } else { 0.0 });
    *v = made.iter().map(|x| *x * scale).collect();
    T::of(if quotient.is_nan() && length == 0.0 { 0.0 } else { quotient })
}

/// Σ h (hᵀ v).
struct InputsProduct<'a, T> {
    rows: &'a [T],
    v: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Kernel for InputsProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for row in self.rows.chunks_exact(self.v.len()) {
            let mut sums = [T::ZERO; 16];
            let ((row_chunks, row_rest), (v_chunks, v_rest)) = (row.as_chunks::<16>(), self.v.as_chunks::<16>());
            for (a, b) in row_chunks.iter().zip(v_chunks) {
                for i in 0..16 {
                    sums[i] = a[i].fused(b[i], sums[i]);
                }
            }
            let mut along = T::ZERO;
            for sum in sums {
                along += sum;
            }
            for (a, b) in row_rest.iter().zip(v_rest) {
                along = a.fused(*b, along);
            }
            for (out, x) in self.out.iter_mut().zip(row) {
                *out = x.fused(along, *out);
            }
        }
    }
}

/// p̄ v − share · Σ p (pᵀ v).
struct PredictionsProduct<'a, T> {
    rows: &'a [[T; TOKENS]],
    mean: &'a [T],
    share: T,
    v: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Kernel for PredictionsProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut along = [T::ZERO; TOKENS];
        for (row, v) in self.rows.iter().zip(self.v) {
            for i in 0..TOKENS {
                along[i] = row[i].fused(*v, along[i]);
            }
        }
        for ((row, out), (mean, v)) in self.rows.iter().zip(self.out).zip(self.mean.iter().zip(self.v)) {
            let mut sums = [T::ZERO; 16];
            for i in 0..TOKENS {
                sums[i % 16] = row[i].fused(along[i], sums[i % 16]);
            }
            let mut sum = T::ZERO;
            for part in sums {
                sum += part;
            }
            *out = *mean * *v - self.share * sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use stages::random::Stream;
    use tch::Tensor;

    use super::*;

    /// The largest eigenvalue by libtorch.
    fn exact(matrix: &Tensor) -> f64 {
        f64::try_from(matrix.linalg_eigvalsh("L").max()).unwrap()
    }

    #[test]
    fn eigenvalues_match_those_of_the_whole_matrices() {
        let draws = Stream::new(5, "test sharpness");
        for (case, scale) in [0.1, 2.0, 8.0].into_iter().enumerate() {
            let (tokens, types, width) = (50, 300, 37);
            let draw = |i: usize| scale * draws.normal((case * 100_000 + i) as u64);
            // As in any corpus, some words are likelier than others at every token.
            let logits: Vec<f64> = (0..tokens * types).map(|i| draw(i) - ((i % types) as f64 + 1.0).ln()).collect();
            let p = Tensor::from_slice(&logits).reshape([tokens as i64, types as i64]).softmax(-1, tch::Kind::Double);
            let whole = p.mean_dim(0, false, tch::Kind::Double).diag(0) - p.tr().mm(&p) / tokens as f64;
            let values = Vec::<f64>::try_from(&p.flatten(0, -1)).unwrap();
            let mut rows = vec![[0.0; TOKENS]; types];
            for (j, row) in rows.iter_mut().enumerate() {
                (0..tokens).for_each(|t| row[t] = values[t * types + j]);
            }
            let (found, expected) = (of_predictions(&rows, tokens), exact(&whole));
            assert!((0.95..1.0001).contains(&(found / expected)), "{found} for {expected}");

            let h: Vec<f64> = (0..tokens * width).map(|i| 0.3 + draw(200_000 + i)).collect();
            let of_rows = Tensor::from_slice(&h).reshape([tokens as i64, width as i64]);
            let (found, expected) = (of_inputs(&h, width), exact(&(of_rows.tr().mm(&of_rows) / tokens as f64)));
            assert!((0.95..1.0001).contains(&(found / expected)), "{found} for {expected}");
            let single: Vec<f32> = h.iter().map(|x| *x as f32).collect();
            assert!((of_inputs(&single, width) / found - 1.0).abs() < 1e-4);
        }
    }

    #[test]
    fn zeros_nan_and_certain_predictions() {
        assert_eq!(of_inputs(&[0.0f32; 12], 4), 0.0);
        assert!(of_inputs(&[f32::NAN; 12], 4).is_nan());
        // A prediction that is certain.
        let mut sure = [[0.0f32; TOKENS]; 3];
        sure[1] = [1.0; TOKENS];
        assert_eq!(of_predictions(&sure, TOKENS), 0.0);
    }
}
