//! A learning-rate range test is a run like any other.

use tests::TestSpace;

const SGD: [&str; 6] = ["lr-range", "experiments/tiny.toml", "--threads", "1", "--set", "train.optimizer=sgd"];

#[test]
fn a_range_test_is_a_cached_run_with_a_limit() {
    let space = TestSpace::new();
    let first = space.pipeline(&SGD).ok();
    // The swept learning rate is put aside: one test.
    assert_eq!(space.number("SELECT count(*) FROM runs"), 1);
    let name = space.texts("SELECT experiment FROM run_summary");
    assert_eq!(name, ["tiny_lr_range"]);
    for said in ["loss in nats, by learning rate", "✗ diverges at ", "▲ try ", "; try ", "--set train.learning_rate="]
    {
        assert!(first.stdout.contains(said), "{said} is missing\n{first}");
    }
    assert!(!first.stdout.contains('\u{1b}'), "colours in a pipe\n{first}");
    let drawn = first.stdout.lines().filter(|line| !line.contains("pipeline run"));
    assert!(drawn.clone().all(|line| line.chars().count() <= 80), "{first}");

    // Its rates rise in equal factors from end to end.
    let rates = space.rows("SELECT learning_rate FROM run_steps WHERE run = 1 ORDER BY step");
    let rates: Vec<f64> = rates.iter().map(|row| row[0].real().unwrap()).collect();
    let whole = space.number("SELECT value FROM run_params WHERE run = 1 AND name = 'train.steps'");
    let factor = 1e5f64.powf(1.0 / (whole - 1) as f64);
    for (step, rate) in rates.iter().enumerate() {
        let expected = 0.01 * factor.powi(i32::try_from(step).unwrap());
        assert!((rate / expected - 1.0).abs() < 1e-12, "step {step}: {rate}, not {expected}");
    }
    assert!(rates.len() as i64 == whole || space.number("SELECT nonfinite_steps FROM run_summary") == 1);
    // Nothing was kept on the way, scored or sampled.
    assert_eq!(
        space.number("SELECT count(*) FROM run_evaluations") + space.number("SELECT count(*) FROM run_samples"),
        0
    );
    let kept = space.number("SELECT count(*) FROM execution_outputs WHERE name LIKE 'weights@%'");
    assert_eq!(kept, 1);

    let (before, again) = (space.counts(), space.pipeline(&SGD).ok());
    assert_eq!((again.executed(), &again.stdout), (0, &first.stdout));
    assert_eq!(space.counts(), before);

    let json = space.pipeline(&[&SGD[..], &["--json"]].concat()).ok();
    let found: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let tests = &found["tests"];
    let (limit, suggestion) = (&tests[0]["limit"], &tests[0]["suggestion"]);
    assert_eq!(tests[0]["outcome"], "broke");
    assert!(suggestion.as_f64().unwrap() < limit.as_f64().unwrap(), "{limit} {suggestion}");
    // What it says to try can be tried, and learns.
    let command = tests[0]["command"].as_str().unwrap();
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    space.pipeline(&words).ok();
    assert_eq!(space.number("SELECT nonfinite_steps FROM run_summary WHERE run = 2"), 0);
    let learned = "SELECT max(loss) FILTER (WHERE step = 0) - min(loss) > 1.0 FROM run_steps WHERE run = 2";
    assert_eq!(space.number(learned), 1);
    // The test itself can be computed again, to the bit.
    space.pipeline(&["reproduce", "run1"]).ok();
}

#[test]
fn what_else_is_swept_makes_a_test_each() {
    let space = TestSpace::new();
    let swept = "train.optimizer=[\"sgd\",\"adam\"]";
    let words = ["lr-range", "experiments/tiny.toml", "--threads", "1", "--set", swept, "--set", "sample.length=[5,6]"];
    let ended = space.pipeline(&words).ok();
    // Each with rates of its own, and the samples' length makes no other training.
    assert_eq!(space.number("SELECT count(*) FROM runs"), 2);
    let firsts = "SELECT count(DISTINCT learning_rate) FROM run_steps WHERE step = 0";
    assert_eq!(space.number(firsts), 2);
    for said in ["optimizer=sgd", "optimizer=adam", "the lowest suggestion is "] {
        assert!(ended.stdout.contains(said), "{said} is missing\n{ended}");
    }
    assert_eq!(space.pipeline(&words).ok().executed(), 0);
}

#[test]
fn a_test_keeps_to_what_it_is_told() {
    let space = TestSpace::new();
    space.vary(
        "tiny",
        "sliding",
        &[
            ("unroll = 10", "unroll = 10\nlayout = \"sliding\"\n"),
            ("steps = 200", "epochs = 3\nearly_stopping = { every = 5 }"),
        ],
    );
    let words = ["lr-range", "experiments/sliding.toml", "--from", "1e-7", "--to", "1e-6", "--steps", "20"];
    let ended = space.pipeline(&words).ok();
    assert!(ended.stdout.contains("did not fall up to a rate of 1e-6; try --to 0.001"), "{ended}");
    assert!(ended.stdout.contains("sliding"), "{ended}");
    assert_eq!(space.number("SELECT steps FROM run_summary"), 20);
    let words = ["lr-range", "experiments/tiny.toml", "--set", "train.learning_rate=3"];
    space.pipeline(&words).complains(2, "`pipeline lr-range` sets train.learning_rate itself");
    space
        .pipeline(&["lr-range", "experiments/tiny.toml", "--from", "1", "--to", "1"])
        .complains(2, "the rate must rise");
}
