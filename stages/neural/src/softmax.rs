//! The softmax layer with its loss and gradient, written by hand.
//!
//! This layer, at N · V logits, is two thirds of a step's arithmetic and nearly all of its memory traffic. Autograd
//! would hold four arrays of that size and pass over them twelve times. This implementation holds one array and makes
//! three passes, each of which does all it can with a block while the block is in cache:
//!
//! 1. logits l = W yᵀ + b, and the maximum m for each token;
//! 2. e = e^(l − m), its sum Z for each token, and Wᵀ e, from which the gradient with respect to y follows;
//! 3. the gradients with respect to W and b, once every Z is known: e times y / Z.
//!
//! Logits are stored as [V, N], where a row is a type and a lane a token, so that no product needs a transposed copy of
//! the matrix. The targets' elements of the gradients, in which p becomes p − 1, are left out of the products and added
//! at the end.

mod candidates;
mod layer;
mod loss;
mod passes;
mod setting;

use crate::failure::Result;
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
    /// The predictions for each training token, if they are being recorded.
    noted: Option<Vec<Predicted>>,
}

impl<T: Real> Softmax<T> {
    pub(crate) fn new(threads: usize) -> Self {
        Self { exact: SoftmaxLayer::new(threads), rounded: SoftmaxLayer::new(threads), rounds: false, noted: None }
    }

    /// The same layer, whose products round their factors to bf16 during training if `rounds` is set.
    pub(crate) fn rounding(self, rounds: bool) -> Self {
        Self { rounds, ..self }
    }

    /// Sets the number of threads. No bit of the results depends on it.
    pub(crate) fn use_threads(&mut self, threads: usize) {
        (self.exact.threads, self.rounded.threads) = (threads, threads);
    }

    /// The loss of predicting `targets` [N] from `y` [N, H], and its gradients.
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

    /// Starts recording the predictions for each token during training.
    pub(crate) fn note_predictions(&mut self) {
        self.noted = Some(Vec::new());
    }

    /// Stops recording, and returns what was recorded.
    pub(crate) fn take_predictions(&mut self) -> Vec<Predicted> {
        self.noted.take().unwrap_or_default()
    }

    /// The sum, in nats, of the losses of predicting `targets` [N] from `y` [N, H].
    pub(crate) fn score(&mut self, model: &Model, y: &Tensor, targets: &[u32]) -> Result<f64> {
        self.exact.score(model, y, targets)
    }

    /// The same sum in the precision used in training, so that it differs from the training loss only by the weights.
    pub(crate) fn score_as_learnt(&mut self, model: &Model, y: &Tensor, targets: &[u32]) -> Result<f64> {
        match self.rounds {
            true => self.rounded.score(model, y, targets),
            false => self.exact.score(model, y, targets),
        }
    }
}
