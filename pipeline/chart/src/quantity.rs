//! What can be drawn over steps.

use schemars::JsonSchema;
use serde::Serialize;

use crate::axis::Baseline;

/// What a picture shows over steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Training loss.
    Loss,
    /// Loss on valid, by checkpoint.
    Valid,
    /// Gradient norm before clipping.
    GradNorm,
    /// Size of the update over that of the weights.
    UpdateRatio,
    /// Overshoot ratio: below 0 a step raised its own loss.
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
    /// Its column in the record.
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

    /// In words, with its unit where it has one.
    pub fn title(self) -> &'static str {
        match self {
            Self::Loss => "training loss, nats a token",
            Self::Valid => "valid loss, nats a token",
            Self::GradNorm => "gradient norm before clipping",
            Self::UpdateRatio => "update over weights",
            Self::Overshoot => "overshoot ratio ρ",
            Self::LogitMax => "largest logit",
            Self::Entropy => "entropy of the predictions, nats",
            Self::Sharpness => "sharpness",
            Self::LearningRate => "learning rate",
        }
    }

    /// Whether a loss of models that count is a line to compare it with.
    pub fn is_loss(self) -> bool {
        matches!(self, Self::Loss | Self::Valid)
    }

    /// A value that means something by itself.
    pub fn mark(self) -> Option<Baseline> {
        // Below it a step raised the loss that it was to lower.
        (self == Self::Overshoot).then(|| Baseline { label: "raises its own loss below".to_owned(), value: 0.0 })
    }
}
