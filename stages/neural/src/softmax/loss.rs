//! What the layer makes of a window.

use tch::Tensor;

/// What a window's predictions amount to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WindowLoss {
    /// Mean negative log-likelihood in nats a token.
    pub(crate) mean: f64,
    /// Where asked for.
    pub(crate) probes: Option<PredictionProbes>,
}

/// What predictions look like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PredictionProbes {
    /// The largest absolute logit.
    pub(crate) logit_max: f64,
    /// Their mean entropy, in nats.
    pub(crate) entropy: f64,
    /// [`crate::sharpness`].
    pub(crate) sharpness: f64,
}

/// The gradients of the mean loss.
#[derive(Debug)]
pub(crate) struct Gradients {
    /// By the matrix, [V, H].
    pub(crate) weight: Tensor,
    /// By the bias, [V].
    pub(crate) bias: Tensor,
    /// By the layer's inputs, [N, H].
    pub(crate) y: Tensor,
}
