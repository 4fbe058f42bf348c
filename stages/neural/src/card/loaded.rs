//! A model's weights on the GPU: forward, the softmax layer with its gradient, and scoring.

use std::sync::atomic::AtomicBool;

use anyhow::{Result, ensure};
use stages::files::Ids;
use stages::protocol::{Measured, Predicted};
use tch::{Device, Kind, Tensor, no_grad};

use super::{DrawnWindow, SentWindow, sharpness};
use crate::describe::ready_cuda;
use crate::evaluate::{CHUNK, Score, in_chunks};
use crate::model::{Carry, Model, Shape};

/// cuDNN's number for an LSTM.
const LSTM: i64 = 2;

/// Weights on the GPU.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(super) shape: Shape,
    /// In the order of [`Model::tensors`]; each a part of a block.
    pub(super) tensors: Vec<Tensor>,
    /// All weights in few pieces of memory, [n] each, so that an update takes few operations: those of each call of
    /// cuDNN, which wants them so, and the others.
    pub(super) blocks: Vec<Tensor>,
    /// Which tensors lie in the blocks, one after the other.
    pub(super) order: Vec<usize>,
    /// How many layers cuDNN runs in one call: all where nothing lies between them.
    joined: usize,
    /// The GPU; tests run the same operations on the CPU.
    pub(super) device: Device,
}

/// What the softmax layer learns of a window of N tokens; L is the mean loss.
pub(super) struct Upper {
    /// −L, in double precision.
    pub(super) likelihood: Tensor,
    /// ∂L/∂W [V, H].
    pub(super) weight: Tensor,
    /// ∂L/∂b [V].
    pub(super) bias: Tensor,
    /// ∂L/∂y [N, H].
    pub(super) y: Tensor,
    /// The largest logit, the mean entropy and the sharpness, in double precision.
    pub(super) probes: Option<[Tensor; 3]>,
}

impl Loaded {
    /// Copies a model to a device; `joined` where nothing is dropped between layers.
    ///
    /// # Errors
    /// When there is no such device, or its memory does not suffice.
    pub(crate) fn new(model: &Model, joined: bool, device: Device) -> Result<Self> {
        if device.is_cuda() {
            ready_cuda()?;
        }
        let shape = model.shape;
        let copy = |tensor: &Tensor| tensor.f_to_device_(device, tensor.kind(), false, true);
        let tensors = model.tensors.iter().map(copy).collect::<Result<Vec<_>, _>>()?;
        let joined = if joined { shape.layers.max(1) } else { 1 };
        let mut this = Self { shape, tensors, blocks: Vec::new(), order: Vec::new(), joined, device };
        no_grad(|| this.lay_out())?;
        for tensor in this.recurrent() {
            let _same = tensor.set_requires_grad(true);
        }
        Ok(this)
    }

    /// Moves the weights into blocks.
    fn lay_out(&mut self) -> Result<()> {
        let Shape { embedding, hidden, layers, .. } = self.shape;
        for first in (0..layers).step_by(self.joined) {
            let mut of: Vec<usize> = (1 + 4 * first..1 + 4 * (first + self.joined)).collect();
            if !self.device.is_cuda() {
                // In cuDNN's order: matrices, then biases.
                of.sort_by_key(|i| (i - 1) % 4 / 2);
                self.join(of)?;
                continue;
            }
            let (width, layers) = (if first == 0 { embedding } else { hidden }, self.joined);
            let (width, hidden, layers) = (width as i64, hidden as i64, layers as i64);
            let weights = self.of_layers(first);
            // The weights become views of the block that this returns.
            let block =
                Tensor::f_internal_cudnn_rnn_flatten_weight(weights, 4, width, LSTM, hidden, 0, layers, false, false)?;
            let numel: usize = weights.iter().map(Tensor::numel).sum();
            ensure!(block.numel() == numel, "cuDNN lays {numel} weights out as {}", block.numel());
            of.sort_by_key(|i| self.tensors[*i].data_ptr() as usize);
            self.order.extend(of);
            self.blocks.push(block);
        }
        self.join(std::iter::once(0).chain(1 + 4 * layers..self.tensors.len()).collect())
    }

    /// Makes a block of some tensors.
    fn join(&mut self, of: Vec<usize>) -> Result<()> {
        let flat = |i: &usize| self.tensors[*i].f_flatten(0, -1);
        let block = Tensor::f_cat(&of.iter().map(flat).collect::<Result<Vec<_>, _>>()?, 0)?;
        let mut begin = 0;
        for i in &of {
            let tensor = &self.tensors[*i];
            let length = i64::try_from(tensor.numel())?;
            self.tensors[*i] = block.f_narrow(0, begin, length)?.f_view_as(tensor)?;
            begin += length;
        }
        self.blocks.push(block);
        self.order.extend(of);
        Ok(())
    }

    /// The weights of the layers that one call runs, the first of which is `first`.
    fn of_layers(&self, first: usize) -> &[Tensor] {
        &self.tensors[1 + 4 * first..][..4 * self.joined]
    }

    /// The weights of all LSTM layers.
    pub(super) fn recurrent(&self) -> &[Tensor] {
        &self.tensors[1..][..4 * self.shape.layers]
    }

    /// Every weight, copied to the CPU.
    pub(super) fn weights(&self) -> Result<Vec<Tensor>> {
        let copy = |tensor: &Tensor| Ok(tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?);
        self.tensors.iter().map(copy).collect()
    }

    /// Every weight, block after block, [P].
    pub(super) fn flat(&self) -> Result<Tensor> {
        Ok(Tensor::f_cat(&self.blocks, 0)?)
    }

    /// The hidden state as calls want it, [layers of a call, B, H], from one for each layer.
    pub(super) fn gather(&self, layers: &[Carry]) -> Result<Vec<Carry>> {
        let join = |calls: &[Carry], of: fn(&Carry) -> &Tensor| -> Result<Tensor> {
            Ok(Tensor::f_cat(&calls.iter().map(of).collect::<Vec<_>>(), 0)?.f_to_device(self.device)?)
        };
        layers.chunks(self.joined).map(|calls| Ok((join(calls, |it| &it.0)?, join(calls, |it| &it.1)?))).collect()
    }

    /// The reverse of [`Self::gather`].
    pub(super) fn scatter(&self, calls: &[Carry]) -> Result<Vec<Carry>> {
        let mut layers = Vec::with_capacity(self.shape.layers);
        for (h, c) in calls {
            for l in 0..h.size()[0] {
                let one = |it: &Tensor| it.f_narrow(0, l, 1)?.f_to_device(Device::Cpu)?.f_contiguous();
                layers.push((one(h)?, one(c)?));
            }
        }
        Ok(layers)
    }

    /// The hidden state before any token, for `rows` rows.
    pub(super) fn zero_carry(&self, rows: i64) -> Result<Vec<Carry>> {
        let sizes = [self.joined as i64, rows, self.shape.hidden as i64];
        let zeros = || Tensor::f_zeros(sizes, (self.tensors[0].kind(), self.device));
        (0..self.shape.layers).step_by(self.joined).map(|_| Ok((zeros()?, zeros()?))).collect()
    }

    /// A window for `rows` rows, on the GPU. Copies are under way when this returns: pinned memory lets them go on while
    /// this thread does.
    pub(super) fn sent(&self, drawn: &DrawnWindow, rows: i64) -> Result<SentWindow> {
        let send = |tensor: &Tensor| -> Result<Tensor> {
            if !self.device.is_cuda() {
                return Ok(tensor.shallow_clone());
            }
            Ok(tensor.f_pin_memory(self.device)?.f_to_device_(self.device, tensor.kind(), true, false)?)
        };
        let ids = send(&drawn.ids)?;
        let n = i64::try_from(ids.numel() / 2)?;
        Ok(SentWindow {
            inputs: ids.f_narrow(0, 0, n)?.f_reshape([n / rows, rows])?,
            targets: ids.f_narrow(0, n, n)?.f_reshape([n, 1])?,
            masks: drawn.masks.iter().map(|mask| mask.as_ref().map(send).transpose()).collect::<Result<_>>()?,
        })
    }

    /// The word vectors [T, B, E] of ids [T, B].
    pub(super) fn embed(&self, inputs: &Tensor) -> Result<Tensor> {
        let rows = self.tensors[0].f_index_select(0, &inputs.f_flatten(0, 1)?)?;
        let (t, b) = inputs.size2()?;
        Ok(rows.f_reshape([t, b, self.shape.embedding as i64])?)
    }

    /// The top layer's outputs [T, B, H] for word vectors [T, B, E], each layer's multiplied by its mask; the hidden state
    /// moves on.
    pub(super) fn layers(
        &self,
        x: &Tensor,
        carry: &mut [Carry],
        masks: &[Option<Tensor>],
        train: bool,
    ) -> Result<Tensor> {
        let masked = |layer: usize, a: Tensor| match masks.get(layer) {
            Some(Some(mask)) => a.f_mul(mask),
            _ => Ok(a),
        };
        let mut y = masked(0, x.shallow_clone())?;
        for (call, carry) in carry.iter_mut().enumerate() {
            let first = call * self.joined;
            let (states, layers) = ([&carry.0, &carry.1], self.joined as i64);
            let weights: Vec<&Tensor> = self.of_layers(first).iter().collect();
            let (out, h, c) = y.f_lstm(&states, &weights, true, layers, 0.0, train, false, false)?;
            *carry = (h.f_detach()?, c.f_detach()?);
            y = masked(first + self.joined, out)?;
        }
        Ok(y)
    }

    fn decoder(&self) -> &Tensor {
        if self.shape.tied { &self.tensors[0] } else { &self.tensors[self.tensors.len() - 2] }
    }

    fn decoder_bias(&self) -> &Tensor {
        &self.tensors[self.tensors.len() - 1]
    }

    /// The logits [N, V] of y [N, H], by the layer's matrix [V, H] in the precision of products.
    fn logits(&self, weight: &Tensor, y: &Tensor) -> Result<Tensor> {
        let (bias, across) = (self.decoder_bias(), weight.f_tr()?);
        Ok(if y.kind() == bias.kind() { bias.f_addmm(y, &across)? } else { product(y, &across)?.f_add(bias)? })
    }

    /// The softmax layer over y [N, H] with its gradient: ∂L/∂logits = (softmax − onehot) / N. `targets` are [N, 1].
    /// What is predicted of each token is added to `noted`, where that is wanted.
    pub(super) fn softmax(
        &self,
        y: &Tensor,
        targets: &Tensor,
        probed: bool,
        rounds: bool,
        noted: Option<&mut Vec<Predicted>>,
    ) -> Result<Upper> {
        let (weight, y) = (narrow(self.decoder(), rounds)?, narrow(y, rounds)?);
        let logits = self.logits(&weight, &y)?;
        let n = targets.numel() as f64;
        let mut turned = logits.f_log_softmax(-1, None::<Kind>)?;
        let picked = turned.f_gather(1, targets, false)?;
        let likelihood = picked.f_mean(Kind::Double)?;
        if let Some(noted) = noted {
            predicted(&turned, &picked, noted)?;
        }
        let _same = turned.f_exp_()?;
        let probes = match probed {
            true => {
                let largest = logits.f_abs()?.f_max()?.f_to_kind(Kind::Double)?;
                let entropy = turned.f_special_entr()?.f_sum(Kind::Double)?.f_div_scalar(n)?;
                Some([largest, entropy, sharpness::of(&turned, &y)?])
            }
            false => None,
        };
        drop(logits);
        let _same = turned.f_scatter_(1, targets, &picked.f_exp()?.f_sub_scalar(1.0)?)?;
        let _same = turned.f_mul_scalar_(1.0 / n)?;
        let bias = turned.f_sum_dim_intlist(&[0i64][..], false, turned.kind())?;
        let turned = narrow(&turned, rounds)?;
        Ok(Upper { likelihood, weight: product(&turned.f_tr()?, &y)?, bias, y: product(&turned, &weight)?, probes })
    }

    /// The sum of the log-likelihoods of `targets` [T·B, 1] after `inputs` [T, B], in nats.
    pub(super) fn likelihood(
        &self,
        inputs: &Tensor,
        targets: &Tensor,
        carry: &mut [Carry],
        masks: &[Option<Tensor>],
        rounds: bool,
    ) -> Result<f64> {
        let y = self.layers(&self.embed(inputs)?, carry, masks, false)?.f_flatten(0, 1)?;
        let logits = self.logits(&narrow(self.decoder(), rounds)?, &narrow(&y, rounds)?)?;
        let picked = logits.f_log_softmax(-1, None::<Kind>)?.f_gather(1, targets, false)?;
        Ok(f64::try_from(picked.f_sum(Kind::Double)?)?)
    }

    /// Scores a split; see [`crate::evaluate::score`].
    ///
    /// # Errors
    /// Those of that function.
    pub(crate) fn score(
        &self,
        ids: &Ids,
        stop: &AtomicBool,
        progress: impl FnMut(u64, u64) -> Result<()>,
    ) -> Result<Option<Score>> {
        let mut carry = self.zero_carry(1)?;
        let send = |ids: &[u32]| -> Result<Tensor> {
            let wide: Vec<i64> = ids.iter().copied().map(i64::from).collect();
            Ok(Tensor::f_from_slice(&wide)?.f_to_device(self.device)?.f_unsqueeze(1)?)
        };
        in_chunks((ids, self.shape.vocab), CHUNK, stop, progress, |inputs, targets| {
            Ok(-no_grad(|| self.likelihood(&send(inputs)?, &send(targets)?, &mut carry, &[], false))?)
        })
    }
}

/// Adds what is predicted of each token: of the logarithms `all` [N, V] of the probabilities the highest, beside those
/// of the targets [N, 1].
fn predicted(all: &Tensor, targets: &Tensor, noted: &mut Vec<Predicted>) -> Result<()> {
    let named = all.size()[1].min(Predicted::NAMED as i64);
    let (highest, types) = all.f_topk(named, 1, true, true)?;
    let above = all.f_gt_tensor(targets)?.f_sum_dim_intlist(&[1i64][..], false, Kind::Int64)?;
    let doubles = |tensor: &Tensor| -> Result<Vec<f64>> {
        Ok(Vec::try_from(&tensor.f_to_kind(Kind::Double)?.f_to_device(Device::Cpu)?.f_flatten(0, -1)?)?)
    };
    let integers = |tensor: &Tensor| -> Result<Vec<i64>> {
        Ok(Vec::try_from(&tensor.f_to_device(Device::Cpu)?.f_flatten(0, -1)?)?)
    };
    let (highest, types, above, targets) =
        (doubles(&highest)?, integers(&types)?, integers(&above)?, doubles(targets)?);
    let named = usize::try_from(named)?;
    let rows = highest.chunks(named).zip(types.chunks(named)).zip(above).zip(targets);
    for (((highest, types), above), target) in rows {
        // A logit that is no number, or infinite, leaves no probabilities.
        let sound = highest.iter().all(|x| !x.is_nan());
        let likeliest = types.iter().zip(highest).filter(|_| sound);
        noted.push(Predicted {
            loss: Measured(-target),
            rank: if sound { Some(u64::try_from(above)? + 1) } else { None },
            likeliest: likeliest.map(|(id, x)| Ok((u32::try_from(*id)?, x.exp()))).collect::<Result<_>>()?,
        });
    }
    Ok(())
}

/// A factor of a product that may round.
fn narrow(tensor: &Tensor, rounds: bool) -> Result<Tensor> {
    Ok(if rounds { tensor.f_to_kind(Kind::BFloat16)? } else { tensor.shallow_clone() })
}

/// A product whose sums are of the precision of weights.
fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(if a.kind() == Kind::BFloat16 { a.f_mm_dtype(b, Kind::Float)? } else { a.f_mm(b)? })
}
