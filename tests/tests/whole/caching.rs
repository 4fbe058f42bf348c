//! What is computed, what is not, and what the record says.

use serde_json::json;

use crate::space::{EXPERIMENT, Space};

#[test]
fn six_stages_land_in_the_record_and_nan_stays_honest() {
    let space = Space::new();
    let said = space.ok(&["run", "x.toml"]);
    assert_eq!(space.one("SELECT count(*) FROM run_summary WHERE status = 'finished'"), json!(2));
    let steps = space.sql(
        "SELECT count(*) AS n, count(DISTINCT step) AS d, min(step) AS a, max(step) AS z FROM run_steps WHERE run = 1",
    );
    assert_eq!(steps, [json!({"n": 100, "d": 100, "a": 0, "z": 99})]);
    let first = space.one("SELECT loss - ln_v FROM run_steps, (SELECT json_extract(report, '$.ln_types') AS ln_v FROM executions WHERE stage = 'vocab') WHERE run = 1 AND step = 0");
    assert!(first.as_f64().unwrap().abs() < 0.1, "an untrained softmax starts at ln V, not {first} off");

    // The second point's loss became NaN: an outcome, not a failure.
    let diverged = &space.sql("SELECT * FROM run_summary WHERE run = 2")[0];
    assert_eq!(diverged["status"], "finished");
    let first = diverged["first_nonfinite_step"].as_i64().unwrap();
    assert_eq!(diverged["nonfinite_steps"], 20, "stop_after");
    assert_eq!(diverged["steps"], json!(first + 20));
    assert_eq!(space.one("SELECT loss_kind FROM run_steps WHERE run = 2 ORDER BY step DESC LIMIT 1"), "nan");
    let low = space.one(&format!("SELECT count(*) FROM run_steps WHERE run = 2 AND step >= {first} AND loss < 5"));
    assert_eq!(low, 0);
    let empty = space.sql("SELECT text, why_empty FROM run_samples WHERE run = 2 AND step > 0");
    assert!(!empty.is_empty());
    assert!(empty.iter().all(|row| row["text"] == "" && row["why_empty"].as_str().unwrap().contains("NaN")));
    let shown = space.ok(&["show", "run2"]).out;
    assert!(shown.contains("nan") || shown.contains("NaN"), "{shown}");
    assert!(said.out.contains("run2"), "{}", said.out);
    space.objects_are_sound();
}

#[test]
fn only_what_changed_is_computed_again() {
    let space = Space::new();
    let one = ["run", "x.toml", "--set", "train.learning_rate=0.01"];
    let with = |more: &[&str]| space.ok(&[&one[..], more].concat());
    assert_eq!(
        with(&[]).executed(),
        words("batch evaluate evaluate evaluate evaluate sample sample sample tokenize train vocab")
    );
    let rows = || {
        space.sql("SELECT (SELECT count(*) FROM runs) AS r, (SELECT count(*) FROM executions) AS x, (SELECT count(*) FROM studies) AS s")
    };
    let before = rows();
    assert_eq!(with(&[]).counts(), (0, 11));
    assert_eq!(rows(), before, "nothing to do writes nothing");
    assert_eq!(with(&["--jobs", "1", "--threads", "1"]).counts().0, 0);
    space.write(
        "x.toml",
        &format!("# a comment\n{}", EXPERIMENT.replace("size = 8\nunroll = 8", "unroll = 8\nsize = 8")),
    );
    assert_eq!(with(&[]).counts().0, 0);

    let said = with(&["--set", "train.learning_rate=0.3", "--explain"]);
    assert_eq!(said.executed(), words("evaluate evaluate evaluate sample sample train"), "checkpoint 0 is the same");
    assert!(said.err.contains("learning_rate: 0.01 -> 0.3"), "{}", said.err);
    assert_eq!(with(&["--set", "sample.length=10"]).executed(), words("sample sample sample"));

    assert_eq!(with(&["--set", "train.steps=150"]).executed(), words("evaluate evaluate sample train"));
    let segments =
        space.sql("SELECT from_step, to_step FROM executions WHERE stage = 'train' ORDER BY id DESC LIMIT 1");
    assert_eq!(segments, [json!({"from_step": 100, "to_step": 150})]);

    // More white space: other bytes, the same tokens.
    let corpus = std::fs::read_to_string(space.path().join("corpus.txt")).unwrap();
    space.write("corpus.txt", &corpus.replace(", ", ",  "));
    assert_eq!(with(&["--set", "corpus.split={valid=0.0,test=0.0}"]).code, Some(0));
    space.write("corpus.txt", &corpus.replace(", ", ",   "));
    assert_eq!(with(&["--set", "corpus.split={valid=0.0,test=0.0}"]).executed(), words("tokenize"));
}

#[test]
fn a_dry_run_writes_nothing_and_until_is_gone_on_with() {
    let space = Space::new();
    let said = space.ok(&["run", "x.toml", "--dry-run", "--explain"]);
    assert!(said.out.contains("would execute tokenize"), "{}", said.out);
    assert!(!space.path().join("experiments.db").exists() && !space.path().join("data").exists());
    assert_eq!(space.ok(&["run", "x.toml", "--until", "vocab"]).executed(), words("tokenize vocab"));
    assert_eq!(space.one("SELECT group_concat(DISTINCT status) FROM run_summary"), "interrupted");
    space.ok(&["run", "x.toml"]);
    assert_eq!(
        space.sql("SELECT run, status FROM run_summary"),
        [json!({"run": 1, "status": "finished"}), json!({"run": 2, "status": "finished"}),]
    );
}

#[test]
fn a_damaged_object_is_noticed_set_aside_and_made_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let space = Space::new();
    space.ok(&["run", "x.toml"]);
    let answer = space.answer();
    let digests = space.sql("SELECT DISTINCT digest FROM run_lineage WHERE direction = 'output' ORDER BY digest");
    for (i, row) in digests.iter().enumerate() {
        let digest = row["digest"].as_str().unwrap();
        let path = space.path().join("data/store/sha256").join(&digest[..2]).join(&digest[2..]);
        let mut bytes = std::fs::read(&path).unwrap();
        if bytes.is_empty() {
            continue;
        }
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        if i % 2 == 0 {
            let verified = space.pipeline(&["objects", "verify"]);
            assert_eq!(verified.code, Some(1), "{}", verified.out);
            assert!(verified.out.contains(digest) && verified.out.contains("damaged"), "{}", verified.out);
        }
        let said = space.ok(&["run", "x.toml"]);
        assert!(said.err.contains(digest), "the object is named: {}", said.err);
        assert!(said.counts().0 >= 1, "something is made again: {}", said.err);
        assert!(path.exists(), "it is there again");
    }
    assert_eq!(space.answer(), answer);
    assert!(space.ok(&["objects", "verify"]).out.contains("all sound"));
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
