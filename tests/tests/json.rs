//! What `--json` prints is what docs/json.schema.json says, with nothing missing and nothing beside it.

use serde_json::{Value, json};
use tests::{TestSpace, repository};

/// The published schema, which lets later versions add fields; here it lets nothing be added.
fn schema() -> jsonschema::Validator {
    let text = std::fs::read_to_string(repository().join("docs/json.schema.json")).unwrap();
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    for (name, of) in schema["$defs"].as_object_mut().unwrap() {
        // Beside the fields of a view stand those of its envelope.
        if of.get("properties").is_some() && !name.ends_with("View") {
            of["unevaluatedProperties"] = json!(false);
        }
    }
    schema["unevaluatedProperties"] = json!(false);
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn every_json_document_is_as_its_schema_says() {
    let space = TestSpace::new();
    // A rate at which losses stop being numbers, and a third run for a winner.
    let rates = ["--set", "train.learning_rate=[0.01, 0.02, 1000.0]"];
    space.run("tiny", &rates).ok();
    space.pipeline(&["fork", "run1", "--at", "50"]).ok();
    let schema = schema();
    let documents = [
        ("runs", &["runs"][..]),
        ("run", &["show", "run1"]),
        ("run", &["show", "run3"]),
        ("run", &["show", "run4"]),
        ("step", &["show", "run1", "--step", "5", "--replay=always"]),
        ("step", &["show", "run3", "--step", "5", "--replay=never"]),
        ("compare", &["compare", "run1", "run3"]),
        ("compare", &["compare", "run1", "run2", "run3"]),
        ("diagnose", &["diagnose", "run3"]),
        ("diagnose", &["diagnose", "run1", "run2"]),
        ("lr_range", &["lr-range", "experiments/tiny.toml", "--steps", "30"]),
    ];
    for (view, words) in documents {
        let ended = space.pipeline(&[words, &["--json"]].concat()).ok();
        let document: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!((&document["version"], &document["view"]), (&json!(1), &json!(view)), "{words:?}");
        let wrong: Vec<String> =
            schema.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{words:?}:\n{}\n{document:#}", wrong.join("\n"));
    }
    assert!(!schema.is_valid(&json!({"version": 1, "view": "runs"})), "runs are missing");
    assert!(!schema.is_valid(&json!({"version": 1, "view": "runs", "runs": [], "more": 1})), "more than it says");
    assert!(!schema.is_valid(&json!({"version": 1, "view": "other", "runs": []})));
}
