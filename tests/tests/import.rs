//! Other programs' logs become runs: once, with the rest of a log that grows, and with NaN as it is.

use tests::TestSpace;

/// What Hugging Face's Trainer writes: Python's JSON, with bare NaN, up to a step.
fn trainer_state(steps: u32) -> String {
    let entries: Vec<String> = (1..=steps / 10)
        .map(|n| {
            let (loss, norm) =
                if n > 8 { ("NaN".to_owned(), "Infinity") } else { (format!("{}", 3.0 - f64::from(n) / 10.0), "1.5") };
            format!(
                "{{\"epoch\": {}, \"grad_norm\": {norm}, \"learning_rate\": 0.001, \"loss\": {loss}, \"step\": {}}}",
                f64::from(n) / 4.0,
                n * 10
            )
        })
        .chain([format!("{{\"eval_loss\": 2.5, \"step\": {steps}}}")])
        .collect();
    format!("{{\"global_step\": {steps}, \"log_history\": [{}], \"max_steps\": 100}}", entries.join(", "))
}

/// Every number that was imported.
fn numbers(space: &TestSpace) -> Vec<Vec<tests::record::Cell>> {
    let steps = "SELECT run, step, loss, loss_kind, learning_rate, grad_norm, nonfinite, window, place FROM run_steps";
    space.rows(&format!("{steps} ORDER BY run, step"))
}

#[test]
fn a_log_becomes_a_run_once() {
    let space = TestSpace::new();
    space.write("logs/sweep/trainer_state.json", &trainer_state(100));
    let dry = space.pipeline(&["import", "--dry-run", "logs"]).ok();
    assert!(dry.stdout.starts_with("sweep  trainer_state.json, by step  would be imported\n"), "{dry}");
    assert!(!space.path("experiments.db").exists());

    let ended = space.pipeline(&["import", "logs"]).ok();
    assert!(ended.stdout.starts_with("run1  sweep  trainer_state.json, by step  new\n"), "{ended}");
    assert!(ended.stdout.contains("loss"), "{ended}");
    let before = numbers(&space);
    assert_eq!(before.len(), 10);
    assert_eq!(space.texts("SELECT loss_kind FROM run_steps WHERE step IN (80, 90) ORDER BY step"), ["finite", "nan"]);
    assert_eq!(space.texts("SELECT nonfinite FROM run_steps WHERE step = 90"), ["grad_norm:inf"]);
    assert_eq!(space.number("SELECT window FROM run_steps WHERE step = 50"), 10);
    assert_eq!(space.number("SELECT count(*) FROM run_evaluations WHERE split = 'valid' AND loss = 2.5"), 1);

    let dump = space.dump();
    let again = space.pipeline(&["import", "logs"]).ok();
    assert!(again.stdout.contains("up to date"), "{again}");
    assert_eq!(space.dump(), dump);
    space.pipeline(&["verify"]).ok();
    let listed = space.pipeline(&["runs"]).ok();
    assert!(listed.stdout.contains("run1  sweep") && listed.stdout.contains("diverged"), "{listed}");
    for words in
        [&["show", "run1"][..], &["diagnose", "run1"], &["plot", "run1", "-o", "-"], &["report", "run1", "-o", "-"]]
    {
        space.pipeline(words).ok();
    }
}

#[test]
fn a_log_that_grows_adds_the_rest_to_its_run() {
    let (grown, once) = (TestSpace::new(), TestSpace::new());
    for steps in [20, 50, 60, 100] {
        grown.write("logs/sweep/trainer_state.json", &trainer_state(steps));
        grown.pipeline(&["import", "logs"]).ok();
    }
    once.write("logs/sweep/trainer_state.json", &trainer_state(100));
    once.pipeline(&["import", "logs"]).ok();
    assert_eq!(numbers(&grown), numbers(&once));
    assert_eq!(grown.number("SELECT count(*) FROM runs"), 1);
    // Another training in the same place is another run.
    grown.write("logs/sweep/trainer_state.json", &trainer_state(40).replace("2.9", "2.95"));
    let ended = grown.pipeline(&["import", "logs"]).ok();
    assert!(ended.stdout.starts_with("run2  sweep"), "{ended}");
}

#[test]
fn text_tables_and_patterns_are_read() {
    let space = TestSpace::new();
    space.write("a/log.txt", "step 0: train loss 9.1, val loss 9.2\niter 0: loss 9.11, time 45.00ms, mfu -100.00%\niter 10: loss 8.50, time 40.00ms, mfu 12.00%\n");
    space.write("b/metrics.csv", "step,train_loss,lr\n1,3.5,0.1\n2,3.25,0.1\n");
    space.write("c/own.log", "update 1 ce=4.5\nupdate 2 ce=4.25\n");
    let ended = space.pipeline(&["import", "--study", "mine", "a", "b"]).ok();
    assert!(ended.stdout.contains("nanoGPT") && ended.stdout.contains("CSV"), "{ended}");
    let pattern = r"update (?<step>\d+) ce=(?<loss>\S+)";
    space.pipeline(&["import", "--study", "mine", "--pattern", pattern, "--name", "own", "c/own.log"]).ok();
    assert_eq!(space.texts("SELECT CAST(last_loss AS TEXT) FROM run_summary ORDER BY run"), ["8.5", "3.25", "4.25"]);
    assert_eq!(space.pipeline(&["runs", "study:mine"]).ok().stdout.lines().count(), 4);
    space.pipeline(&["compare", "study:mine"]).ok();

    space.pipeline(&["import", "nothing"]).complains(2, "nothing").hints("--dry-run");
    space.pipeline(&["import", "--series", "los=ce", "a"]).complains(2, "unknown word 'los'").hints("--series loss=");
    space.pipeline(&["import", "--series", "loss=ce", "a"]).complains(2, "no such series").hints("its series: ");
    space.pipeline(&["import", "--pattern", "(", "a"]).complains(2, "--pattern: ");
    space.write("data/blob.log", "\u{0}\u{1}");
    space.pipeline(&["import", "data/blob.log"]).complains(2, "data/blob.log");
}
