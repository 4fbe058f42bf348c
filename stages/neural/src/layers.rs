//! Everything below the softmax layer: the embedding, the LSTM layers, and the dropout between them, forward and
//! backward.

use crate::failure::Result;
use tch::{Device, Tensor};

use crate::lstm::{self, LayerWeights, Tape};
use crate::model::{Carry, Model};
use crate::raw;
use crate::real::Real;
use crate::softmax::Gradients;

/// What the backward pass needs from the forward pass.
#[derive(Debug)]
pub(crate) struct Window<T> {
    /// Ids [T·B], time-major.
    inputs: Vec<u32>,
    tapes: Vec<Tape<T>>,
    /// The dropout mask of each layer's outputs, the embedding's first.
    masks: Vec<Option<Tensor>>,
}

/// The gradients of every weight, in the order of [`Model::tensors`].
#[derive(Debug)]
pub(crate) struct Slopes {
    pub(crate) tensors: Vec<Tensor>,
    /// The rows of the first tensor, the embedding's gradient, that are not all zero, in ascending order; `None` if
    /// unknown.
    pub(crate) rows: Option<Vec<u32>>,
}

impl Slopes {
    /// Adds the gradients of another window.
    pub(crate) fn add<T: Real>(&mut self, other: &Self) -> Result<()> {
        let sparse = self.rows.as_mut().zip(other.rows.as_ref());
        if let Some((rows, others)) = sparse {
            let (width, theirs) = (self.tensors[0].size2()?.1 as usize, raw::floats::<T>(&other.tensors[0])?);
            let sums = raw::floats_mut::<T>(&mut self.tensors[0])?;
            for at in others.iter().map(|row| *row as usize * width) {
                sums[at..][..width].iter_mut().zip(&theirs[at..]).for_each(|(sum, x)| *sum += *x);
            }
            rows.extend(others);
            rows.sort_unstable();
            rows.dedup();
        }
        let dense = usize::from(self.rows.is_some());
        for (sum, slope) in self.tensors.iter_mut().zip(&other.tensors).skip(dense) {
            let _same = sum.f_add_(slope)?;
        }
        Ok(())
    }

    /// The embedding's gradient reset to zeros, for the next window to write into; `None` if `rows` is unknown, since a
    /// fresh tensor is then as cheap.
    pub(crate) fn recycle<T: Real>(mut self) -> Result<Option<Tensor>> {
        let Some(rows) = self.rows else { return Ok(None) };
        let mut encoder = self.tensors.swap_remove(0);
        let width = encoder.size2()?.1 as usize;
        let sums = raw::floats_mut::<T>(&mut encoder)?;
        for row in rows {
            sums[row as usize * width..][..width].fill(T::ZERO);
        }
        Ok(Some(encoder))
    }
}

/// Runs the layers over the ids of a window [T·B], starting from the hidden state `carry`, which is advanced to the end
/// of the window. Returns the top layer's outputs [T·B, H], and what the backward pass needs.
///
/// `mask` returns a dropout mask for a non-recurrent connection (Zaremba et al. 2014, figure 2): its argument is 0 for
/// the word vectors, and l ≥ 1 for the outputs of layer l.
pub(crate) fn forward<T: Real>(
    model: &Model,
    inputs: Vec<u32>,
    carry: &mut [Carry],
    mask: impl Fn(usize, &Tensor) -> Result<Option<Tensor>>,
    threads: usize,
) -> Result<(Tensor, Window<T>)> {
    let (rows, width) = (raw::floats::<T>(model.encoder())?, model.shape.embedding);
    let mut embedded = Tensor::f_empty([inputs.len() as i64, width as i64], (T::KIND, Device::Cpu))?;
    for (out, id) in raw::floats_mut::<T>(&mut embedded)?.chunks_mut(width).zip(&inputs) {
        out.copy_from_slice(&rows[*id as usize * width..][..width]);
    }
    let (mut masks, mut tapes) = (Vec::new(), Vec::new());
    let mut masked = |layer: usize, a: Tensor| -> Result<Tensor> {
        let mask = mask(layer, &a)?;
        let a = mask.as_ref().map_or(Ok(a.shallow_clone()), |mask| a.f_mul(mask))?;
        masks.push(mask);
        Ok(a)
    };
    let mut y = masked(0, embedded)?;
    for (l, carry) in carry.iter_mut().enumerate() {
        let (out, tape) = lstm::forward(weights(model, l), y, carry, threads)?;
        tapes.push(tape);
        y = masked(l + 1, out)?;
    }
    Ok((y, Window { inputs, tapes, masks }))
}

/// The gradients of every weight, given those of the softmax layer. `zeros` is what [`Slopes::recycle`] returned for an
/// earlier window.
pub(crate) fn backward<T: Real>(
    model: &Model,
    window: Window<T>,
    upper: Gradients,
    zeros: Option<Tensor>,
    threads: usize,
) -> Result<Slopes> {
    let Window { inputs, tapes, mut masks } = window;
    let mut below = |d: Tensor| -> Result<Tensor> {
        match masks.pop().flatten() {
            Some(mask) => Ok(d.f_mul(&mask)?),
            None => Ok(d),
        }
    };
    let mut d = below(upper.y)?;
    let mut layers = Vec::new();
    for (l, tape) in tapes.into_iter().enumerate().rev() {
        let (dx, gradients) = lstm::backward(weights(model, l), tape, &d, threads)?;
        layers.push(gradients);
        d = below(dx)?;
    }
    // A tied matrix gets gradients from both of its uses.
    let (mut encoder, decoder) = match model.shape.tied {
        true => (upper.weight, None),
        false => (zeros.map_or_else(|| model.encoder().f_zeros_like(), Ok)?, Some(upper.weight)),
    };
    let width = model.shape.embedding;
    let (sums, slopes) = (raw::floats_mut::<T>(&mut encoder)?, raw::floats::<T>(&d)?);
    for (id, slope) in inputs.iter().zip(slopes.chunks(width)) {
        sums[*id as usize * width..][..width].iter_mut().zip(slope).for_each(|(sum, x)| *sum += *x);
    }
    let rows = (!model.shape.tied).then(|| {
        let mut rows = inputs;
        rows.sort_unstable();
        rows.dedup();
        rows
    });
    let all = std::iter::once(encoder).chain(layers.into_iter().rev().flatten()).chain(decoder).chain([upper.bias]);
    Ok(Slopes { tensors: all.collect(), rows })
}

fn weights(model: &Model, layer: usize) -> LayerWeights<'_> {
    std::array::from_fn(|i| &model.tensors[1 + 4 * layer + i])
}
