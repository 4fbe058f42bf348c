//! The first run of an experiment: what it computes and what it writes down.

use tests::{Cell, TestSpace};

#[test]
fn tiny_runs_through_all_stages_and_records_every_step_once() {
    let space = TestSpace::new();
    let ended = space.run("tiny", &[]).ok();
    assert_eq!(
        ended.stdout,
        "run1  learning_rate=0.01  finished  stable\nrun2  learning_rate=1e38  finished  diverged at step 1\n"
    );

    assert_eq!(space.texts("SELECT status FROM runs"), ["finished", "finished"]);
    let stages = "SELECT DISTINCT stage FROM run_stages WHERE run_id = 1 ORDER BY stage";
    assert_eq!(space.texts(stages), ["baselines", "batch", "evaluate", "sample", "tokenize", "train", "vocab"]);
    let steps = space.rows("SELECT step, loss, loss_kind, grad_norm FROM run_steps WHERE run = 1 ORDER BY step");
    assert_eq!(steps.len(), 200);
    for (i, row) in (0i64..).zip(&steps) {
        assert_eq!(row[0], Cell::Integer(i));
        assert_eq!(row[2], Cell::Text("finite".to_owned()));
        assert!(row[1].real().is_some_and(f64::is_finite) && row[3].real().is_some_and(|norm| norm > 0.0), "{row:?}");
    }
    let mean = |from: i64, to: i64| {
        space.rows(&format!("SELECT avg(loss) FROM run_steps WHERE run = 1 AND step >= {from} AND step < {to}"))[0][0]
            .real()
            .unwrap()
    };
    // 1000 types: an untouched model guesses evenly, and this one learns.
    assert!((mean(0, 1) - 1000f64.ln()).abs() < 0.05);
    assert!(mean(180, 200) < mean(0, 20) - 0.5);
    // Checkpoints 0, 100 and 200.
    assert_eq!(space.number("SELECT count(DISTINCT step) FROM run_samples WHERE run = 1 AND text <> ''"), 3);
    assert_eq!(space.number("SELECT count(*) FROM run_evaluations WHERE run = 1 AND split = 'test'"), 1);
    assert_eq!(space.number("SELECT count(*) FROM run_evaluations WHERE run = 1 AND split = 'valid'"), 3);
    space.assert_objects_are_sound();
    space.assert_nothing_runs();
}

#[test]
fn a_loss_that_is_nan_is_an_outcome_and_its_kind_and_step_are_recorded() {
    let space = TestSpace::new();
    space.run("tiny", &["--set", "train.learning_rate=1e38"]).ok();
    let summary =
        "SELECT status, last_loss_kind, last_loss, first_nonfinite_step, nonfinite_steps, steps FROM run_summary";
    let text = |text: &str| Cell::Text(text.to_owned());
    assert_eq!(
        space.rows(summary),
        [[text("finished"), text("nan"), Cell::Null, Cell::Integer(1), Cell::Integer(20), Cell::Integer(21)]]
    );
    // The rule is on_nonfinite's default, 20 steps in a row; step 0 is measured before the first update.
    assert_eq!(space.number("SELECT min(step) FROM run_steps WHERE loss_kind = 'nan'"), 1);
    assert_eq!(space.number("SELECT count(*) FROM run_steps WHERE loss < 1e300"), 1);
    assert_eq!(space.number("SELECT count(*) FROM run_steps WHERE step > 0 AND loss < 5"), 0);
    assert_eq!(space.number("SELECT step FROM run_events WHERE kind = 'nonfinite'"), 1);
    let unnamed = "SELECT count(*) FROM run_steps WHERE step > 0 AND (grad_norm IS NOT NULL OR nonfinite IS NULL
                   OR nonfinite NOT LIKE '%grad_norm:nan%')";
    assert_eq!(space.number(unnamed), 0);

    let evaluated = space.rows("SELECT step, loss, loss_kind, perplexity FROM run_evaluations WHERE split = 'test'");
    assert_eq!(evaluated, [[Cell::Integer(21), Cell::Null, text("nan"), Cell::Null]]);
    let samples = space.rows("SELECT text, why_empty FROM run_samples WHERE step = 21");
    assert_eq!(samples.len(), 2);
    for sample in samples {
        assert_eq!(sample[0], text(""));
        assert!(matches!(&sample[1], Cell::Text(why) if why.contains("NaN")), "{sample:?}");
    }
}
