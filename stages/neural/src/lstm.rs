//! An LSTM layer over a window, forward and backward, written by hand (Hochreiter and Schmidhuber 1997, with forget
//! gates; the formulas of `torch.nn.LSTM`).
//!
//! i, f, o = σ(a), g = tanh(a) with a = W_ih x_t + b_ih + W_hh h_(t−1) + b_hh; c_t = f c_(t−1) + i g; h_t = o tanh c_t.
//! The part of a that does not depend on the previous token is one product over the whole window. For the recurrence,
//! each thread takes some rows of the batch from the start of the window to its end, without waiting for the others. At
//! twenty rows this takes a third of the time of libtorch's layer with its autograd (measured).
//!
//! Sizes: T tokens, B rows, I inputs, H hidden units. Layouts are time-major: row t · B + b of a matrix [T·B, …]
//! belongs to token t of row b.

mod back;
mod tape;

use crate::failure::Result;
use tch::{Device, Tensor};

use crate::factor::ROWS;
use crate::matrix::PackedMatrix;
use crate::model::{Carry, tensor};
use crate::parallel;
use crate::raw::{self, Kernel};
use crate::real::Real;
pub(crate) use back::backward;
pub(crate) use tape::{LayerWeights, Tape};

/// Runs a layer over the inputs `x` [T·B, I], starting from the hidden state `carry`, which is advanced to the window's
/// end.
/// The returned outputs [T·B, H] share memory with the tape.
pub(crate) fn forward<T: Real>(
    weights: LayerWeights<'_>,
    x: Tensor,
    carry: &mut Carry,
    threads: usize,
) -> Result<(Tensor, Tape<T>)> {
    let [w_ih, w_hh, b_ih, b_hh] = weights;
    let (_, rows, hidden) = carry.0.size3()?;
    let (b, h) = (usize::try_from(rows)?, usize::try_from(hidden)?);
    let inputs = w_ih.size2()?.1 as usize;
    let of_inputs = &PackedMatrix::<T>::transposed(raw::floats::<T>(w_ih)?, inputs, 4 * h);
    let recurrent = &PackedMatrix::<T>::transposed(raw::floats::<T>(w_hh)?, h, 4 * h);
    let (b_ih, b_hh) = (raw::floats::<T>(b_ih)?, raw::floats::<T>(b_hh)?);
    let bias: &Vec<T> = &b_ih.iter().zip(b_hh).map(|(x, y)| *x + *y).collect();
    let mut gates = Tensor::f_empty([x.size()[0], 4 * hidden], (T::KIND, Device::Cpu))?; // [T·B, 4H]
    let blocks = raw::floats_mut::<T>(&mut gates)?.chunks_mut(4 * ROWS * h);
    let blocks = blocks.zip(raw::floats::<T>(&x)?.chunks(ROWS * inputs));
    parallel::each(threads, blocks.collect(), |(gates, x)| raw::widest(InputSums { of_inputs, bias, x, gates }));
    let mut y = Tensor::f_empty([x.size()[0], hidden], (T::KIND, Device::Cpu))?;
    let before = (carry.0.f_reshape([rows, hidden])?, carry.1.f_reshape([rows, hidden])?);
    let elements = y.numel();
    let (mut cells, mut squashed) = (vec![T::ZERO; elements], vec![T::ZERO; elements]);

    let share = b.div_ceil(threads.max(1));
    let firsts = (raw::floats::<T>(&before.0)?, raw::floats::<T>(&before.1)?);
    let mut parts: Vec<Forward<'_, T>> = (0..b.div_ceil(share))
        .map(|part| {
            let of = part * share * h..((part + 1) * share).min(b) * h;
            Forward { recurrent, h, first: (&firsts.0[of.clone()], &firsts.1[of]), steps: Vec::new() }
        })
        .collect();
    let times =
        raw::floats_mut::<T>(&mut gates)?.chunks_mut(4 * b * h).zip(raw::floats_mut::<T>(&mut y)?.chunks_mut(b * h));
    for ((gates, y), (cells, squashed)) in times.zip(cells.chunks_mut(b * h).zip(squashed.chunks_mut(b * h))) {
        let blocks = gates.chunks_mut(4 * share * h).zip(y.chunks_mut(share * h));
        let blocks = blocks.zip(cells.chunks_mut(share * h).zip(squashed.chunks_mut(share * h)));
        for (part, ((gates, y), (cells, squashed))) in parts.iter_mut().zip(blocks) {
            part.steps.push(ForwardStep { gates, y, cells, squashed });
        }
    }
    parallel::each(threads, parts, raw::widest);

    let end = elements - b * h;
    let c = tensor(&cells[end..], &[1, b, h])?;
    let h = tensor(&raw::floats::<T>(&y)?[end..], &[1, b, h])?;
    *carry = (h, c);
    Ok((y.shallow_clone(), Tape { x, y, gates, cells, squashed, before }))
}

/// The part of the sums a that does not depend on the previous token: W_ih x + b_ih + b_hh for some tokens.
struct InputSums<'a, T> {
    of_inputs: &'a PackedMatrix<T>,
    bias: &'a [T],
    x: &'a [T],
    gates: &'a mut [T],
}

impl<T: Real> Kernel for InputSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for gates in self.gates.chunks_exact_mut(self.bias.len()) {
            gates.copy_from_slice(self.bias);
        }
        self.of_inputs.add_product(self.x, self.gates);
    }
}

/// The buffers for one token of some rows.
struct ForwardStep<'a, T> {
    gates: &'a mut [T],
    y: &'a mut [T],
    cells: &'a mut [T],
    squashed: &'a mut [T],
}

/// The forward pass over some rows.
struct Forward<'a, T> {
    recurrent: &'a PackedMatrix<T>,
    h: usize,
    first: (&'a [T], &'a [T]),
    steps: Vec<ForwardStep<'a, T>>,
}

impl<T: Real> Kernel for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let h = self.h;
        for t in 0..self.steps.len() {
            let (done, rest) = self.steps.split_at_mut(t);
            let ForwardStep { gates, y, cells, squashed } = &mut rest[0];
            let (y_before, c_before) = done.last().map_or(self.first, |step| (&*step.y, &*step.cells));
            self.recurrent.add_product(y_before, gates);
            let states = y.chunks_exact_mut(h).zip(cells.chunks_exact_mut(h)).zip(squashed.chunks_exact_mut(h));
            for ((gates, ((y, cells), squashed)), before) in
                gates.chunks_exact_mut(4 * h).zip(states).zip(c_before.chunks_exact(h))
            {
                cell(gates, y, cells, squashed, before);
            }
        }
    }
}

/// Computes one token of one row from the sums a in `gates`, which are replaced by the gates' values.
#[inline(always)]
fn cell<T: Real>(gates: &mut [T], y: &mut [T], cells: &mut [T], squashed: &mut [T], before: &[T]) {
    let h = y.len();
    let (cells, squashed, before) = (&mut cells[..h], &mut squashed[..h], &before[..h]);
    let (input, rest) = gates.split_at_mut(h);
    let (forget, rest) = rest.split_at_mut(h);
    let (candidate, output) = rest.split_at_mut(h);
    for gate in [&mut *input, &mut *forget, &mut *output] {
        for a in gate {
            *a = a.sigmoid();
        }
    }
    for a in candidate.iter_mut() {
        *a = a.tanh();
    }
    let (candidate, output) = (&candidate[..h], &output[..h]);
    for j in 0..h {
        cells[j] = forget[j] * before[j] + input[j] * candidate[j];
    }
    for j in 0..h {
        squashed[j] = cells[j].tanh();
        y[j] = output[j] * squashed[j];
    }
}
