//! The work of the layer's passes on a block of types, as kernels compiled for wide vectors.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::setting::{BLOCK, Setting};
use crate::factor::{Factor, Lines, WIDTH};
use crate::matrix::PackedMatrix;
use crate::product::{Panels, TiledProduct};
use crate::raw::Kernel;
use crate::real::Real;
use crate::rows::{Exponentials, Raise};

/// The tokens of a window, in the order of their targets.
#[derive(Debug)]
pub(super) struct Targets {
    /// Each target with its token, in ascending order.
    sorted: Vec<(u32, usize)>,
}

impl Targets {
    pub(super) fn new(targets: &[u32]) -> Self {
        let mut sorted: Vec<_> = targets.iter().enumerate().map(|(t, target)| (*target, t)).collect();
        sorted.sort_unstable();
        Self { sorted }
    }

    /// For each token whose target is in `types`: the target's offset in that range, and the token.
    pub(super) fn within(&self, types: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
        let begin = self.sorted.partition_point(|(target, _)| (*target as usize) < types.start);
        let of_types = self.sorted[begin..].iter().map(|(target, t)| (*target as usize, *t));
        of_types.take_while(move |(target, _)| *target < types.end).map(move |(target, t)| (target - types.start, t))
    }
}

/// The first pass over a block: logits, and the maxima of the tokens.
pub(super) struct Predict<'a, T, F> {
    pub(super) of: Setting<'a, T>,
    pub(super) y: &'a PackedMatrix<F>,
    pub(super) tokens: usize,
    pub(super) block: &'a mut [T],
    pub(super) maxima: &'a mut [T],
    /// The block's first type.
    pub(super) first: usize,
}

impl<T: Real, F: Factor<T>> Kernel for Predict<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { of: Setting { weight, bias, hidden, stride, .. }, y, tokens, block, maxima, first } = self;
        let rows = block.len() / stride;
        let weight = &weight[first * hidden..][..rows * hidden];
        let mut rounded = Vec::new();
        let data = F::plain(weight).unwrap_or_else(|| along(weight, hidden, &mut rounded));
        let lines = Lines { data, row: hidden.div_ceil(F::GROUP), step: 1 };
        y.times(lines, rows).put(block, stride);
        for row in block.chunks_exact_mut(stride) {
            row[tokens..].fill(T::ZERO);
        }
        Raise { block, lift: &bias[first..], maxima }.run();
    }
}

/// The sums over one part of the types, which consists of several blocks.
#[derive(Debug)]
pub(super) struct PartialSums<T> {
    /// Σ e of each token.
    pub(super) sums: Vec<f64>,
    /// Wᵀ e [H, N], without the targets' part.
    pub(super) by_y: Vec<T>,
    /// The time spent on the product, and the time spent in all.
    pub(super) multiplied: Duration,
    pub(super) whole: Duration,
}

impl<T: Real> PartialSums<T> {
    pub(super) fn new() -> Self {
        Self { sums: Vec::new(), by_y: Vec::new(), multiplied: Duration::ZERO, whole: Duration::ZERO }
    }
}

/// The second pass over a part: exponentials, their sums, and Wᵀ e.
pub(super) struct Exponentiate<'a, T, F> {
    pub(super) of: Setting<'a, T>,
    pub(super) maxima: &'a [T],
    pub(super) targets: &'a Targets,
    /// Logits on entry, exponentials on return.
    pub(super) blocks: &'a mut [T],
    /// The exponentials as factors, `deep` per row; empty if a factor is simply a `T`.
    pub(super) rounded: &'a mut [F],
    pub(super) deep: usize,
    /// The part's first type.
    pub(super) first: usize,
    pub(super) part: &'a mut PartialSums<T>,
}

impl<T: Real, F: Factor<T>> Kernel for Exponentiate<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { of: Setting { weight, hidden, stride, .. }, maxima, targets, blocks, deep, first, part, .. } = self;
        let begun = Instant::now();
        let mut rounded = self.rounded;
        let PartialSums { sums, by_y, multiplied, .. } = part;
        sums.clear();
        sums.resize(stride, 0.0);
        by_y.resize(hidden * stride, T::ZERO);
        *multiplied = Duration::ZERO;
        let (mut of_weight, mut of_block) = (Vec::new(), Vec::new());
        for (at, block) in (0..).step_by(BLOCK).zip(blocks.chunks_mut(BLOCK * stride)) {
            let (first, rows) = (first + at, block.len() / stride);
            Exponentials { block, maxima, sums }.run();
            for (row, t) in targets.within(first..first + rows) {
                block[row * stride + t] = T::ZERO;
            }
            if deep > 0 {
                let (here, rest) = std::mem::take(&mut rounded).split_at_mut(rows * deep);
                rounded = rest;
                for (row, out) in block.chunks_exact(stride).zip(here.chunks_exact_mut(deep)) {
                    gather(row, out);
                }
            }
            let product = Instant::now();
            let weight = &weight[first * hidden..][..rows * hidden];
            let data = F::plain(weight).unwrap_or_else(|| across(weight, hidden, &mut of_weight));
            let lines = Lines { data, row: 1, step: hidden };
            let data = F::plain(block).unwrap_or_else(|| across(block, stride, &mut of_block));
            let panels = Panels { data, panel: WIDTH, step: stride, columns: stride };
            let product_of = TiledProduct { lines, rows: hidden, panels, depth: rows.div_ceil(F::GROUP) };
            if at == 0 {
                product_of.put(by_y, stride)
            } else {
                product_of.add(by_y, stride)
            }
            *multiplied += product.elapsed();
        }
        part.whole = begun.elapsed();
    }
}

/// The gradients with respect to y of some tokens, summed over the parts.
pub(super) struct Collect<'a, T> {
    pub(super) of: Setting<'a, T>,
    pub(super) parts: &'a [PartialSums<T>],
    /// For every token: the factor by which its sum is multiplied, and how many times its target's weights are added.
    pub(super) shares: &'a [T],
    pub(super) slopes: &'a [T],
    pub(super) targets: &'a [u32],
    /// The first of these tokens, of which there are at most [`WIDTH`].
    pub(super) first: usize,
    pub(super) out: &'a mut [T],
}

impl<T: Real> Kernel for Collect<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { of: Setting { weight, hidden, stride, .. }, parts, shares, slopes, targets, first, out } = self;
        let lanes = WIDTH.min(stride - first);
        let mut sums = vec![[T::ZERO; WIDTH]; hidden];
        for part in parts {
            for (sums, row) in sums.iter_mut().zip(part.by_y.chunks_exact(stride)) {
                for (sum, x) in sums.iter_mut().zip(&row[first..][..lanes]) {
                    *sum += *x;
                }
            }
        }
        for (lane, out) in out.chunks_exact_mut(hidden).enumerate() {
            let t = first + lane;
            let weight = &weight[targets[t] as usize * hidden..][..hidden];
            for ((out, sums), w) in out.iter_mut().zip(&sums).zip(weight) {
                *out = shares[t] * sums[lane] + slopes[t] * *w;
            }
        }
    }
}

/// The third pass over a block: the gradients with respect to its weights and biases.
pub(super) struct Learn<'a, T, F> {
    /// e [rows, N] without the targets' elements, each row padded to `stride`.
    pub(super) errors: &'a [F],
    pub(super) stride: usize,
    /// y, with each row multiplied by its token's share.
    pub(super) scaled: &'a PackedMatrix<F>,
    pub(super) y: &'a [T],
    pub(super) shares: &'a [T],
    pub(super) slopes: &'a [T],
    pub(super) targets: &'a Targets,
    /// The block's first type.
    pub(super) first: usize,
    pub(super) hidden: usize,
    pub(super) weight: &'a mut [T],
    pub(super) bias: &'a mut [T],
}

impl<T: Real, F: Factor<T>> Kernel for Learn<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { errors, stride, scaled, y, shares, slopes, targets, first, hidden, weight, bias } = self;
        let lines = Lines { data: errors, row: stride, step: 1 };
        scaled.times(lines, bias.len()).put(weight, hidden);
        for (row, bias) in errors.chunks_exact(stride).zip(&mut *bias) {
            *bias = weighted(row, shares);
        }
        for (row, t) in targets.within(first..first + bias.len()) {
            bias[row] += slopes[t];
            for (sum, y) in weight[row * hidden..][..hidden].iter_mut().zip(&y[t * hidden..][..hidden]) {
                *sum += slopes[t] * *y;
            }
        }
    }
}

/// The number of partial sums kept side by side, so that the order of summation is the same at every vector width.
const LANES: usize = 16;

/// Σ weight · x over a row.
#[inline(always)]
fn weighted<T: Real, F: Factor<T>>(row: &[F], weights: &[T]) -> T {
    let mut sums = [T::ZERO; LANES];
    let whole = weights.len() / (LANES * F::GROUP);
    let (row, rest) = row.split_at(whole * LANES);
    let (weights, of_rest) = weights.split_at(whole * LANES * F::GROUP);
    for (row, weights) in row.chunks_exact(LANES).zip(weights.chunks_exact(LANES * F::GROUP)) {
        for i in 0..LANES {
            let [x, next] = row[i].apart();
            sums[i] += weights[i * F::GROUP] * x;
            if F::GROUP == 2 {
                sums[i] += weights[i * 2 + 1] * next;
            }
        }
    }
    for (x, weights) in rest.iter().zip(of_rest.chunks(F::GROUP)) {
        for (x, weight) in x.apart().iter().zip(weights) {
            sums[0] += *weight * *x;
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            let other = sums[i + width];
            sums[i] += other;
        }
        width /= 2;
    }
    sums[0]
}

/// Joins neighbours in a row into factors.
#[inline(always)]
fn gather<T: Real, F: Factor<T>>(row: &[T], out: &mut [F]) {
    let whole = row.len() / F::GROUP;
    let (pairs, rest) = row.split_at(whole * F::GROUP);
    for (i, out) in out[..whole].iter_mut().enumerate() {
        *out = F::join(pairs[i * F::GROUP], pairs[i * F::GROUP + F::GROUP - 1]);
    }
    if let [last, ..] = rest {
        out[whole] = F::join(*last, T::ZERO);
    }
}

/// Joins neighbours in a row into factors, for rows of `width` elements.
#[inline(always)]
fn along<'a, T: Real, F: Factor<T>>(rows: &[T], width: usize, out: &'a mut Vec<F>) -> &'a [F] {
    let deep = width.div_ceil(F::GROUP);
    out.resize(rows.len() / width * deep, F::join(T::ZERO, T::ZERO));
    for (row, out) in rows.chunks_exact(width).zip(out.chunks_exact_mut(deep)) {
        gather(row, out);
    }
    out
}

/// Joins neighbours in a column into factors, for rows of `width` elements.
#[inline(always)]
fn across<'a, T: Real, F: Factor<T>>(rows: &[T], width: usize, out: &'a mut Vec<F>) -> &'a [F] {
    out.resize((rows.len() / width).div_ceil(F::GROUP) * width, F::join(T::ZERO, T::ZERO));
    for (rows, out) in rows.chunks(F::GROUP * width).zip(out.chunks_exact_mut(width)) {
        let (row, next) = rows.split_at(width);
        if next.is_empty() {
            for (out, x) in out.iter_mut().zip(row) {
                *out = F::join(*x, T::ZERO);
            }
        }
        for ((out, x), next) in out.iter_mut().zip(row).zip(next) {
            *out = F::join(*x, *next);
        }
    }
    out
}
