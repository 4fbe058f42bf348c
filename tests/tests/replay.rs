//! A step's tokens, replayed from the nearest state: their losses have the recorded loss as their mean, to the bit.

use serde_json::Value;
use tests::{Ended, Started, TestSpace};

/// A finished run of tiny with dropout, and an empty folder for temporary files.
fn finished(steps: u32, every: u32, more: &[&str]) -> TestSpace {
    let space = TestSpace::longer(steps, every);
    space.run("longer", &[&["--set", "train.learning_rate=0.01"], more].concat()).ok();
    std::fs::create_dir(space.path("tmp")).unwrap();
    space
}

fn start(space: &TestSpace, words: &[&str], variables: &[(&str, &str)]) -> Started {
    let mut command = space.command(&[&["show"], words].concat());
    command.env("TMPDIR", space.path("tmp")).env_remove("ATEN_CPU_CAPABILITY").envs(variables.iter().copied());
    Started::new(&mut command)
}

fn show(space: &TestSpace, words: &[&str], variables: &[(&str, &str)]) -> Ended {
    let ended = start(space, words, variables).end();
    assert_eq!(std::fs::read_dir(space.path("tmp")).unwrap().count(), 0, "it leaves nothing behind");
    ended
}

/// Every file below a folder, with its length.
fn files(folder: &std::path::Path, found: &mut Vec<(std::path::PathBuf, u64)>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            files(&entry.path(), found);
        } else {
            found.push((entry.path(), entry.metadata().unwrap().len()));
        }
    }
    found.sort();
}

/// Checks the tokens of a step against its recorded loss, and where the replay began.
#[track_caller]
fn assert_replayed(space: &TestSpace, run: u32, step: u64, from: u64) -> Value {
    let ended = show(space, &[&run.to_string(), "--step", &step.to_string(), "--json"], &[]).ok();
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&json["replay"]["identical"], &json["replay"]["from"]), (&true.into(), &from.into()), "step {step}");
    let (rows, tokens) = (json["rows"].as_array().unwrap(), json["tokens"].as_array().unwrap());
    let size = json["plan"]["size"].as_u64().unwrap() as usize;
    let unroll = json["plan"]["unroll"].as_u64().unwrap() as usize;
    assert_eq!(tokens.len(), rows.len() * unroll);
    // In the order in which training sums: of each window the first tokens of all rows, then the second ones.
    let mut mean = 0.0;
    for (done, window) in tokens.chunks(size * unroll).enumerate() {
        let losses = (0..unroll).flat_map(|t| (0..size).map(move |row| &window[row * unroll + t]["loss"]));
        let one = losses.map(|loss| loss.as_f64().unwrap()).sum::<f64>() / (size * unroll) as f64;
        mean = (mean * done as f64 + one) / (done as f64 + 1.0);
    }
    let recorded = space.rows(&format!("SELECT loss FROM run_steps WHERE run = {run} AND step = {step}"));
    assert_eq!(Some(mean.to_bits()), recorded[0][0].real().map(f64::to_bits), "step {step} of run{run}");
    for token in tokens {
        let (rank, likeliest) = (token["rank"].as_u64().unwrap(), token["likeliest"].as_array().unwrap());
        let (loss, row) = (token["loss"].as_f64().unwrap(), token["row"].as_u64().unwrap() as usize);
        assert_eq!(token["target"], rows[row]["targets"][token["position"].as_u64().unwrap() as usize]);
        assert_eq!(likeliest.len(), 5);
        if let Some(own) = likeliest.get(rank as usize - 1) {
            assert_eq!(own["word"], token["target"], "{token}");
            assert!((own["p"].as_f64().unwrap() - (-loss).exp()).abs() < 1e-12, "{token}");
        }
    }
    json
}

#[test]
fn the_tokens_of_a_step_have_its_recorded_loss_as_their_mean() {
    let space = finished(100, 40, &[]);
    let more = ["--set", "train.learning_rate=0.002", "--set", "train.dropout=0.4", "--threads", "1"];
    space.pipeline(&[&["fork", "run1", "--at", "60"], &more[..]].concat()).ok();
    let (before, mut there, mut now) = (space.dump(), Vec::new(), Vec::new());
    files(&space.path("data/store"), &mut there);
    // The untouched model; between two states; at one; and the same of a fork, which begins with a state of its own.
    for (run, step, from) in [(1, 0, 0), (1, 25, 0), (1, 80, 80), (1, 99, 80), (2, 10, 0), (2, 60, 60), (2, 75, 60)] {
        assert_replayed(&space, run, step, from);
    }
    files(&space.path("data/store"), &mut now);
    assert_eq!((space.dump(), now), (before, there), "nothing is recorded, and nothing kept");

    let shown = show(&space, &["run1", "--step", "99"], &[]).ok();
    assert!(shown.stdout.contains("Replayed from the checkpoint at step 80, 19 steps earlier, in "), "{shown}");
    assert!(
        shown.stdout.contains("\n  guesses ")
            && shown.stdout.contains("the 10 highest-loss tokens of 160 account for "),
        "{shown}"
    );
    let shown = show(&space, &["run1", "--step", "99", "--row", "15"], &[]).ok();
    assert_eq!(shown.stdout.matches("\nrow ").count(), 1, "{shown}");
    show(&space, &["run1", "--step", "99", "--row", "16"], &[]).complains(2, "step 99 has rows 0 to 15");

    // Without the state where the fork begins, its parent's steps come first.
    let states = "SELECT count(*) FROM checkpoints WHERE trajectory_id = 1 AND state IS NOT NULL AND step = 40";
    assert_eq!(space.number(states), 0, "it was let go");
    let state = "SELECT state FROM checkpoints WHERE step = 60 AND state IS NOT NULL";
    for digest in space.texts(state) {
        let _ = std::fs::remove_file(space.object(&digest));
    }
    assert_replayed(&space, 2, 75, 0);
}

#[test]
fn whatever_a_training_is_made_of_is_replayed() {
    let changes = [
        r#"train.schedule={kind="plateau",every=10,rate=0.5,patience=0}"#,
        r#"train.schedule={kind="cosine"}"#,
        "train.accumulate=2",
        r#"train.precision="f64""#,
        r#"batch.layout="shuffled""#,
        "train.early_stopping={every=20,patience=3}",
    ];
    let space = finished(40, 30, &["--set", changes[0], "--set", changes[2]]);
    let looks = "SELECT count(*) FROM run_evaluations WHERE run = 1 AND source = 'train'";
    assert!(space.number(looks) > 0);
    assert_replayed(&space, 1, 28, 0);
    assert_replayed(&space, 1, 37, 30);
    let set = |changes: &[&'static str]| changes.iter().flat_map(|it| ["--set", it]).collect::<Vec<_>>();
    let rate = ["--set", "train.learning_rate=0.01"];
    space.run("longer", &[&rate[..], &set(&[changes[1], changes[3], "train.tied=true"])].concat()).ok();
    assert_replayed(&space, 2, 35, 30);
    space.run("longer", &[&rate[..], &set(&changes[4..])].concat()).ok();
    assert_replayed(&space, 3, 13, 0);
}

#[test]
fn what_can_not_be_replayed_is_shown_as_it_was_with_the_reason() {
    let space = finished(60, 30, &[]);
    let database = rusqlite::Connection::open(space.path("experiments.db")).unwrap();
    let change = |statement: &str| assert!(database.execute(statement, []).unwrap() > 0, "{statement}");
    let shown = |more: &[&str], variables: &[(&str, &str)], why: &str| {
        let ended = show(&space, &[&["run1", "--step", "57"], more].concat(), variables).ok();
        let text: String = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = format!("Predictions not shown: {why}");
        assert!(text.contains(&said) && text.contains(" row 7, corpus token "), "{why}: {ended}");
        let ended = show(&space, &[&["run1", "--step", "57", "--json"], more].concat(), variables).ok();
        let json: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!((&json["tokens"], &json["replay"]), (&Value::Null, &Value::Null));
        assert!(json["why_no_tokens"].as_str().unwrap().starts_with(why), "{ended}");
    };
    shown(&["--replay=never"], &[], "--replay=never");
    shown(&[], &[("PIPELINE_NEURAL", "/nowhere")], "the worker pipeline-neural was not found at /nowhere");
    shown(&[], &[("PIPELINE_NEURAL", "/bin/false")], "the worker ended with exit code 1");
    show(&space, &["run1", "--replay"], &[]).complains(2, "");
    show(&space, &["run1", "--step", "60"], &[]).complains(2, "run1 has no step 60");

    // A long way is gone only where that is asked for.
    change("UPDATE steps SET seconds = 0.5");
    shown(&[], &[], "replaying 27 steps takes about 14 s; pass --replay");
    let ended = show(&space, &["run1", "--step", "57", "--replay"], &[]).ok();
    let text = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(": the loss matches the recorded loss bit for bit."), "{ended}");
    change("UPDATE steps SET seconds = 0.001");

    change("UPDATE steps SET loss = loss + 1e-15 * 8 WHERE step IN (45, 57)");
    let ended = show(&space, &["run1", "--step", "57"], &[]).ok();
    let text = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("but the recorded loss is ") && text.contains("the losses first differ at step 45"),
        "{ended}"
    );
    // On another kind of processor it says as much.
    let ended = show(&space, &["run1", "--step", "57"], &[("ATEN_CPU_CAPABILITY", "default")]).ok();
    assert!(ended.stdout.contains("the run was trained on"), "{ended}");

    change("UPDATE trajectories SET fields = replace(fields, '\"version\",3', '\"version\",2')");
    shown(&[], &[], "the run was trained with version 2 of the stage `train`, but this program has version 3");
    change("UPDATE trajectories SET fields = replace(fields, '\"version\",2', '\"version\",3')");
    change("UPDATE trajectories SET fields = replace(fields, '2.11.0', '2.0.0')");
    shown(&[], &[], "the run was trained with libtorch 2.0.0, but the worker has libtorch 2.");
}

#[test]
fn an_interrupted_replay_leaves_nothing_behind() {
    let space = finished(300, 0, &[]);
    let before = space.dump();
    let mut started = start(&space, &["run1", "--step", "299"], &[]);
    assert!(started.wait_until(|it| !it.workers().is_empty()));
    started.signal(libc::SIGINT);
    started.end().complains(130, "interrupted").hints("--replay=never");
    assert_eq!(std::fs::read_dir(space.path("tmp")).unwrap().count(), 0);
    assert_eq!(space.dump(), before);
    space.assert_nothing_runs();
}
