//! Recomputes training up to a checkpoint.

use serde_json::{Value, json};
use stages::params::{Checkpoints, Keep, OnNonfinite, Train};

use engine::graph::Node;

/// The prefix of an execution's item which says that a fork's run recomputed its parent.
pub const PARENT: &str = "parent ";

/// The parameters for recomputing training up to `step`, without probes and rules for stopping, which don't affect
/// losses or weights.
pub fn again(train: &Train, step: u64) -> Train {
    Train {
        on_nonfinite: OnNonfinite::Continue,
        probes: 0,
        early_stopping: None,
        checkpoints: Checkpoints { every: 0, keep: Keep::Steps(vec![step]) },
        ..train.clone()
    }
}

/// Shortens the training `train`, whose node is given, to end at the checkpoint that a fork starts from. Only that
/// checkpoint is kept, with its state.
pub(super) fn up_to(mut node: Node, train: &Train, step: u64) -> Node {
    let train = again(train, step);
    node.item = format!("{PARENT}{step}");
    node.params = json!(train);
    if let Some(training) = &mut node.training {
        training.length = step;
        // The parameters can come from a run that was shorter than `step`. If the learning rate depends on the length
        // of training, that length is kept.
        training.horizon = training.horizon.max(step);
        training.checkpoints = train.checkpoints;
        (training.probes, training.stop_after, training.early_stopping) = (0, None, None);
        training.whole = true;
        node.key_params = training.identity.clone();
        node.key_params["steps"] = Value::from(step);
        node.key_params["state"] = Value::from(true);
    }
    node
}
