//! Parameters and measurements of runs, as rows that are read, judged and shown.

#![allow(missing_docs, reason = "fields are columns, which docs/sql.md explains; comments go into the JSON Schema")]

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{Cell, LossKind, RunId};

/// One optimiser step of a run.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct StepRow {
    pub step: i64,
    pub epoch: Option<i64>,
    pub loss: Option<f64>,
    /// `None` if no loss was measured.
    pub loss_kind: Option<LossKind>,
    pub learning_rate: Option<f64>,
    pub grad_norm: Option<f64>,
    pub clipped: Option<bool>,
    pub update_ratio: Option<f64>,
    pub overshoot: Option<f64>,
    pub logit_max: Option<f64>,
    pub entropy: Option<f64>,
    pub sharpness: Option<f64>,
    pub tokens: Option<i64>,
    pub seconds: Option<f64>,
    /// Names every measured column that was not finite: `grad_norm:inf`.
    pub nonfinite: Option<String>,
}

impl StepRow {
    /// The kind of value that a column had if it was not finite: `inf`. A column with neither a value nor a kind was
    /// not measured.
    pub fn odd(&self, column: &str) -> Option<&str> {
        let named = self.nonfinite.as_deref().unwrap_or_default().split([',', ' ']);
        named.filter_map(|entry| entry.split_once(':')).find(|(name, _)| *name == column).map(|(_, kind)| kind)
    }
}

/// The columns of a step that verdicts read.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceRow {
    pub step: i64,
    /// `None` if it was not finite.
    pub loss: Option<f64>,
    pub learning_rate: Option<f64>,
    pub grad_norm: Option<f64>,
    pub clipped: Option<bool>,
}

/// The losses of two trajectories at one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossPair {
    pub step: i64,
    pub a: f64,
    pub b: f64,
}

/// The loss of one checkpoint on one split.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct EvaluationRow {
    pub step: Option<i64>,
    pub split: String,
    pub loss: Option<f64>,
    pub loss_kind: LossKind,
    pub perplexity: Option<f64>,
    pub tokens: Option<i64>,
    pub seconds: Option<f64>,
    /// `evaluate`; `train` if it was measured during training, for early stopping or to keep the best checkpoint;
    /// `command` or `import` if another program measured it.
    pub source: String,
}

/// The loss of an n-gram model on one split.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct NgramLoss {
    pub split: String,
    /// `uniform`, `unigram`, `bigram`, `kn5`.
    pub model: String,
    /// The length of its longest n-grams; 0 for `uniform`.
    pub n: i64,
    pub loss: f64,
    pub perplexity: f64,
    pub tokens: i64,
}

/// A sample drawn at one checkpoint.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct SampleRow {
    pub step: Option<i64>,
    pub position: i64,
    /// The decoding method: JSON text in the record, a JSON value when printed.
    #[serde(serialize_with = "text_as_json")]
    #[schemars(with = "serde_json::Value")]
    pub decode: String,
    pub prompt: String,
    pub text: String,
    pub tokens: i64,
    pub distinct_1: Option<f64>,
    pub distinct_2: Option<f64>,
    pub seq_rep_4: Option<f64>,
    pub loop_period: Option<i64>,
    pub loop_onset: Option<i64>,
    pub why_empty: Option<String>,
}

/// One hyper-parameter of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    pub run: RunId,
    pub name: String,
    pub value: Cell,
}

/// Serialises JSON text as a value; null if it is not JSON.
///
/// # Errors
/// Those of the serialiser.
pub fn text_as_json<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serde_json::from_str::<Value>(text).unwrap_or(Value::Null).serialize(serializer)
}
