//! What a training writes into the folder of its order: checkpoints, and the predictions of a step.

use std::path::PathBuf;

use identity::observations::Measured;
use serde::{Deserialize, Serialize};

/// Checkpoint n: the weights after n updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// n.
    pub step: u64,
    /// The weights' file, safetensors.
    pub weights: PathBuf,
    /// The state's file, safetensors.
    pub state: PathBuf,
}

/// A step's predictions, before its update: a JSON file of the rows that it read, in the order of the plan's windows and
/// their rows, each a list of [`Predicted`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictionsFile {
    /// The step.
    pub step: u64,
    /// The file.
    pub file: PathBuf,
}

/// What a model predicted where one target stood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicted {
    /// The target's negative log-likelihood in nats.
    pub loss: Measured,
    /// The target's place among all types, 1 for the likeliest; absent where a logit was no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<u64>,
    /// The likeliest types with their probabilities, the likeliest first; none where a logit was no number.
    pub likeliest: Vec<(u32, f64)>,
}

impl Predicted {
    /// How many of the likeliest types are named.
    pub const NAMED: usize = 5;
}
