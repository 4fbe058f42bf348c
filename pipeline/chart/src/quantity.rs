//! Quantities that can be drawn over steps.

use schemars::JsonSchema;
use serde::Serialize;

use crate::axis::Baseline;

/// A quantity that a chart shows over steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Training loss.
    Loss,
    /// Validation loss, by checkpoint.
    Valid,
    /// Gradient norm before clipping.
    GradNorm,
    /// Norm of the update divided by the norm of the weights.
    UpdateRatio,
    /// Actual over predicted decrease of the loss (overshoot ratio); below 0, the step raised its own loss.
    Overshoot,
    /// Largest logit.
    LogitMax,
    /// Mean entropy of the predictions.
    Entropy,
    /// Estimate of the largest curvature.
    Sharpness,
    /// Learning rate.
    LearningRate,
}

impl Quantity {
    /// The name of its column in the record.
    pub fn column(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Valid => "valid",
            Self::GradNorm => "grad_norm",
            Self::UpdateRatio => "update_ratio",
            Self::Overshoot => "overshoot",
            Self::LogitMax => "logit_max",
            Self::Entropy => "entropy",
            Self::Sharpness => "sharpness",
            Self::LearningRate => "learning_rate",
        }
    }

    /// Its title, with its unit if it has one.
    pub fn title(self) -> &'static str {
        match self {
            Self::Loss => "training loss, nats per token",
            Self::Valid => "validation loss, nats per token",
            Self::GradNorm => "gradient norm before clipping",
            Self::UpdateRatio => "update-to-weight ratio",
            Self::Overshoot => "overshoot ratio ρ",
            Self::LogitMax => "largest logit",
            Self::Entropy => "entropy of the predictions, nats",
            Self::Sharpness => "sharpness",
            Self::LearningRate => "learning rate",
        }
    }

    /// Whether n-gram baselines can be compared with it.
    pub fn is_loss(self) -> bool {
        matches!(self, Self::Loss | Self::Valid)
    }

    /// A threshold of the quantity, drawn like a baseline.
    pub fn mark(self) -> Option<Baseline> {
        // Below 0, a step raised the loss that it should have lowered.
        (self == Self::Overshoot).then(|| Baseline { label: "loss rises below".to_owned(), value: 0.0 })
    }
}
