//! What of a stage's parameters counts in keys.

use serde_json::Value;
use stages::params;
use stages::schema::{self, Role};

use engine::graph::{self, Stage};
use experiment::Point;
use identity::Fields;

/// What the table of a stage adds to the key of a run.
pub fn table_fields(stage: &Stage, params: &Value) -> Fields {
    let mut fields = Fields::default();
    let read = reads(stage.name.as_str(), params, &[]);
    if !(stage.later && stage.version == 1 && read.as_object().is_some_and(serde_json::Map::is_empty)) {
        fields.put_all(&format!("param.{}", stage.name), &read);
        fields.put(format!("version.{}", stage.name), stage.version);
    }
    fields
}

/// What a point's parameters add to the keys of a stage, as far as is known before anything ran; `None` where the
/// experiment leaves the stage out.
pub fn key_params(point: &Point, stage: &str) -> Option<Value> {
    let params = point.stages.table(stage)?;
    // evaluate's choose which executions there are; the split alone tells these apart.
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

/// A stage's parameters without those in some roles, those that the chosen variant does not read, and later ones at
/// their default.
pub fn reads(stage: &str, params: &Value, without: &[Role]) -> Value {
    let Some(keys) = params::stage_keys(stage) else { return params.clone() };
    let left_out = |key: &schema::Key| {
        key.role == Role::Place || without.contains(&key.role) || !params::is_read(stage, key.name, params)
    };
    schema::covered(keys.keys, params, &left_out)
}

/// Where a training computes, and with it the scoring of its weights.
pub fn device(train: &Value) -> &str {
    train.get("device").and_then(Value::as_str).unwrap_or(graph::CPU)
}
