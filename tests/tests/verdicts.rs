//! What the program concludes of runs, and what comes of trying it.

use tests::{Cell, TestSpace};

fn texts(rows: &[&str]) -> Vec<Vec<Cell>> {
    vec![rows.iter().map(|text| Cell::Text((*text).to_owned())).collect()]
}

#[test]
fn a_run_ends_with_its_verdict_and_sql_has_what_it_rests_on() {
    let space = TestSpace::new();
    let ended = space.run("tiny", &[]).ok();
    assert!(ended.stdout.contains("run2  learning_rate=1e38  finished  diverged at step 1\n"), "{ended}");
    let found = "SELECT verdict, cause FROM run_verdicts WHERE run = 2";
    assert_eq!(space.rows(found), texts(&["diverged", "rate_too_high"]));
    assert_eq!(space.texts("SELECT verdict FROM run_summary ORDER BY run").len(), 2);
    // Figures that are not finite are NULL and named; each check says what it came to or why it was not made.
    let odd = "SELECT count(*) FROM run_evidence WHERE run = 2 AND (value IS NULL) = (value_kind = 'finite')";
    assert_eq!(space.number(odd), 0);
    assert!(space.number("SELECT count(*) FROM run_evidence WHERE run = 2 AND value_kind = 'inf'") > 0);
    assert_eq!(space.number("SELECT count(*) FROM run_checks WHERE note = ''"), 0);
    let shown = space.pipeline(&["show", "run2"]).ok();
    assert!(shown.stdout.contains("diverged at step 1 (rate too high)"), "{shown}");
    let listed = space.pipeline(&["runs", "--where", "verdict=diverged"]).ok();
    assert!(listed.stdout.contains("run2") && !listed.stdout.contains("run1"), "{listed}");

    // To look again writes nothing.
    let dump = space.dump();
    for words in [&["runs"][..], &["show", "run1"], &["compare", "run1", "run2"]] {
        space.pipeline(words).ok();
    }
    assert_eq!(space.dump(), dump);
}

#[test]
fn a_fault_of_the_data_comes_before_the_rate_and_its_repair_is_tried() {
    let space = TestSpace::new();
    // Fast enough to diverge, were it not for the fault.
    let slides = ["--set", "train.learning_rate=0.05", "--set", "batch.layout=sliding"];
    let ended = space.run("tiny", &slides).ok();
    assert!(ended.stdout.contains("data fault"), "{ended}");
    let found = space.pipeline(&["diagnose", "run1"]).ok();
    assert!(found.stdout.contains("data fault (sliding window)") && !found.stdout.contains("learning_rate"), "{found}");
    let tried = space.pipeline(&["confirm", "run1"]).ok();
    assert!(tried.stdout.contains("confirmed by run2"), "{tried}");
    let differing = "SELECT a.name FROM run_params a JOIN run_params b USING (name)
                     WHERE a.run = 1 AND b.run = 2 AND a.value <> b.value";
    assert_eq!(space.texts(differing), ["batch.layout"]);
    assert_eq!(space.rows("SELECT cause, outcome FROM run_confirmations"), texts(&["sliding_window", "confirmed"]));
    let shown = space.pipeline(&["show", "run1"]).ok();
    assert!(shown.stdout.contains("confirmed by run2"), "{shown}");
    // The study's name goes on naming the study.
    let listed = space.pipeline(&["runs", "study:tiny", "study:tiny_trial", "--json"]).ok();
    assert_eq!(listed.stdout.matches("\"run\":").count(), 2, "{listed}");
    assert!(!listed.stderr.contains("newest"), "{listed}");
}

#[test]
fn a_rate_is_tried_by_a_fork_of_the_last_state_before_the_onset() {
    let space = TestSpace::new();
    space.run("tiny", &["--set", "train.learning_rate=0.01"]).ok();
    space.pipeline(&["fork", "run1", "--at", "100", "--set", "train.learning_rate=0.3"]).ok();
    assert_eq!(space.rows("SELECT verdict, onset FROM run_verdicts WHERE run = 2").len(), 1);
    let onset = space.number("SELECT onset FROM run_verdicts WHERE run = 2 AND verdict = 'diverged'");
    assert!((101..=106).contains(&onset), "{onset}");
    let tried = space.pipeline(&["confirm", "run2"]).ok();
    assert!(tried.stdout.contains("confirmed by run3"), "{tried}");
    // Up to the fork it is the run in question; from there on it has a third of the rate.
    let same = "SELECT count(*) FROM run_steps a JOIN run_steps b USING (step)
                WHERE a.run = 2 AND b.run = 3 AND a.loss = b.loss";
    assert_eq!(space.number(same), onset);
    let rates = "SELECT count(*) FROM run_steps WHERE run = 3 AND abs(learning_rate - 0.1) < 1e-12";
    assert_eq!(space.number(rates), 200 - onset + 1);
    // A text that is no longer what the run read is no trial's.
    let text = space.read("data/sonnets.txt");
    space.write("data/sonnets.txt", &text.replace("love", "hate"));
    space.pipeline(&["confirm", "run2"]).complains(2, "has changed since run2");
    space.write("data/sonnets.txt", &text);
    // Again: the trial is there, and one row tells of it.
    let before = space.last_execution();
    space.pipeline(&["confirm", "run2"]).ok();
    assert_eq!((space.last_execution(), space.number("SELECT count(*) FROM run_confirmations")), (before, 1));

    space.pipeline(&["confirm", "run1"]).complains(2, "names no cause");
}

#[test]
fn a_record_from_before_verdicts_gets_them_when_it_is_looked_at() {
    let space = TestSpace::new();
    space.run("tiny", &[]).ok();
    let expected = space.rows("SELECT run, verdict, cause, onset, sentence FROM run_verdicts ORDER BY run");
    space.age(4);
    let listed = space.pipeline(&["runs"]).ok();
    assert!(listed.stdout.contains("diverged"), "{listed}");
    assert_eq!(space.rows("SELECT run, verdict, cause, onset, sentence FROM run_verdicts ORDER BY run"), expected);
    assert_eq!(space.run("tiny", &[]).ok().executed(), 0);
}

#[test]
fn while_others_write_verdicts_are_shown_and_nobody_waits() {
    let space = TestSpace::new();
    space.run("tiny", &["--set", "train.learning_rate=0.01", "--until", "train"]).ok();
    let database = rusqlite::Connection::open(space.path("experiments.db")).unwrap();
    database.execute_batch("DELETE FROM verdicts").unwrap();
    drop(database);
    let held = tests::record::hold(&space.path("experiments.db"));
    let found = space.pipeline(&["diagnose", "run1"]).ok();
    assert!(found.stdout.contains("held-out loss: no checkpoint was scored"), "{found}");
    drop(held);
    assert_eq!(space.number("SELECT count(*) FROM verdicts"), 0);
    space.pipeline(&["diagnose", "run1"]).ok();
    assert_eq!(space.number("SELECT count(*) FROM verdicts"), 1);
}

#[test]
fn what_was_judged_without_the_store_is_judged_again_when_it_is_back() {
    let space = TestSpace::new();
    space.run("tiny", &["--set", "train.learning_rate=1e38"]).ok();
    let database = rusqlite::Connection::open(space.path("experiments.db")).unwrap();
    let seen = "SELECT sum(made) FROM run_checks";
    let before = space.number(seen);
    // Away, and no verdict to keep: fewer checks are made, and the rate is not blamed.
    database.execute_batch("DELETE FROM verdicts").unwrap();
    std::fs::rename(space.path("data/store"), space.path("away")).unwrap();
    space.pipeline(&["show", "run1"]).ok();
    let advice = "SELECT advice LIKE '%name the store with --store' FROM run_verdicts";
    assert_eq!(space.number(advice), 1);
    assert!(space.number(seen) < before);
    let dump = space.dump();
    space.pipeline(&["runs"]).ok();
    assert_eq!(space.dump(), dump, "nothing new is known");
    std::fs::rename(space.path("away"), space.path("data/store")).unwrap();
    space.pipeline(&["runs"]).ok();
    assert_eq!(space.number(seen), before);
    // Away again: what was seen is kept, also by whoever judges anew.
    std::fs::rename(space.path("data/store"), space.path("away")).unwrap();
    let found = space.pipeline(&["diagnose", "run1"]).ok();
    assert!(found.stdout.contains("odd batches: of 21 steps"), "{found}");
    assert_eq!(space.number(seen), before);
}
