//! The layer's results for a window.

use tch::Tensor;

/// The loss of a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WindowLoss {
    /// Mean negative log-likelihood in nats per token.
    pub(crate) mean: f64,
    /// Measured only at probed steps.
    pub(crate) probes: Option<PredictionProbes>,
}

/// Measurements of the predictions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PredictionProbes {
    /// The largest absolute logit.
    pub(crate) logit_max: f64,
    /// The mean entropy of the predictions, in nats.
    pub(crate) entropy: f64,
    /// The proxy for the sharpness; see [`crate::sharpness`].
    pub(crate) sharpness: f64,
}

/// The gradients of the mean loss.
#[derive(Debug)]
pub(crate) struct Gradients {
    /// With respect to the matrix, [V, H].
    pub(crate) weight: Tensor,
    /// With respect to the bias, [V].
    pub(crate) bias: Tensor,
    /// With respect to the layer's inputs, [N, H].
    pub(crate) y: Tensor,
}
