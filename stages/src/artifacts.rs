//! Files that the stage `train` writes into the folder of its order: checkpoints, and the predictions of one step.

use std::path::PathBuf;

use identity::observations::Measured;
use serde::{Deserialize, Serialize};

/// Checkpoint n: the weights after n updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The number of updates, n.
    pub step: u64,
    /// Weights, as safetensors.
    pub weights: PathBuf,
    /// Optimiser and hidden state, as safetensors.
    pub state: PathBuf,
}

/// The predictions of a step before its update: a JSON file with one list of [`Predicted`] per row. Rows are in the
/// order of the plan's windows, and within a window in the order of the batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictionsFile {
    /// The step that they belong to.
    pub step: u64,
    /// The file's path.
    pub file: PathBuf,
}

/// A model's prediction of one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicted {
    /// The target's negative log-likelihood in nats.
    pub loss: Measured,
    /// Rank of the target among all types, 1 for the most likely; absent if a logit is NaN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<u64>,
    /// The most likely types with their probabilities, most likely first; empty if a logit is NaN.
    pub likeliest: Vec<(u32, f64)>,
}

impl Predicted {
    /// How many of the most likely types to report.
    pub const NAMED: usize = 5;
}
