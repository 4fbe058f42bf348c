//! A record from before a stage was added: its runs answer, and get what they lack.

use tests::TestSpace;

/// Makes the record what a program would have left for which a run that is not finished has no steps of its own.
pub fn forget_ends(space: &TestSpace) {
    let database = rusqlite::Connection::open(space.path("experiments.db")).unwrap();
    let statements = "DROP VIEW run_events; DROP INDEX events_by_run; ALTER TABLE events DROP COLUMN run_id;
                      DROP VIEW run_evaluations; ALTER TABLE runs DROP COLUMN last_evaluation;
                      CREATE VIEW run_events AS SELECT id AS run FROM runs;
                      CREATE VIEW run_evaluations AS SELECT id AS run FROM runs;
                      UPDATE runs SET steps = NULL WHERE status <> 'finished';
                      PRAGMA user_version = 5;";
    database.execute_batch(statements).unwrap();
}

/// Makes the record what a program without verdicts would have left.
pub fn forget_verdicts(space: &TestSpace) {
    forget_ends(space);
    let database = rusqlite::Connection::open(space.path("experiments.db")).unwrap();
    for view in ["run_verdicts", "run_findings", "run_evidence", "run_checks", "run_confirmations"] {
        database.execute_batch(&format!("DROP VIEW {view}")).unwrap();
    }
    // The migration makes these two again.
    database.execute_batch("DROP VIEW study_by_learning_rate; DROP VIEW run_summary;").unwrap();
    for table in ["verdict_findings", "verdict_evidence", "verdict_checks", "confirmations", "verdicts"] {
        database.execute_batch(&format!("DROP TABLE {table}")).unwrap();
    }
    let views = "CREATE VIEW run_summary AS SELECT id AS run FROM runs;
                 CREATE VIEW study_by_learning_rate AS SELECT id AS study_id FROM studies;
                 PRAGMA user_version = 4;";
    database.execute_batch(views).unwrap();
}

/// Makes the record what a program without the stage `baselines` would have left.
fn forget_baselines(space: &TestSpace) {
    forget_verdicts(space);
    let database = rusqlite::Connection::open(space.path("experiments.db")).unwrap();
    let of = "(SELECT id FROM executions WHERE stage = 'baselines')";
    let statements = format!(
        "DROP VIEW run_baselines; DROP TABLE baselines;
         DELETE FROM run_stages WHERE stage = 'baselines';
         DELETE FROM params WHERE name LIKE 'baselines.%';
         DELETE FROM results WHERE execution_id IN {of};
         DELETE FROM execution_inputs WHERE execution_id IN {of};
         DELETE FROM execution_outputs WHERE execution_id IN {of};
         DELETE FROM executions WHERE stage = 'baselines';
         PRAGMA user_version = 3;"
    );
    database.execute_batch(&statements).unwrap();
}

#[test]
fn a_run_from_before_the_baselines_answers_and_gets_them() {
    let space = TestSpace::new();
    space.run("tiny", &[]).ok();
    let (expected, rows) = (space.bits(), space.rows("SELECT * FROM run_baselines ORDER BY run, split, n"));
    // Three splits, four models, two runs that share an execution.
    assert_eq!(rows.len(), 24);
    forget_baselines(&space);
    let before = (space.counts(), space.last_execution());

    // Looking brings the record up to date, and shows the run as it was.
    let shown = space.pipeline(&["show", "run1"]).ok();
    assert!(shown.stdout.contains("unigram 4.") && !shown.stdout.contains("bigram"), "{shown}");
    assert_eq!(space.rows("SELECT * FROM run_baselines"), [] as [tests::record::Row; 0]);
    // All but the verdict, which may look at baselines.
    let summaries = "SELECT run, experiment, point, status, seed, learning_rate, steps, last_loss, last_loss_kind, best_loss, valid_perplexity,
                   valid_loss_kind, test_perplexity, test_loss_kind, seconds, nonfinite_steps, first_nonfinite_step, error, created_at
                     FROM run_summary ORDER BY run";
    let summary = space.rows(summaries);
    let again = space.pipeline(&["reproduce", "run1"]).ok();
    assert!(again.stdout.starts_with("identical: 200 losses, "), "{again}");

    let ended = space.run("tiny", &[]).ok();
    assert!(ended.stdout.starts_with("run1  ") && ended.stdout.contains("\nrun2  "), "{ended}");
    assert_eq!(space.stages_since(before.1), ["baselines"], "{ended}");
    assert_eq!((ended.executed(), space.counts().0, space.counts().2), (1, before.0.0, before.0.2));
    assert_eq!(space.rows("SELECT * FROM run_baselines ORDER BY run, split, n"), rows);
    assert_eq!(space.rows(summaries), summary);
    space.assert_bits(&expected, "baselines were added");

    let dump = space.dump();
    assert_eq!(space.run("tiny", &[]).ok().executed(), 0);
    assert_eq!(space.dump(), dump);
    // Beside a run that was made with them, an older one differs in nothing but what differs.
    forget_baselines(&space);
    space.run("tiny", &["--set", "train.learning_rate=0.02"]).ok();
    let compared = space.pipeline(&["compare", "run1", "run3"]).ok();
    assert!(compared.stdout.contains("\nthe runs differ in train.learning_rate\n"), "{compared}");
}

#[test]
fn another_order_is_another_run_and_trains_nothing() {
    let space = TestSpace::new();
    let point = ["--set", "train.learning_rate=0.01"];
    space.run("tiny", &point).ok();
    let before = space.last_execution();
    let ended = space.run("tiny", &[&point[..], &["--set", "baselines.order=3"]].concat()).ok();
    assert!(ended.stdout.starts_with("run2  "), "{ended}");
    assert_eq!(space.stages_since(before), ["baselines"]);
    let models = "SELECT model FROM run_baselines WHERE run = 2 AND split = 'valid' ORDER BY n";
    assert_eq!(space.texts(models), ["uniform", "unigram", "bigram", "kn3"]);
    // What training and counting score is the same: every token but the first.
    let tokens = |view: &str| {
        space.rows(&format!("SELECT DISTINCT split, tokens FROM {view} WHERE split <> 'train' ORDER BY 1"))
    };
    assert_eq!(tokens("run_baselines"), tokens("run_evaluations"));
}
