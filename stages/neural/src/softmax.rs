//! The softmax layer with its loss and gradient, by hand.
//!
//! Two thirds of a step's arithmetic and nearly all of its memory traffic are here, at N · V logits. Autograd would
//! hold four arrays of that size and pass over them twelve times; here is one array, gone through in three passes, and
//! each does with a block of it, while it is in cache, all that can be done:
//!
//! 1. logits l = W yᵀ + b, and the maximum m of each token;
//! 2. e = e^(l − m), its sum Z of each token, and Wᵀ e, from which the gradient by y follows;
//! 3. the gradients by W and b, once every Z is known: e times y / Z.
//!
//! Logits lie as [V, N]: a row is a type, a lane a token. So no product wants a copy of the matrix in another order. The
//! targets' part of the gradients, which alone has the −1 of p − 1, is left out of the products and added at the end.

mod candidates;
mod layer;
mod loss;
mod passes;
mod setting;

use anyhow::Result;
use stages::protocol::Predicted;
use tch::Tensor;

use crate::model::Model;
use crate::real::Real;
use crate::stopwatch::Stopwatch;
use layer::SoftmaxLayer;
pub(crate) use loss::{Gradients, PredictionProbes, WindowLoss};

/// The layer, in the precision of its weights or with factors rounded to bf16.
#[derive(Debug)]
pub(crate) struct Softmax<T: Real> {
    exact: SoftmaxLayer<T, T>,
    rounded: SoftmaxLayer<T, T::Rounded>,
    rounds: bool,
    /// What was predicted of each token that it learnt from, where that is wanted.
    noted: Option<Vec<Predicted>>,
}

impl<T: Real> Softmax<T> {
    pub(crate) fn new(threads: usize) -> Self {
        Self { exact: SoftmaxLayer::new(threads), rounded: SoftmaxLayer::new(threads), rounds: false, noted: None }
    }

    /// The same, whose products round their factors to bf16 while it learns.
    pub(crate) fn rounding(self, rounds: bool) -> Self {
        Self { rounds, ..self }
    }

    /// From now on so many threads compute: no bit depends on their number.
    pub(crate) fn use_threads(&mut self, threads: usize) {
        (self.exact.threads, self.rounded.threads) = (threads, threads);
    }

    /// The loss of predicting `targets` [N] from `y` [N, H], and its gradients.
    ///
    /// # Errors
    /// Those of libtorch.
    pub(crate) fn learn(
        &mut self,
        model: &Model,
        y: &Tensor,
        targets: &[u32],
        probe: bool,
        watch: &mut Stopwatch,
    ) -> Result<(WindowLoss, Gradients)> {
        match self.rounds {
            true => self.rounded.learn(model, y, targets, probe, self.noted.as_mut(), watch),
            false => self.exact.learn(model, y, targets, probe, self.noted.as_mut(), watch),
        }
    }

    /// From now on what is predicted of each token is noted while it learns.
    pub(crate) fn note_predictions(&mut self) {
        self.noted = Some(Vec::new());
    }

    /// What was noted, and no more is.
    pub(crate) fn take_predictions(&mut self) -> Vec<Predicted> {
        self.noted.take().unwrap_or_default()
    }

    /// The sum, in nats, of the losses of predicting `targets` [N] from `y` [N, H].
    ///
    /// # Errors
    /// Those of libtorch.
    pub(crate) fn score(&mut self, model: &Model, y: &Tensor, targets: &[u32]) -> Result<f64> {
        self.exact.score(model, y, targets)
    }

    /// The same in the precision in which it learns, so that the two losses differ by the weights alone.
    ///
    /// # Errors
    /// Those of libtorch.
    pub(crate) fn score_as_learnt(&mut self, model: &Model, y: &Tensor, targets: &[u32]) -> Result<f64> {
        match self.rounds {
            true => self.rounded.score(model, y, targets),
            false => self.exact.score(model, y, targets),
        }
    }
}
