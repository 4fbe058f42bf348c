//! Bad input gets one clear line, the documented exit code, and changes nothing that is recorded.

use crate::space::Space;

/// Everything in the record, as text.
fn dump(space: &Space) -> String {
    let tables = ["runs", "executions", "steps", "params", "studies", "samples", "evaluations", "objects"];
    tables.iter().map(|table| format!("{:?}", space.sql(&format!("SELECT * FROM {table}")))).collect()
}

fn refused(space: &Space, words: &[&str], expected: &str) {
    let said = space.pipeline(words);
    assert_eq!(said.code, Some(2), "{words:?}: {}", said.err);
    let errors: Vec<&str> = said.err.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{}", said.err);
    assert!(errors[0].contains(expected), "expected `{expected}` in: {}", said.err);
    assert!(!said.err.contains("panicked"), "{}", said.err);
}

#[test]
fn experiments_that_are_wrong() {
    let space = Space::new();
    space.ok(&["run", "x.toml"]);
    let before = dump(&space);
    let set = |value: &str, expected: &str| refused(&space, &["run", "x.toml", "--set", value], expected);
    set("train.learnig_rate=1", "unknown key train.learnig_rate");
    set("train.hidden=\"wide\"", "train.hidden is \"wide\"; allowed: a whole number");
    set("train.learning_rate=-1", "allowed: a number above 0");
    set("corpus.text=\"none.txt\"", "no file none.txt");
    set("vocab.size=1", "at least 2, for the specials");
    set("batch.size=100000", "needs 900000 tokens");
    // Enough bytes, too few tokens: known when they have been counted.
    set("batch.size=9000", "batch");
    space.write("corpus2.txt", "");
    set("corpus.text=\"corpus2.txt\"", "corpus2.txt is empty");
    space.write("corpus2.txt", "   \t ");
    std::fs::write(
        space.path().join("corpus3.txt"),
        [b"good\nbad \xff byte\n".as_slice(), &b"more\n".repeat(100)].concat(),
    )
    .unwrap();
    refused(&space, &["run", "x.toml", "--set", "corpus.text=\"corpus3.txt\""], "line 2");
    refused(&space, &["run", "missing.toml"], "missing.toml: no such experiment");
    refused(&space, &["show", "run99"], "run99");
    refused(&space, &["compare", "study:y"], "y");
    refused(&space, &["sql", "DELETE FROM runs"], "");
    assert_eq!(space.one("SELECT count(*) FROM runs WHERE status = 'running'"), 0);
    let runs_then = before.matches("uid").count();
    assert!(dump(&space).matches("uid").count() >= runs_then, "nothing recorded is lost");
}

#[test]
fn a_worker_that_is_missing_or_dies() {
    use std::os::unix::fs::PermissionsExt as _;
    let space = Space::new();
    let run = |worker: &str| {
        let output = space.command().args(["run", "x.toml"]).env("PIPELINE_NEURAL", worker).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, err) = run("/nonexistent/pipeline-neural");
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("error: the worker pipeline-neural was not found") && err.contains("hint: "), "{err}");
    let real = crate::space::programs().join("pipeline-neural");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = describe ]; then exec '{}' describe; fi\necho gone >&2\nexit 3\n",
        real.display()
    );
    space.write("worker.sh", &script);
    let path = space.path().join("worker.sh");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (code, err) = run(path.to_str().unwrap());
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("exit code 3") && err.contains("gone"), "{err}");
    // A failed run keeps its number; its point gets a new one.
    space.ok(&["run", "x.toml"]);
    assert_eq!(
        space.one("SELECT count(*) FROM run_summary WHERE status = 'failed'").as_u64().map(|n| n >= 1),
        Some(true)
    );
    assert_eq!(space.one("SELECT count(*) FROM run_summary WHERE status = 'finished'"), 2);
}

#[test]
fn a_database_that_is_none() {
    let space = Space::new();
    space.write("experiments.db", &"this is no database\n".repeat(500));
    refused(&space, &["run", "x.toml"], "not a sound database");
    refused(&space, &["runs"], "not a sound database");
    std::fs::remove_file(space.path().join("experiments.db")).unwrap();
    refused(&space, &["runs"], "no such database");
    assert!(!space.path().join("experiments.db").exists());
}
