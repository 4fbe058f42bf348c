//! A record from before a stage was added: its runs answer, and get what they lack.

use tests::TestSpace;

/// Makes the record what a program would have left for which a run that is not finished has no steps of its own.
pub fn forget_ends(space: &TestSpace) {
    space.age(5);
    let database = rusqlite::Connection::open(space.path("experiments.db")).unwrap();
    database.execute_batch("UPDATE runs SET steps = NULL WHERE status <> 'finished'").unwrap();
}

/// Makes the record what a program without the stage `baselines` would have left.
fn forget_baselines(space: &TestSpace) {
    space.age(3);
    let database = rusqlite::Connection::open(space.path("experiments.db")).unwrap();
    let of = "(SELECT id FROM executions WHERE stage = 'baselines')";
    let statements = format!(
        "DELETE FROM run_stages WHERE stage = 'baselines';
         DELETE FROM params WHERE name LIKE 'baselines.%';
         DELETE FROM results WHERE execution_id IN {of};
         DELETE FROM execution_inputs WHERE execution_id IN {of};
         DELETE FROM execution_outputs WHERE execution_id IN {of};
         DELETE FROM executions WHERE stage = 'baselines';"
    );
    database.execute_batch(&statements).unwrap();
}

#[test]
fn an_older_record_is_kept_and_the_program_says_where() {
    let space = TestSpace::new();
    space.run("tiny", &["--set", "train.learning_rate=[0.01, 1e38]"]).ok();
    let views = ["run_summary", "run_steps", "run_evaluations", "run_events", "run_verdicts", "run_lineage"];
    let all = |view: &str| space.rows(&format!("SELECT * FROM {view} ORDER BY 1, 2, 3, 4"));
    let expected = views.map(all);
    let newest = space.number("PRAGMA user_version");
    space.age(7);
    let older = space.rows("SELECT * FROM runs ORDER BY id");
    let listed = space.pipeline(&["runs"]).ok();
    let saved = "the old version was saved as experiments.db.schema7";
    let told = format!("updated experiments.db to schema {newest}; {saved}\n");
    assert_eq!(listed.stderr, told);
    assert_eq!(views.map(all), expected);
    let copy = space.path("experiments.db.schema7");
    assert_eq!(tests::record::ask(&copy, "SELECT * FROM runs ORDER BY id").unwrap(), older);
    // The second time there is nothing to say, and what runs are made of is what it was.
    let listed = space.pipeline(&["runs"]).ok();
    assert_eq!(listed.stderr, "");
    assert_eq!(space.run("tiny", &["--set", "train.learning_rate=[0.01, 1e38]"]).ok().executed(), 0);
    space.pipeline(&["verify"]).ok();
    let again = space.pipeline(&["reproduce", "run1"]).ok();
    assert!(again.stdout.starts_with("identical"), "{again}");
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

    // Looking brings the record up to date, keeps the old one beside it, and shows the run as it was.
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
    assert!(space.path("experiments.db.schema3").exists() && !space.path("experiments.db.schema3-2").exists());
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
