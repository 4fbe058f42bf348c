//! The backward pass through a layer.

use crate::failure::Result;
use tch::{Device, Tensor};

use super::tape::{LayerWeights, Tape};
use crate::factor::{Lines, ROWS};
use crate::matrix::PackedMatrix;
use crate::model::tensor;
use crate::parallel;
use crate::raw::{self, Kernel};
use crate::real::Real;

/// The number of gates whose weight gradients are computed together.
const BLOCK: usize = 2 * ROWS;

/// The gradients with respect to the inputs [T·B, I] and to each weight, given those with respect to the outputs, `dy`
/// [T·B, H]. No gradient comes from later windows: back-propagation is truncated at the end of this one.
pub(crate) fn backward<T: Real>(
    weights: LayerWeights<'_>,
    tape: Tape<T>,
    dy: &Tensor,
    threads: usize,
) -> Result<(Tensor, [Tensor; 4])> {
    let Tape { x, y, mut gates, cells, squashed, before } = tape;
    let [w_ih, w_hh, ..] = weights;
    let (rows, hidden) = before.0.size2()?;
    let (b, h) = (usize::try_from(rows)?, usize::try_from(hidden)?);
    let inputs = w_ih.size2()?.1 as usize;
    let recurrent = &PackedMatrix::<T>::new(raw::floats::<T>(w_hh)?, 4 * h, h);
    let share = b.div_ceil(threads.max(1));
    let first = raw::floats::<T>(&before.1)?;
    let mut parts: Vec<Backward<'_, T>> = (0..b.div_ceil(share))
        .map(|part| {
            let of = part * share * h..((part + 1) * share).min(b) * h;
            Backward { recurrent, h, first: &first[of], steps: Vec::new() }
        })
        .collect();
    let times = raw::floats_mut::<T>(&mut gates)?.chunks_mut(4 * b * h).zip(raw::floats::<T>(dy)?.chunks(b * h));
    for ((gates, dy), (cells, squashed)) in times.zip(cells.chunks(b * h).zip(squashed.chunks(b * h))) {
        let blocks = gates.chunks_mut(4 * share * h).zip(dy.chunks(share * h));
        let blocks = blocks.zip(cells.chunks(share * h).zip(squashed.chunks(share * h)));
        for (part, ((gates, dy), (cells, squashed))) in parts.iter_mut().zip(blocks) {
            part.steps.push(BackwardStep { gates, dy, cells, squashed });
        }
    }
    parallel::each(threads, parts, raw::widest);

    let slopes = raw::floats::<T>(&gates)?; // ∂L/∂a [T·B, 4H]
    let bias = tensor(&column_sums(slopes, 4 * h), &[4 * h])?;
    let y = raw::floats::<T>(&y)?;
    let mut earlier = raw::floats::<T>(&before.0)?.to_vec(); // h_(t−1) [T·B, H]
    earlier.extend_from_slice(&y[..y.len() - b * h]);
    let tokens = y.len() / h;
    let sources =
        (&PackedMatrix::<T>::new(raw::floats::<T>(&x)?, tokens, inputs), &PackedMatrix::<T>::new(&earlier, tokens, h));
    let of_inputs = &PackedMatrix::<T>::new(raw::floats::<T>(w_ih)?, 4 * h, inputs);
    let (mut by_ih, mut by_hh) = (Tensor::f_empty_like(w_ih)?, Tensor::f_empty_like(w_hh)?);
    let mut dx = Tensor::f_empty([tokens as i64, inputs as i64], (T::KIND, Device::Cpu))?;
    let rows = slopes.chunks(ROWS * 4 * h).zip(raw::floats_mut::<T>(&mut dx)?.chunks_mut(ROWS * inputs));
    let mut products: Vec<_> = rows.map(|(slopes, dx)| Gradient::Inputs { slopes, of_inputs, dx }).collect();
    let out = raw::floats_mut::<T>(&mut by_ih)?.chunks_mut(BLOCK * inputs);
    let out = out.zip(raw::floats_mut::<T>(&mut by_hh)?.chunks_mut(BLOCK * h)).zip((0..).step_by(BLOCK));
    products.extend(out.map(|((by_ih, by_hh), first)| Gradient::Weights { slopes, sources, h, first, by_ih, by_hh }));
    parallel::each(threads, products, raw::widest);
    Ok((dx, [by_ih, by_hh, bias.f_detach_copy()?, bias]))
}

/// The buffers for one token of some rows. `gates` are replaced by the gradients with respect to the sums a from which
/// they were computed.
struct BackwardStep<'a, T> {
    gates: &'a mut [T],
    dy: &'a [T],
    cells: &'a [T],
    squashed: &'a [T],
}

/// The backward pass over some rows.
struct Backward<'a, T> {
    recurrent: &'a PackedMatrix<T>,
    h: usize,
    /// The cells c before the window.
    first: &'a [T],
    steps: Vec<BackwardStep<'a, T>>,
}

impl<T: Real> Kernel for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let h = self.h;
        let mut dh = vec![T::ZERO; self.first.len()];
        let mut dc = vec![T::ZERO; self.first.len()];
        for t in (0..self.steps.len()).rev() {
            let (earlier, rest) = self.steps.split_at_mut(t);
            let BackwardStep { gates, dy, squashed, .. } = &mut rest[0];
            let c_before = earlier.last().map_or(self.first, |step| step.cells);
            for (dh, dy) in dh.iter_mut().zip(*dy) {
                *dh += *dy;
            }
            let states = dh.chunks_exact(h).zip(dc.chunks_exact_mut(h));
            let states = states.zip(squashed.chunks_exact(h).zip(c_before.chunks_exact(h)));
            for (gates, ((dh, dc), (squashed, before))) in gates.chunks_exact_mut(4 * h).zip(states) {
                cell_back(gates, dh, dc, squashed, before);
            }
            dh.fill(T::ZERO);
            self.recurrent.add_product(gates, &mut dh);
        }
    }
}

/// A part of the gradients that follow from those with respect to the sums a.
enum Gradient<'a, T> {
    /// With respect to the inputs of some tokens.
    Inputs { slopes: &'a [T], of_inputs: &'a PackedMatrix<T>, dx: &'a mut [T] },
    /// With respect to the weights of some gates, from `first` on, given the inputs and the outputs for the previous
    /// tokens.
    Weights {
        slopes: &'a [T],
        sources: (&'a PackedMatrix<T>, &'a PackedMatrix<T>),
        h: usize,
        first: usize,
        by_ih: &'a mut [T],
        by_hh: &'a mut [T],
    },
}

impl<T: Real> Kernel for Gradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        match self {
            Self::Inputs { slopes, of_inputs, dx } => {
                dx.fill(T::ZERO);
                of_inputs.add_product(slopes, dx);
            }
            Self::Weights { slopes, sources, h, first, by_ih, by_hh } => {
                let (lines, gates) = (Lines { data: &slopes[first..], row: 1, step: 4 * h }, by_hh.len() / h);
                sources.0.times(lines, gates).put(by_ih, by_ih.len() / gates);
                sources.1.times(lines, gates).put(by_hh, h);
            }
        }
    }
}

/// One token of one row in the backward pass: `dc` comes from the next token and is passed on to the previous one.
#[inline(always)]
fn cell_back<T: Real>(gates: &mut [T], dh: &[T], dc: &mut [T], squashed: &[T], before: &[T]) {
    let h = dh.len();
    let (input, rest) = gates.split_at_mut(h);
    let (forget, rest) = rest.split_at_mut(h);
    let (candidate, output) = rest.split_at_mut(h);
    let ins = dh.iter().zip(dc).zip(squashed.iter().zip(before));
    let gates = input.iter_mut().zip(forget).zip(candidate.iter_mut().zip(output));
    let one = T::ONE;
    for (((i, f), (g, o)), ((dh, dc), (s, before))) in gates.zip(ins) {
        let d = *dc + *dh * *o * (one - *s * *s);
        *dc = d * *f;
        (*i, *g) = (d * *g * *i * (one - *i), d * *i * (one - *g * *g));
        *f = d * *before * *f * (one - *f);
        *o = *dh * *s * *o * (one - *o);
    }
}

/// The sums of the columns of a matrix whose rows are `width` long.
fn column_sums<T: Real>(rows: &[T], width: usize) -> Vec<T> {
    struct ColumnSums<'a, T>(&'a [T], &'a mut [T]);
    impl<T: Real> Kernel for ColumnSums<'_, T> {
        type Output = ();

        #[inline(always)]
        fn run(self) {
            for row in self.0.chunks_exact(self.1.len()) {
                for (sum, x) in self.1.iter_mut().zip(row) {
                    *sum += *x;
                }
            }
        }
    }
    let mut sums = vec![T::ZERO; width];
    raw::widest(ColumnSums(rows, &mut sums));
    sums
}
