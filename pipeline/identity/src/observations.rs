//! What a stage reports while it computes: steps, evaluations, samples and events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::Loss as Measured;

/// One optimiser step, counted from 0. Losses are in nats per token, over the true number of tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The step.
    pub step: u64,
    /// Its epoch, from 0.
    pub epoch: u64,
    /// Mean negative log-likelihood before the update.
    pub loss: Measured,
    /// The learning rate of the update.
    pub learning_rate: f64,
    /// Global gradient norm before clipping.
    pub grad_norm: Measured,
    /// Whether the gradient was scaled down.
    pub clipped: bool,
    /// ‖Δθ‖ / ‖θ‖ of the update, at probed steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_ratio: Option<Measured>,
    /// The overshoot ratio ρ = (L(θ) − L(θ′)) / gᵀ(θ − θ′) of the update θ → θ′ on its own tokens, at probed steps: the
    /// decrease of the loss over the decrease that the gradient g predicted. Below 0, the update raised the loss. For
    /// SGD it is near 1 − ηκ/2, with κ the curvature along the gradient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overshoot: Option<Measured>,
    /// The largest absolute logit, at probed steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logit_max: Option<Measured>,
    /// Mean entropy of the predictions in nats, at probed steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entropy: Option<Measured>,
    /// λmax(E[h hᵀ]) · λmax(diag p̄ − E[p pᵀ]) with h the softmax layer's inputs and p its predictions, at probed
    /// steps: a proxy for the largest eigenvalue of the loss's Hessian.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharpness: Option<Measured>,
    /// The number of targets predicted.
    pub tokens: u64,
    /// Wall-clock seconds of the step.
    pub seconds: f64,
}

/// The loss of one set of weights on one split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// `valid` or `test`.
    pub split: String,
    /// The number of updates so far, if it was measured during training; absent for the stage `evaluate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// Token-weighted mean negative log-likelihood in nats.
    pub loss: Measured,
    /// The number of targets scored: every token of the split but the first.
    pub tokens: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// The validation losses measured during training, in nats, by the number of updates so far.
pub type Looks = BTreeMap<u64, f64>;

/// The loss of an n-gram baseline on one split, from the stage `baselines`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BaselineLoss {
    /// `train`, `valid` or `test`.
    pub split: String,
    /// `uniform`, `unigram`, `bigram`, or `kn` and its order, such as `kn5`.
    pub model: String,
    /// The length of its longest n-grams; 0 for `uniform`.
    pub order: u32,
    /// Mean negative log-likelihood in nats per token.
    pub loss: f64,
    /// The number of tokens scored: every token of the split but the first.
    pub tokens: u64,
}

/// A sample drawn from a model by the stage `sample`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleText {
    /// The decoding method, as in the experiment (JSON: `"greedy"`, `{"temperature":1.0}`).
    pub decode: Value,
    /// The prompt, as in the experiment.
    pub prompt: String,
    /// The text without the prompt; empty if none could be drawn.
    pub text: String,
    /// The number of tokens drawn.
    pub tokens: u64,
    /// The number of distinct tokens divided by that of all tokens (Li et al. 2016); absent if nothing was drawn.
    pub distinct_1: Option<f64>,
    /// The same for pairs of adjacent tokens.
    pub distinct_2: Option<f64>,
    /// 1 minus the number of distinct 4-grams divided by that of all 4-grams (Welleck et al. 2020, seq-rep-4).
    pub seq_rep_4: Option<f64>,
    /// Period, in tokens, of the loop that the text ends in.
    pub loop_period: Option<u64>,
    /// The token at which that loop begins.
    pub loop_onset: Option<u64>,
    /// Why there is no text, if there is none.
    pub why_empty: Option<String>,
}

/// An event to record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The step at which it happened, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// A short word: `nonfinite`, `stopped_nonfinite`, `rate_lowered`.
    pub kind: String,
    /// One line of text for users.
    pub message: String,
}
