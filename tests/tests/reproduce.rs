//! A run computed again and compared with what is recorded.

use tests::{Ended, Started, TestSpace};

/// A finished run of tiny with dropout, and an empty folder for temporary files.
fn finished() -> TestSpace {
    let space = TestSpace::longer(60, 30);
    space.run("longer", &["--set", "train.learning_rate=0.01"]).ok();
    std::fs::create_dir(space.path("tmp")).unwrap();
    space
}

fn reproduce(space: &TestSpace, run: &str, capability: Option<&str>) -> Ended {
    let mut command = space.command(&["reproduce", run]);
    command.env("TMPDIR", space.path("tmp")).env_remove("ATEN_CPU_CAPABILITY");
    capability.map(|capability| command.env("ATEN_CPU_CAPABILITY", capability));
    let ended = Started::new(&mut command).end();
    assert_eq!(std::fs::read_dir(space.path("tmp")).unwrap().count(), 0, "it leaves nothing behind");
    ended
}

#[test]
fn a_run_and_its_fork_come_out_the_same_and_nothing_recorded_changes() {
    let space = finished();
    space.pipeline(&["fork", "run1", "--at", "45", "--set", "train.learning_rate=0.002", "--threads", "1"]).ok();
    let (before, objects) = (space.dump(), space.objects());
    for run in ["run1", "run2"] {
        let ended = reproduce(&space, run, None).ok();
        assert!(ended.stdout.starts_with("identical: 60 losses, "), "{ended}");
        assert!(ended.stdout.contains(" objects, ") && ended.stdout.contains(" samples\n"), "{ended}");
    }
    assert_eq!((space.dump(), space.objects()), (before, objects));
    // What the experiment's file says by now is of no account.
    space.write("experiments/longer.toml", "nonsense");
    reproduce(&space, "run1", None).ok();
}

#[test]
fn what_differs_is_named() {
    let space = finished();
    let database = rusqlite::Connection::open(space.path("experiments.db")).unwrap();
    let change = |statement: &str| assert!(database.execute(statement, []).unwrap() > 0, "{statement}");
    change("UPDATE steps SET loss = loss + 1e-15 * 8 WHERE step IN (7, 9)");
    let ended = reproduce(&space, "run1", None);
    assert_eq!((ended.code, ended.stderr.contains("error:")), (Some(1), false), "{ended}");
    assert!(ended.stdout.starts_with("not identical\n  step 7 is the first that differs: loss "), "{ended}");
    assert!(ended.stdout.contains("versions, threads and CPU capability are the same"), "{ended}");
    assert!(!ended.stdout.contains("object"), "{ended}");

    change(
        "UPDATE execution_outputs SET digest = (SELECT digest FROM execution_outputs WHERE name = 'weights@0')
            WHERE name = 'weights@30'",
    );
    change("UPDATE samples SET text = 'other' WHERE position = 1");
    change("UPDATE executions SET libtorch = '2.0.0' WHERE stage = 'train'");
    let ended = reproduce(&space, "run1", None);
    let said = [
        "object train weights@30 differs; the first tensor that differs is ",
        "sample 0 1 ",
        "libtorch: 2.0.0 in the record, ",
    ];
    assert!(ended.code == Some(1) && said.iter().all(|words| ended.stdout.contains(words)), "{ended}");

    // Another kind of processor: whether bits differ or not, it is told.
    let ended = reproduce(&space, "run1", Some("default"));
    assert!(ended.code == Some(1) && ended.stdout.contains("CPU capability: "), "{ended}");
}

#[test]
fn what_can_not_be_tried_is_refused() {
    let space = finished();
    space.run("longer", &["--set", "train.learning_rate=0.02", "--until", "batch"]).ok();
    let before = space.dump();
    reproduce(&space, "run2", None).complains(2, "run2 is interrupted").hints("pipeline run experiments/longer.toml");
    reproduce(&space, "run7", None).complains(2, "run7 does not exist");
    let text = space.read("data/sonnets.txt");
    space.write("data/sonnets.txt", &text.to_uppercase());
    let ended = reproduce(&space, "run1", None).complains(2, "sonnets.txt has changed since run1");
    ended.hints("restore the original file");
    std::fs::remove_file(space.path("data/sonnets.txt")).unwrap();
    reproduce(&space, "run1", None).complains(2, "no file data/sonnets.txt");
    assert_eq!(space.dump(), before);
}

#[test]
fn the_corpus_that_was_read_is_found_whatever_lies_in_the_working_directory() {
    let space = TestSpace::new();
    space.run("tiny", &["--set", "train.learning_rate=0.01", "--set", "train.steps=20"]).ok();
    std::fs::create_dir_all(space.path("other/data")).unwrap();
    space.write("other/data/sonnets.txt", &"A namesake of the corpus, and another text.\n".repeat(200));
    let mut command = space.command(&["reproduce", "run1", "--db", "../experiments.db"]);
    let ended = Started::new(command.current_dir(space.path("other"))).end().ok();
    assert!(ended.stdout.contains("identical"), "{ended}");
}
