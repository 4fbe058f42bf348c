//! A window of the plan, before and after it is copied to the GPU.

use crate::failure::Result;
use tch::{Device, Tensor};

use crate::batches::BatchReader;
use crate::model::Shape;
use crate::real::Real;
use crate::step::Recipe;

/// A window of the plan, still on the CPU.
#[derive(Debug)]
pub(super) struct DrawnWindow {
    /// Inputs and then targets, [2·T·B], time-major.
    ids: Tensor,
    /// The dropout mask of each layer's outputs, [T, B, width]; the embedding's first.
    masks: Vec<Option<Tensor>>,
    pub(super) resets: bool,
}

/// A window of the plan on the GPU.
pub(super) struct SentWindow {
    /// [T, B]
    pub(super) inputs: Tensor,
    /// [T·B, 1]
    pub(super) targets: Tensor,
    pub(super) masks: Vec<Option<Tensor>>,
}

impl DrawnWindow {
    /// Reads a window, and draws its dropout.
    pub(super) fn new<T: Real>(batches: &BatchReader, recipe: &Recipe, shape: Shape, window: u64) -> Result<Self> {
        let (inputs, targets) = batches.read(window)?;
        let (t, b) = (i64::try_from(batches.plan.unroll)?, i64::try_from(batches.plan.size)?);
        let ids: Vec<i64> = inputs.into_iter().chain(targets).map(i64::from).collect();
        let widths = std::iter::once(shape.embedding).chain((0..shape.layers).map(|_| shape.hidden));
        let mask =
            |(layer, width): (usize, usize)| recipe.dropout.mask::<T>(window, layer, &[t, b, i64::try_from(width)?]);
        Ok(Self {
            ids: Tensor::f_from_slice(&ids)?,
            masks: widths.enumerate().map(mask).collect::<Result<_>>()?,
            resets: batches.plan.resets_state(window),
        })
    }

    /// Copies the window, which has `rows` rows, to a device. The copies may still be in progress when this returns:
    /// from pinned memory, they overlap with the work of this thread.
    pub(super) fn send(&self, device: Device, rows: i64) -> Result<SentWindow> {
        let send = |tensor: &Tensor| -> Result<Tensor> {
            if !device.is_cuda() {
                return Ok(tensor.shallow_clone());
            }
            Ok(tensor.f_pin_memory(device)?.f_to_device_(device, tensor.kind(), true, false)?)
        };
        let ids = send(&self.ids)?;
        let n = i64::try_from(ids.numel() / 2)?;
        Ok(SentWindow {
            inputs: ids.f_narrow(0, 0, n)?.f_reshape([n / rows, rows])?,
            targets: ids.f_narrow(0, n, n)?.f_reshape([n, 1])?,
            masks: self.masks.iter().map(|mask| mask.as_ref().map(send).transpose()).collect::<Result<_>>()?,
        })
    }
}
