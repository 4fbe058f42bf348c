//! Trainings that are computed again as far as they came before.

use serde_json::Value;
use stages::params::{Checkpoints, Keep};

use engine::graph::Node;

/// Begins the item of a parent's training that is computed again, among the executions of a fork's run.
pub const PARENT: &str = "parent ";

/// Makes a training's parameters those of one that came as far as `step` before: probes, and rules for when it ends,
/// change no number.
pub fn again(params: &mut Value, step: u64) {
    params["on_nonfinite"] = Value::from("continue");
    params["probes"] = Value::from(0);
    params["early_stopping"] = Value::Null;
    params["checkpoints"] = serde_json::json!({ "every": 0, "keep": [step] });
}

/// A training as far as a checkpoint from which another begins, with the state there and nothing else.
pub(super) fn up_to(mut node: Node, step: u64) -> Node {
    node.item = format!("{PARENT}{step}");
    again(&mut node.params, step);
    if let Some(training) = &mut node.training {
        training.length = step;
        // Its parameters are those of a run that may have been shorter; a length that rates depend on is one of its own.
        training.horizon = training.horizon.max(step);
        training.checkpoints = Checkpoints { every: 0, keep: Keep::Steps(vec![step]) };
        (training.probes, training.stop_after, training.early_stopping) = (0, None, None);
        training.whole = true;
        node.key_params = training.identity.clone();
        node.key_params["steps"] = Value::from(step);
        node.key_params["state"] = Value::from(true);
    }
    node
}
