//! A model's weights on the GPU, and everything below the softmax layer.

use tch::{Device, Tensor, no_grad};

use crate::describe::ready_cuda;
use crate::failure::{Result, ensure};
use crate::model::{Carry, Model, Shape};

/// cuDNN's mode number for an LSTM.
const LSTM: i64 = 2;

/// Weights on the GPU.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(super) shape: Shape,
    /// The weights in the order of [`Model::tensors`]; each is a view of a block.
    tensors: Vec<Tensor>,
    /// All weights in a few contiguous blocks, [n] each, so that an update takes few operations: one for each cuDNN
    /// call, which requires that layout, and one for the remaining weights.
    pub(super) blocks: Vec<Tensor>,
    /// The indices of the tensors, in the order in which the blocks hold them.
    pub(super) order: Vec<usize>,
    /// How many layers cuDNN runs in one call: all of them if there is no dropout between them.
    joined: usize,
    /// The GPU; tests run the same operations on the CPU.
    pub(super) device: Device,
}

impl Loaded {
    /// Copies a model to a device; `joined` says that there is no dropout between layers.
    ///
    /// # Errors
    /// If there is no such device, or if it has too little memory.
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
            ensure!(block.numel() == numel, "cuDNN laid out {numel} weights in a block of {}", block.numel());
            of.sort_by_key(|i| self.tensors[*i].data_ptr() as usize);
            self.order.extend(of);
            self.blocks.push(block);
        }
        self.join(std::iter::once(0).chain(1 + 4 * layers..self.tensors.len()).collect())
    }

    /// Joins some tensors into a block, of which they become views.
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

    /// The weights of the layers that one cuDNN call runs, starting with layer `first`.
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

    /// All weights, block after block, [P].
    pub(super) fn flat(&self) -> Result<Tensor> {
        Ok(Tensor::f_cat(&self.blocks, 0)?)
    }

    /// The hidden state in the layout of cuDNN calls, [layers of the call, B, H], given that of each layer.
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

    /// The hidden state before any token, zeros, for `rows` rows.
    pub(super) fn zero_carry(&self, rows: i64) -> Result<Vec<Carry>> {
        let sizes = [self.joined as i64, rows, self.shape.hidden as i64];
        let zeros = || Tensor::f_zeros(sizes, (self.tensors[0].kind(), self.device));
        (0..self.shape.layers).step_by(self.joined).map(|_| Ok((zeros()?, zeros()?))).collect()
    }

    /// The word vectors [T, B, E] of ids [T, B].
    pub(super) fn embed(&self, inputs: &Tensor) -> Result<Tensor> {
        let rows = self.tensors[0].f_index_select(0, &inputs.f_flatten(0, 1)?)?;
        let (t, b) = inputs.size2()?;
        Ok(rows.f_reshape([t, b, self.shape.embedding as i64])?)
    }

    /// The top layer's outputs [T, B, H] for word vectors [T, B, E], with each layer's outputs multiplied by its mask;
    /// the hidden state is advanced.
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

    pub(super) fn decoder(&self) -> &Tensor {
        if self.shape.tied { &self.tensors[0] } else { &self.tensors[self.tensors.len() - 2] }
    }

    pub(super) fn decoder_bias(&self) -> &Tensor {
        &self.tensors[self.tensors.len() - 1]
    }
}
