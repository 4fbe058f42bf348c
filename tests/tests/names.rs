//! A database under several names, and under a new one.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::{Ended, Started, TestSpace};

const PATH: &str = "SELECT value FROM meta WHERE key = 'database'";

/// A space with a record, `a.db`, whose file is also `b.db`.
fn linked() -> TestSpace {
    let space = TestSpace::new();
    run(&space, "a.db", &[]).ok();
    std::fs::hard_link(space.path("a.db"), space.path("b.db")).unwrap();
    space
}

fn run(space: &TestSpace, db: &str, more: &[&str]) -> Ended {
    let words: Vec<&str> = ["--until", "vocab", "--db", db].iter().chain(more).copied().collect();
    space.run("tiny", &words)
}

/// Types the commands of a hint, which come after its last colon; `pipeline` is what the space runs.
fn type_hint(space: &TestSpace, ended: &Ended) {
    let hint = ended.stderr.lines().find(|line| line.starts_with("hint: ")).unwrap();
    let commands = hint.rsplit(": ").next().unwrap();
    assert!(Command::new("sh").args(["-ec", commands]).current_dir(space.path(".")).status().unwrap().success());
}

fn runs(path: &Path) -> usize {
    tests::record::ask(path, "SELECT id FROM runs").unwrap().len()
}

#[test]
fn a_hard_link_is_neither_written_nor_read_while_its_first_name_is_in_use() {
    let space = linked();
    let a = space.path("a.db").canonicalize().unwrap();
    let before = tests::record::dump(&a).unwrap();
    for words in [&["run", "experiments/tiny.toml", "--threads", "1"][..], &["runs"], &["objects", "gc"]] {
        let words: Vec<&str> = words.iter().chain(&["--db", "b.db"]).copied().collect();
        let ended = space.pipeline(&words).complains(2, &format!("b.db is a hard link to {}", a.display()));
        ended.hints(&format!("use --db {}, or to make a separate copy: pipeline backup", a.display()));
    }
    assert_eq!(tests::record::dump(&a).unwrap(), before);
    assert!(!space.path("b.db-open").exists(), "a name that is refused leaves something behind");
    // Its owner is not locked out.
    run(&space, "a.db", &["--set", "vocab.size=300"]).ok();
    space.pipeline(&["runs", "--db", "a.db"]).ok();
    // The same through a link to its folder.
    std::os::unix::fs::symlink(".", space.path("here")).unwrap();
    run(&space, "here/a.db", &["--set", "vocab.size=400"]).ok();
    // Two points each.
    assert_eq!(runs(&a), 6);
}

#[test]
fn a_database_whose_recorded_name_is_gone_is_read_and_its_hint_makes_it_writable() {
    let space = linked();
    std::fs::rename(space.path("a.db"), space.path("c.db")).unwrap();
    space.pipeline(&["runs", "--db", "c.db"]).ok();
    let ended = run(&space, "c.db", &["--set", "vocab.size=300"]).complains(2, "c.db has several names");
    type_hint(&space, &ended);
    run(&space, "c.db", &["--set", "vocab.size=300"]).ok();
    assert_eq!((runs(&space.path("c.db")), runs(&space.path("b.db"))), (4, 2));
    // The other is alone now.
    run(&space, "b.db", &[]).ok();
}

#[test]
fn a_database_that_is_moved_or_copied_goes_by_its_new_name() {
    let space = TestSpace::new();
    run(&space, "a.db", &[]).ok();
    std::fs::rename(space.path("a.db"), space.path("b.db")).unwrap();
    std::fs::copy(space.path("b.db"), space.path("c.db")).unwrap();
    for name in ["b.db", "c.db"] {
        assert_eq!(run(&space, name, &[]).ok().executed(), 0);
        let recorded = tests::record::ask(&space.path(name), PATH).unwrap();
        let path = space.path(name).canonicalize().unwrap().display().to_string();
        assert_eq!(recorded, [[tests::Cell::Text(path)]]);
    }
}

#[test]
fn of_two_names_of_an_older_database_the_first_that_is_opened_is_kept_to() {
    let space = linked();
    let forget = "DELETE FROM meta WHERE key = 'database' RETURNING key";
    for round in 0..3 {
        // In the file itself, as the older program left it when it ended.
        let older = rusqlite::Connection::open(space.path("a.db")).unwrap();
        older.query_row(forget, [], |_| Ok(())).unwrap();
        drop(older);
        let start = |name: &str| {
            let seed = format!("vocab.size={}", 300 + round);
            space.start_run("tiny", &["--until", "vocab", "--db", name, "--set", &seed])
        };
        let ended = ["a.db", "b.db"].map(start).map(Started::end);
        let done = ended.iter().filter(|ended| ended.code == Some(0)).count();
        assert_eq!(done, 1, "{}\n{}", ended[0], ended[1]);
        let refused = ended.into_iter().find(|ended| ended.code != Some(0)).unwrap();
        // On a busy machine the first may take longer than the other waits for it.
        match refused.code {
            Some(1) => refused.complains(1, "another program has held the database"),
            _ => refused.complains(2, "a hard link to"),
        };
    }
    let sound = tests::record::ask(&space.path("a.db"), "PRAGMA integrity_check").unwrap();
    assert_eq!(sound, [[tests::Cell::Text("ok".to_owned())]]);
}

#[test]
fn a_log_that_a_link_left_behind_undoes_nothing() {
    let space = TestSpace::longer(1500, 50);
    let mut run = space.start_run("longer", &["--set", "train.learning_rate=0.01"]);
    let (first, second) = (space.path("experiments.db"), space.path("linked/experiments.db"));
    let beside = |path: &Path, ending: &str| PathBuf::from(format!("{}{ending}", path.display()));
    let recorded =
        |_: &Started| tests::record::ask(&first, "SELECT 1 FROM checkpoints").is_ok_and(|rows| !rows.is_empty());
    assert!(run.wait_until(recorded), "it ended before its first checkpoint");
    run.signal(libc::SIGKILL);
    run.end();
    // As backups do that link what has not changed and copy what has. (`cp -al` links the log as well, which whoever has
    // written empties under both names.)
    std::fs::create_dir(space.path("linked")).unwrap();
    std::fs::hard_link(&first, &second).unwrap();
    std::fs::copy(beside(&first, "-wal"), beside(&second, "-wal")).unwrap();
    space.run("longer", &["--set", "train.learning_rate=0.01"]).ok();
    space.run("longer", &["--set", "train.learning_rate=0.02", "--set", "train.steps=100"]).ok();
    let log = beside(&first, "-wal");
    assert!(!log.exists() || log.metadata().unwrap().len() == 0, "the first name's own log is needed");
    std::fs::remove_file(&first).unwrap();

    let words = ["runs", "--db", "linked/experiments.db"];
    let wal = beside(&second, "-wal");
    assert!(wal.metadata().unwrap().len() > 0, "there is no log to be refused");
    space.pipeline(&["run", "experiments/longer.toml", "--db", "linked/experiments.db"]).complains(2, "stale log");
    let refused = space.pipeline(&words).complains(2, "stale log");
    type_hint(&space, &refused);
    let runs = space.pipeline(&words).ok();
    assert!(runs.stdout.contains("run2") && runs.stdout.contains("1,500"), "{runs}");
    space.pipeline(&["verify", "--db", "linked/experiments.db", "--store", "data/store"]).ok();
}
