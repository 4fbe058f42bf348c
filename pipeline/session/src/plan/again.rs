//! Trainings that are computed again as far as they came before.

use serde_json::{Value, json};
use stages::params::{Checkpoints, Keep, OnNonfinite, Train};

use engine::graph::Node;

/// Begins the item of a parent's training that is computed again, among the executions of a fork's run.
pub const PARENT: &str = "parent ";

/// The parameters of a training that came as far as `step` before: probes, and rules for when it ends, change no number.
pub fn again(train: &Train, step: u64) -> Train {
    Train {
        on_nonfinite: OnNonfinite::Continue,
        probes: 0,
        early_stopping: None,
        checkpoints: Checkpoints { every: 0, keep: Keep::Steps(vec![step]) },
        ..train.clone()
    }
}

/// The training `train`, whose node is given, as far as a checkpoint from which another begins, with the state there and
/// nothing else.
pub(super) fn up_to(mut node: Node, train: &Train, step: u64) -> Node {
    let train = again(train, step);
    node.item = format!("{PARENT}{step}");
    node.params = json!(train);
    if let Some(training) = &mut node.training {
        training.length = step;
        // Its parameters are those of a run that may have been shorter; a length that rates depend on is one of its own.
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
