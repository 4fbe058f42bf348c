//! Dropout, seeded separately for each window and layer.

use crate::failure::Result;
use stages::random::Stream;
use tch::{Device, Tensor};

use crate::raw::{self, Kernel};
use crate::real::Real;

/// Drops each activation with probability `share`, and scales the others by 1 / (1 − share).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropout {
    /// The probability that an activation is dropped, in [0, 1).
    pub(crate) share: f64,
    /// The seed of training.
    pub(crate) seed: u64,
}

impl Dropout {
    /// The mask, of size `sizes`, for the activations of `layer` (0: the embedding) in a window of the plan; `None` if
    /// nothing is dropped. It depends only on the window, the layer and the seed, so that resumed training drops the
    /// same elements.
    pub(crate) fn mask<T: Real>(&self, window: u64, layer: usize, sizes: &[i64]) -> Result<Option<Tensor>> {
        if self.share == 0.0 {
            return Ok(None);
        }
        let stream = Stream::new(self.seed, &format!("dropout step {window} layer {layer}"));
        let threshold = (self.share * 2f64.powi(64)) as u64;
        let kept = T::of(1.0 / (1.0 - self.share));
        let mut mask = Tensor::f_empty(sizes, (T::KIND, Device::Cpu))?;
        raw::widest(Mask { elements: raw::floats_mut(&mut mask)?, stream, threshold, kept });
        Ok(Some(mask))
    }
}

struct Mask<'a, T> {
    elements: &'a mut [T],
    stream: Stream,
    threshold: u64,
    kept: T,
}

impl<T: Real> Kernel for Mask<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (i, element) in self.elements.iter_mut().enumerate() {
            *element = if self.stream.bits(i as u64) < self.threshold { T::ZERO } else { self.kept };
        }
    }
}
