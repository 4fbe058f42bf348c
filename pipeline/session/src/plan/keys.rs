//! Which parameters of a stage are part of its keys.

use serde_json::Value;
use stages::params;
use stages::schema::{self, Role};

use engine::graph::{self, Stage};
use experiment::Point;
use identity::Fields;

/// The fields that a stage's table adds to the key of a run.
pub fn table_fields(stage: &Stage, params: &Value) -> Fields {
    let mut fields = Fields::default();
    let read = reads(stage.name.as_str(), params, &[]);
    if !(stage.later && stage.version == 1 && read.as_object().is_some_and(serde_json::Map::is_empty)) {
        fields.put_all(&format!("param.{}", stage.name), &read);
        fields.put(format!("version.{}", stage.name), stage.version);
    }
    fields
}

/// The part of a stage's keys that a point's parameters determine before anything has run; `None` if the experiment
/// leaves the stage out.
pub fn key_params(point: &Point, stage: &str) -> Option<Value> {
    let params = point.stages.table(stage)?;
    // The parameters of `evaluate` select its executions, whose keys differ only in the split.
    Some(match stage {
        "evaluate" => Value::Null,
        "train" => {
            let mut read = reads(stage, params, &[Role::Selection]);
            read["device"] = Value::from(device(params));
            read
        }
        _ => reads(stage, params, &[Role::Selection]),
    })
}

/// A stage's parameters, without those with certain roles, those that the chosen variant does not read, and those that
/// were added in later versions and have their default.
pub fn reads(stage: &str, params: &Value, without: &[Role]) -> Value {
    let Some(keys) = params::stage_keys(stage) else { return params.clone() };
    let left_out = |key: &schema::Key| {
        key.role == Role::Place || without.contains(&key.role) || !params::is_read(stage, key.name, params)
    };
    schema::covered(keys.keys, params, &left_out)
}

/// The device that trains, and that evaluates the trained weights.
pub fn device(train: &Value) -> &str {
    train.get("device").and_then(Value::as_str).unwrap_or(graph::CPU)
}
