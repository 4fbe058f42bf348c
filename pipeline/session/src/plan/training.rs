//! Plans the training of a point, and of the runs that it was forked from.

use std::collections::BTreeMap;

use serde_json::Value;
use stages::StageError;
use stages::params::{self, OnNonfinite, Train};
use stages::schema::Role;

use super::again::up_to;
use super::keys::reads;
use engine::graph::{Input, Node, Parent, Training, Upstream};
use identity::TrajectoryId;

/// A trajectory that a point is forked from.
#[derive(Debug, Clone)]
pub struct Ancestor {
    /// The trajectory's identity.
    pub identity: TrajectoryId,
    /// The parameters that it was trained with.
    pub params: Value,
    /// The digests of its inputs, by name.
    pub inputs: BTreeMap<String, String>,
    /// A run of this trajectory.
    pub run: String,
}

/// The node that trains with these parameters; `ancestors` are the parents of a fork, the nearest first.
pub fn train(params: &Value, read: &Train, ancestors: &[Ancestor], upstream: &Upstream) -> Result<Node, StageError> {
    let steps_per_epoch = upstream.of("batch")?.report["steps_per_epoch"].as_u64().unwrap_or(0);
    let length = read.length(steps_per_epoch);
    // The number of steps of a length in epochs is known only now.
    if let Some((message, hint)) = params::too_many_checkpoints(&read.checkpoints, length) {
        return Err(StageError::input("train.checkpoints", message, hint));
    }
    let mut inputs = vec![
        upstream.input("vocab", "train", "train")?,
        upstream.input("vocab", "vocab", "vocab")?,
        upstream.input("batch", "plan", "plan")?,
    ];
    if read.reads_valid() {
        inputs.push(upstream.input("vocab", "valid", "valid")?);
    }
    // Validation during training does not affect the trajectory unless the schedule reads the validation loss.
    let aside = if read.schedule_reads_valid() { Vec::new() } else { vec!["valid".to_owned()] };
    // The length is part of the trajectory's identity only if the schedule reads it.
    let mut identity = reads("train", params, &[Role::Length, Role::Cadence]);
    if read.schedule_reads_length() {
        identity["length"] = Value::from(length);
    }
    // 2 epochs of 500 steps and 1000 steps have the same key.
    let mut key_params = reads("train", params, &[]);
    if let Value::Object(entries) = &mut key_params {
        entries.remove("epochs");
        entries.insert("steps".to_owned(), Value::from(length));
    }
    let stop_after = match read.on_nonfinite {
        OnNonfinite::StopAfter(steps) => Some(steps),
        OnNonfinite::Continue => None,
    };
    let parent = match (&read.fork, ancestors) {
        (None, _) => None,
        (Some(fork), [parent, further @ ..]) => {
            check_inputs(parent, &inputs)?;
            if let Some((message, hint)) = params::nothing_to_train(fork, length) {
                return Err(StageError::input("train.epochs", message, hint));
            }
            // The record keeps the parent's parameters as a table, not as a struct.
            let own: Train = params::read("train", &parent.params)?;
            let node = up_to(train(&parent.params, &own, further, upstream)?, &own, fork.step);
            Some(Parent { identity: parent.identity, step: fork.step, node: Box::new(node) })
        }
        (Some(_), []) => return Err(StageError::Bug("a fork without its parent".to_owned())),
    };
    let training = Training {
        identity,
        length,
        horizon: length,
        checkpoints: read.checkpoints.clone(),
        probes: read.probes,
        stop_after,
        early_stopping: read.early_stopping,
        aside,
        whole: false,
        parent,
    };
    Ok(Node { item: String::new(), step: None, params: params.clone(), key_params, inputs, training: Some(training) })
}

/// Checks that a fork has the inputs of its parent. With another vocabulary, the weights would stand for other words.
fn check_inputs(parent: &Ancestor, inputs: &[Input]) -> Result<(), StageError> {
    let other =
        |input: &&Input| parent.inputs.get(&input.name).is_some_and(|digest| *digest != input.digest.to_string());
    inputs.iter().find(other).map_or(Ok(()), |input| {
        let message = format!("the parent {} was trained with a different input `{}`", parent.run, input.name);
        Err(StageError::input("train.fork", message, "fork a run with the same corpus, vocabulary and batches"))
    })
}
