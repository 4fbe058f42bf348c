//! What is observed while a stage computes: steps, scores, texts, and what is worth a line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::Loss as Measured;

/// One optimiser step, counted from 0. Losses are in nats a token, over the true count of tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The step.
    pub step: u64,
    /// The epoch it belongs to, from 0.
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
    /// The overshoot ratio ρ = (L(θ) − L(θ′)) / gᵀ(θ − θ′) of the update θ → θ′ on its own tokens, at probed steps: what the
    /// update took off the loss over what the gradient g promised. Below 0 it raised the loss. For SGD it is near
    /// 1 − ηκ/2, with κ the curvature along the gradient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overshoot: Option<Measured>,
    /// The largest absolute logit, at probed steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logit_max: Option<Measured>,
    /// Mean entropy of the predictions in nats, at probed steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entropy: Option<Measured>,
    /// λmax(E[h hᵀ]) · λmax(diag p̄ − E[p pᵀ]) with h the softmax layer's inputs and p its predictions, at probed steps: it
    /// stands in for the largest eigenvalue of the loss's Hessian.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharpness: Option<Measured>,
    /// Targets predicted.
    pub tokens: u64,
    /// Wall-clock seconds of the step.
    pub seconds: f64,
}

/// A split scored at one set of weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// `valid` or `test`.
    pub split: String,
    /// The number of updates behind the weights, where training itself scored them; absent for the stage evaluate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// Token-weighted mean negative log-likelihood in nats.
    pub loss: Measured,
    /// Targets scored: every token of the split but the first.
    pub tokens: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// The valid losses that a training has seen, in nats, by the number of updates behind the weights.
pub type Looks = BTreeMap<u64, f64>;

/// What a model that counts comes to on one split, from the stage `baselines`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BaselineLoss {
    /// `train`, `valid` or `test`.
    pub split: String,
    /// `uniform`, `unigram`, `bigram`, or `kn5` by its order.
    pub model: String,
    /// Tokens of its longest n-grams; 0 for `uniform`.
    pub order: u32,
    /// Mean negative log-likelihood in nats a token.
    pub loss: f64,
    /// Tokens scored: every one of the split but the first.
    pub tokens: u64,
}

/// A text drawn from a model, by the stage `sample`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleText {
    /// How it was drawn, as the experiment says it (JSON: `"greedy"`, `{"temperature":1.0}`).
    pub decode: Value,
    /// The prompt as the experiment says it.
    pub prompt: String,
    /// The text without the prompt; empty when it could not be drawn.
    pub text: String,
    /// Tokens drawn.
    pub tokens: u64,
    /// Distinct tokens over tokens (Li et al. 2016); absent where nothing was drawn.
    pub distinct_1: Option<f64>,
    /// Distinct pairs over pairs.
    pub distinct_2: Option<f64>,
    /// 1 − distinct 4-grams over 4-grams (Welleck et al. 2020, seq-rep-4).
    pub seq_rep_4: Option<f64>,
    /// Period, in tokens, of the loop that the text ends in.
    pub loop_period: Option<u64>,
    /// The token at which that loop begins.
    pub loop_onset: Option<u64>,
    /// Why there is no text, where there is none.
    pub why_empty: Option<String>,
}

/// Something worth a line in the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The step it happened at, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// A short word: `nonfinite`, `stopped_nonfinite`, `rate_lowered`.
    pub kind: String,
    /// One line for people.
    pub message: String,
}
