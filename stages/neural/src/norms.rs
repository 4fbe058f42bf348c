//! Figures computed over all weights or all gradients at once: norms, the clipping coefficient, and probes.

use crate::failure::Result;
use tch::Tensor;

use crate::layers::Slopes;
use crate::optimizer::BLOCK;
use crate::parallel;
use crate::raw::{self, Kernel};
use crate::real::Real;

/// ‖θ − before‖ / ‖before‖ over all weights.
pub(crate) fn update_ratio<T: Real>(weights: &[Tensor], before: &[Vec<T>], threads: usize) -> Result<f64> {
    let mut pairs = Vec::new();
    for (now, before) in weights.iter().zip(before) {
        pairs.extend(raw::floats(now)?.chunks(BLOCK).zip(before.chunks(BLOCK)));
    }
    let mut squares = vec![(0.0, 0.0); pairs.len()];
    let blocks = pairs.into_iter().zip(&mut squares).collect();
    parallel::each(threads, blocks, |((now, before), squares)| *squares = raw::widest(Moved { now, before }));
    let (moved, was) = squares.iter().fold((0.0, 0.0), |(m, w), (moved, was)| (m + moved, w + was));
    Ok((moved / was).sqrt())
}

/// Σ (now − before)² and Σ before².
struct Moved<'a, T> {
    now: &'a [T],
    before: &'a [T],
}

impl<T: Real> Kernel for Moved<'_, T> {
    type Output = (f64, f64);

    #[inline(always)]
    fn run(self) -> (f64, f64) {
        let (mut moved, mut was) = ([0.0f64; 16], [0.0f64; 16]);
        let ((now, now_rest), (before, before_rest)) = (self.now.as_chunks::<16>(), self.before.as_chunks::<16>());
        for (now, before) in now.iter().zip(before) {
            for i in 0..16 {
                let (x, y) = (now[i].wide(), before[i].wide());
                moved[i] += (x - y) * (x - y);
                was[i] += y * y;
            }
        }
        for (i, (x, y)) in now_rest.iter().zip(before_rest).enumerate() {
            let (x, y) = (x.wide(), y.wide());
            moved[i] += (x - y) * (x - y);
            was[i] += y * y;
        }
        (moved.iter().sum(), was.iter().sum())
    }
}

/// gᵀ(before − now): the decrease of the loss that its gradients g predict for the move from the earlier weights to the
/// current ones. Given the sum of several windows' gradients, this is the sum of the decreases of their losses.
pub(crate) fn promised<T: Real>(slopes: &Slopes, weights: &[Tensor], before: &[Vec<T>], threads: usize) -> Result<f64> {
    let mut triples = Vec::new();
    for (i, ((g, now), before)) in slopes.tensors.iter().zip(weights).zip(before).enumerate() {
        let (g, now) = (raw::floats::<T>(g)?, raw::floats::<T>(now)?);
        match slopes.rows.as_ref().filter(|_| i == 0) {
            Some(rows) => {
                let width = weights[0].size2()?.1 as usize;
                let of = |row: &u32| *row as usize * width..(*row as usize + 1) * width;
                triples.extend(rows.iter().map(of).map(|at| (&g[at.clone()], &now[at.clone()], &before[at])));
            }
            None => {
                let blocks = g.chunks(BLOCK).zip(now.chunks(BLOCK)).zip(before.chunks(BLOCK));
                triples.extend(blocks.map(|((g, now), before)| (g, now, before)));
            }
        }
    }
    let mut sums = vec![0.0; triples.len()];
    let blocks = triples.into_iter().zip(&mut sums).collect();
    parallel::each(threads, blocks, |((g, now, before), sum)| *sum = raw::widest(Promised { g, now, before }));
    Ok(sums.iter().sum())
}

/// Σ g · (before − now).
struct Promised<'a, T> {
    g: &'a [T],
    now: &'a [T],
    before: &'a [T],
}

impl<T: Real> Kernel for Promised<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let mut sums = [0.0f64; 16];
        let (g, g_rest) = self.g.as_chunks::<16>();
        let ((now, now_rest), (before, before_rest)) = (self.now.as_chunks::<16>(), self.before.as_chunks::<16>());
        for ((g, now), before) in g.iter().zip(now).zip(before) {
            for i in 0..16 {
                sums[i] += g[i].wide() * (before[i].wide() - now[i].wide());
            }
        }
        let rest = g_rest.iter().zip(now_rest).zip(before_rest);
        sums.iter().sum::<f64>() + rest.map(|((g, now), was)| g.wide() * (was.wide() - now.wide())).sum::<f64>()
    }
}

/// The Euclidean norm of all gradients together, summed in double precision.
pub(crate) fn global_norm<T: Real>(slopes: &Slopes, threads: usize) -> Result<f64> {
    let mut slices = Vec::new();
    if let Some(rows) = &slopes.rows {
        let (width, all) = (slopes.tensors[0].size2()?.1 as usize, raw::floats::<T>(&slopes.tensors[0])?);
        slices.extend(rows.iter().map(|row| &all[*row as usize * width..][..width]));
    }
    for gradient in slopes.tensors.iter().skip(usize::from(slopes.rows.is_some())) {
        slices.extend(raw::floats::<T>(gradient)?.chunks(BLOCK));
    }
    let mut squares = vec![0.0; slices.len()];
    let blocks = slices.into_iter().zip(&mut squares).collect();
    parallel::each(threads, blocks, |(block, square)| *square = raw::widest(SumOfSquares(block)));
    Ok(squares.iter().sum::<f64>().sqrt())
}

struct SumOfSquares<'a, T>(&'a [T]);

impl<T: Real> Kernel for SumOfSquares<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let mut sums = [0.0f64; 16];
        let (chunks, rest) = self.0.as_chunks::<16>();
        for chunk in chunks {
            for (x, sum) in chunk.iter().zip(&mut sums) {
                *sum += x.wide() * x.wide();
            }
        }
        sums.iter().sum::<f64>() + rest.iter().map(|x| x.wide() * x.wide()).sum::<f64>()
    }
}

/// The factor that scales gradients to a norm of at most `limit` (0: no limit), as PyTorch's `clip_grad_norm_` does:
/// limit / (norm + 10⁻⁶), at most 1. A NaN norm makes every gradient NaN, as in PyTorch.
pub(crate) fn clip_coefficient(norm: f64, limit: f64) -> f64 {
    let coefficient = limit / (norm + 1e-6);
    // `f64::min` would turn NaN into 1.
    if limit == 0.0 || coefficient > 1.0 { 1.0 } else { coefficient }
}
