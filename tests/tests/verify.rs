//! Damage to the record and the store, as `pipeline verify` finds it; and copies of the record.

use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::PermissionsExt as _;

use tests::{Ended, TestSpace, mount};

/// Changes the record behind the program's back.
fn change(space: &TestSpace, statement: &str) {
    let connection = rusqlite::Connection::open(space.path("experiments.db")).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection.execute_batch(statement).unwrap();
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

fn tiny() -> TestSpace {
    let space = TestSpace::new();
    run_one(&space);
    space
}

/// One run of 200 steps.
fn run_one(space: &TestSpace) -> Ended {
    space.run("tiny", &["--set", "train.learning_rate=0.5"]).ok()
}

fn verify(space: &TestSpace) -> Ended {
    space.pipeline(&["verify"])
}

#[test]
fn a_run_whose_stages_select_nothing_is_sound() {
    let space = TestSpace::new();
    space.pipeline(&["lr-range", "experiments/tiny.toml", "--steps", "20"]).ok();
    let short = ["--set", "train.learning_rate=0.01", "--set", "train.steps=20"];
    let none = ["--set", "evaluate.valid=none", "--set", "evaluate.test=none", "--set", "sample.at=none"];
    space.run("tiny", &[&short[..], &none].concat()).ok();
    space.run("tiny", &[&short[..], &["--set", "corpus.split={valid=0.0,test=0.0}"]].concat()).ok();
    assert_eq!(space.number("SELECT count(*) FROM run_stages WHERE stage = 'evaluate'"), 0);
    let ended = space.pipeline(&["verify"]).ok();
    assert!(!ended.stdout.contains("run1: "), "{ended}");
    // What a run does select is still missed.
    space.run("tiny", &short).ok();
    let newest = space.number("SELECT max(run) FROM run_summary");
    let database = rusqlite::Connection::open(space.path("experiments.db")).unwrap();
    database.execute("DELETE FROM run_stages WHERE run_id = ?1 AND stage IN ('evaluate', 'sample')", [newest]).unwrap();
    drop(database);
    let ended = space.pipeline(&["verify"]).complains(1, "");
    for stage in ["evaluate", "sample"] {
        assert!(ended.stdout.contains(&format!("run{newest}: no execution of stage {stage} is recorded")), "{ended}");
    }
}

#[test]
fn a_sound_record_and_store_are_said_to_be_so() {
    let space = tiny();
    let ended = verify(&space).ok();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines[0].ends_with("experiments.db: 1 run, 200 steps, no damage found"), "{ended}");
    assert!(lines[1].contains(" objects, ") && lines[1].ends_with("no damage found"), "{ended}");
    assert_eq!(space.pipeline(&["objects", "verify"]).ok().stdout, ended.stdout);
    // A fork that begins in the middle of a block sums up its parent's steps of that block.
    space.pipeline(&["fork", "run1", "--at", "100", "--set", "train.learning_rate=0.1"]).ok();
    verify(&space).ok();
    // One whose state is gone has a part of its parent computed again.
    let states = space.texts("SELECT DISTINCT state FROM checkpoints WHERE step = 100 AND state IS NOT NULL");
    states.iter().for_each(|state| std::fs::remove_file(space.object(state)).unwrap());
    let ended = space.pipeline(&["fork", "run1", "--at", "100", "--set", "train.learning_rate=0.2"]).ok();
    assert!(ended.stderr.contains("train parent 100"), "{ended}");
    verify(&space).ok();
}

#[test]
fn damaged_steps_are_told_from_a_damaged_block_which_is_repaired() {
    let space = tiny();
    // What was changed and changed back did change.
    let dump = || {
        let mut dump = space.dump();
        dump.remove("changes");
        dump
    };
    let before = dump();
    for (damage, figure) in [
        ("UPDATE step_blocks SET sum = sum * 1.0000001", "(sum)"),
        ("UPDATE step_blocks SET minimum = 0.5, maximum = 99.0", "(minimum, maximum)"),
        ("UPDATE step_blocks SET chain = zeroblob(32)", "(chain)"),
        ("DELETE FROM step_blocks", "(missing)"),
    ] {
        change(&space, damage);
        let ended = verify(&space).complains(1, "1 fault in the record").hints("pipeline verify --repair");
        let block = format!("run1, steps 0 to 199: the steps are intact, but their stored summary is wrong {figure}");
        assert_eq!(ended.stdout.lines().next(), Some(&*block), "{damage}\n{ended}");
        space.pipeline(&["verify", "--repair"]).ok();
        verify(&space).ok();
        assert!(dump() == before, "{damage}: it is not repaired");
    }
    let sound = std::fs::read(space.path("experiments.db")).unwrap();
    for (damage, what) in [
        (
            "UPDATE steps SET loss = loss * 1.0000000001 WHERE step = 150",
            " have losses that do not match their stored summary",
        ),
        ("DELETE FROM steps WHERE step = 50", " are incomplete: 199 of 200 are recorded"),
        ("UPDATE steps SET tokens = tokens + 1 WHERE step = 20", "were recorded"),
        ("DELETE FROM steps", " are missing: 0 of 200 are recorded"),
    ] {
        std::fs::write(space.path("experiments.db"), &sound).unwrap();
        change(&space, damage);
        let ended = verify(&space).complains(1, "in the record").hints("restore a backup");
        assert!(
            ended.stdout.lines().any(|line| line.starts_with("run1, steps 0 to 199 ") && line.ends_with(what)),
            "{damage}\n{ended}"
        );
    }
    // Sums are not made to fit damaged steps.
    space.pipeline(&["verify", "--repair"]).complains(1, "in the record");
}

#[test]
fn rows_that_are_missing_beside_others_are_found() {
    for (damage, words) in [
        (
            "DELETE FROM params WHERE name = 'train.learning_rate'",
            "its rows in the table params differ from the column runs.point",
        ),
        (
            "UPDATE params SET value = 999 WHERE name = 'train.steps'",
            "its rows in the table params differ from the column runs.point",
        ),
        (
            "PRAGMA ignore_check_constraints = ON; UPDATE steps SET loss_kind = 'finate' WHERE step = 7",
            "CHECK constraint failed in steps",
        ),
        (
            "UPDATE params SET value = 0.25 WHERE name = 'train.learning_rate'",
            "its rows in the table params differ from the column runs.point",
        ),
        ("DELETE FROM evaluations WHERE source = 'evaluate'", "0 of 1 losses are recorded"),
        ("DELETE FROM baselines", "0 of 4 losses are recorded"),
        ("DELETE FROM baselines WHERE model = 'bigram'", "9 of 12 losses are recorded"),
        ("DELETE FROM run_stages WHERE stage = 'evaluate'", "run1: no execution of stage evaluate is recorded"),
        ("UPDATE runs SET steps = 250", "has 250 steps, but its training ended after 200"),
        ("DELETE FROM samples WHERE position = 1", "1 of 2 samples are recorded"),
        ("UPDATE runs SET steps = 150", "has 150 steps, but its training ended after 200"),
        ("DELETE FROM study_runs", "0 of 1 points are recorded"),
        ("DELETE FROM trajectory_parts", "the last part of its lineage is missing"),
        ("UPDATE evaluations SET loss = loss * 1.001", "perplexity is not exp(loss)"),
        (
            "UPDATE executions SET fields = replace(fields, '200', '201') WHERE stage = 'train'",
            "fields do not match the key",
        ),
        ("DELETE FROM objects WHERE digest IN (SELECT weights FROM checkpoints)", "refer to a missing row of objects"),
    ] {
        let space = tiny();
        change(&space, damage);
        let ended = verify(&space).complains(1, "in the record").hints("restore a backup");
        assert!(ended.stdout.contains(words), "{damage}\n{ended}");
    }
    let space = tiny();
    for damage in [
        "DELETE FROM verdict_checks WHERE position = 0",
        "PRAGMA ignore_check_constraints = ON; UPDATE verdicts SET verdict = 'fine'",
        "PRAGMA ignore_check_constraints = ON; UPDATE verdict_evidence SET value_kind = 'big' WHERE position = 0",
    ] {
        change(&space, damage);
        let ended = verify(&space).complains(1, "1 fault in the record").hints("pipeline verify --repair");
        assert!(ended.stdout.starts_with("run1: part of its verdict "), "{damage}\n{ended}");
        space.pipeline(&["verify", "--repair"]).ok();
        space.pipeline(&["show", "run1"]).ok();
        verify(&space).ok();
    }
}

#[test]
fn a_damaged_page_never_passes() {
    let space = tiny();
    change(&space, "SELECT 1");
    let sound = std::fs::read(space.path("experiments.db")).unwrap();
    let pages = sound.len() / 4096;
    assert!(pages > 40);
    for page in (1..pages).step_by(pages / 20) {
        std::fs::write(space.path("experiments.db"), &sound).unwrap();
        let file = std::fs::File::options().write(true).open(space.path("experiments.db")).unwrap();
        file.write_all_at(&[0; 4096], page as u64 * 4096).unwrap();
        let ended = verify(&space);
        assert_eq!(ended.code, Some(1), "page {page} of {pages} is empty\n{ended}");
        assert!(ended.stderr.contains("hint: "), "{ended}");
        space.pipeline(&["backup", "copy.db"]).complains(1, "experiments.db");
        assert!(!space.path("copy.db").exists());
    }
}

#[test]
fn an_object_of_another_size_is_damaged_unread() {
    let space = tiny();
    let expected = space.bits();
    let digest = space.texts("SELECT weights FROM checkpoints ORDER BY step DESC").remove(0);
    let lengthen = || {
        let object = space.object(&digest);
        std::fs::set_permissions(&object, std::fs::Permissions::from_mode(0o644)).unwrap();
        // Holes: they take no space, and longer to read than any test waits.
        std::fs::File::options().write(true).open(&object).unwrap().set_len(1 << 40).unwrap();
    };
    lengthen();
    let ended = verify(&space).complains(1, "objects damaged");
    assert!(ended.stdout.contains(&format!("{digest}  damaged, set aside")), "{ended}");
    run_one(&space);
    lengthen();
    let ended = run_one(&space);
    assert!(ended.stderr.contains(&digest), "{ended}");
    space.assert_bits(&expected, "an object had another size");
    verify(&space).ok();
}

#[test]
fn a_size_that_the_record_has_wrong_moves_no_object() {
    let space = tiny();
    let before = space.objects();
    change(&space, "UPDATE objects SET bytes = bytes + 1");
    let ended = verify(&space).complains(1, "objects recorded with the wrong size").hints("restore a backup");
    assert!(ended.stdout.contains("intact, but recorded as "), "{ended}");
    assert_eq!(space.objects(), before);
    assert_eq!(run_one(&space).executed(), 0);
}

#[test]
fn objects_are_as_readable_as_their_folder() {
    let space = tiny();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let expected = mode(&space.path("data/store/sha256")) & 0o444;
    let digest = space.texts("SELECT weights FROM checkpoints ORDER BY step DESC").remove(0);
    for (_, path) in space.objects() {
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    // One's own that was closed is opened again.
    let object = space.object(&digest);
    std::fs::set_permissions(&object, std::fs::Permissions::from_mode(0o000)).unwrap();
    verify(&space).ok();
    assert_eq!(run_one(&space).executed(), 0);
}

#[test]
fn a_backup_takes_the_databases_place() {
    let space = tiny();
    space.pipeline(&["backup", "copy.db"]).ok();
    let before = space.pipeline(&["runs"]).ok().stdout;
    space.run("tiny", &["--set", "seed=2"]).ok();
    let log = space.path("experiments.db-wal");
    assert!(!log.exists() || log.metadata().unwrap().len() == 0, "a log that would be played into a copy");
    std::fs::copy(space.path("copy.db"), space.path("experiments.db")).unwrap();
    assert_eq!(space.pipeline(&["runs"]).ok().stdout, before);
    verify(&space).ok();
}

#[test]
fn what_is_not_there_is_said_in_one_line() {
    let space = TestSpace::new();
    for words in [&["verify"][..], &["objects", "verify"]] {
        space.pipeline(words).complains(2, "no such database");
    }
    run_one(&space);
    std::fs::rename(space.path("data/store"), space.path("elsewhere")).unwrap();
    let ended = verify(&space).complains(2, "no such store, but the record refers to ").hints("--store");
    assert!(ended.stdout.ends_with("200 steps, no damage found\n"), "{ended}");
    space.pipeline(&["verify", "--store", "elsewhere"]).ok();
}

#[test]
fn a_backup_is_made_while_a_training_writes() {
    let space = TestSpace::longer(20_000, 1000);
    run_one(&space);
    let mut training = space.start_run("longer", &["--set", "train.learning_rate=0.1"]);
    let steps = || space.number("SELECT count(*) FROM steps WHERE trajectory_id = 2");
    assert!(training.wait_until(|_| space.number("SELECT count(*) FROM trajectories") > 1 && steps() > 2000));
    std::fs::create_dir(space.path("backups")).unwrap();
    let ended = space.pipeline(&["backup", "backups/copy.db"]).ok();
    assert!(
        ended.stdout.is_empty() && ended.stderr.contains("2 runs, ") && ended.stderr.contains("checked"),
        "{ended}"
    );
    assert!(training.runs(), "the training goes on meanwhile");
    // A repair would block its writes.
    space.pipeline(&["verify", "--repair"]).complains(2, "a run is in progress").hints("omit --repair");
    let runs = space.pipeline(&["runs", "--db", "backups/copy.db"]).ok();
    let line = runs.stdout.lines().find(|line| line.starts_with("run2")).unwrap();
    assert!(line.contains("interrupted"), "{runs}");
    let copied = space.pipeline(&["verify", "--db", "backups/copy.db"]).ok();
    assert!(copied.stdout.contains("2 runs, "), "{copied}");
    training.signal(15);
    training.end();
    // A step's batch is read from the store.
    space.pipeline(&["show", "run1", "--step", "3", "--db", "backups/copy.db"]).ok();
    // The copy resumes like the record itself.
    space.pipeline(&["run", "experiments/tiny.toml", "--db", "backups/copy.db"]).ok();
    verify(&space).ok();
    let names: Vec<String> = std::fs::read_dir(space.path("backups"))
        .unwrap()
        .flatten()
        .map(|it| it.file_name().display().to_string())
        .collect();
    assert!(names.iter().all(|name| name.starts_with("copy.db")), "{names:?}");
}

#[test]
fn a_backup_takes_the_place_of_nothing_by_mistake() {
    let space = tiny();
    let backup = |words: &[&str]| space.pipeline(&[&["backup"], words].concat());
    backup(&["copy.db"]).ok();
    let before = std::fs::read(space.path("copy.db")).unwrap();
    backup(&["copy.db"]).complains(2, "already exists").hints("--force");
    assert!(std::fs::read(space.path("copy.db")).unwrap() == before);
    backup(&["copy.db", "--force"]).ok();
    // What others may not read they may not read in a copy either.
    for mode in [0o600, 0o640, 0o644] {
        std::fs::set_permissions(space.path("experiments.db"), std::fs::Permissions::from_mode(mode)).unwrap();
        backup(&["copy.db", "--force"]).ok();
        assert_eq!(std::fs::metadata(space.path("copy.db")).unwrap().permissions().mode() & 0o777, mode);
    }
    for own in ["experiments.db", "experiments.db-wal", "experiments.db-open", "data/../experiments.db"] {
        backup(&[own, "--force"]).complains(2, "this is the database");
    }
    std::os::unix::fs::symlink("experiments.db", space.path("link.db")).unwrap();
    backup(&["link.db", "--force"]).complains(2, "this is the database");
    backup(&["data"]).complains(2, "is a folder").hints("pipeline backup data/experiments.db");
    backup(&["/dev/full"]).complains(2, "not a regular file").hints("choose another file");
    backup(&["/dev/full", "--force"]).complains(2, "not a regular file");
    backup(&["none/copy.db"]).complains(2, "none/copy.db").hints("mkdir -p ");
    backup(&["experiments/tiny.toml", "--force"]).complains(2, "not a database").hints("choose another file");
    // A log that was left behind would be played into the copy.
    space.write("other.db-wal", "a log");
    backup(&["other.db"]).complains(2, "other.db-wal");
    assert!(!space.path("other.db").exists());
}

#[test]
fn a_backup_that_is_killed_or_finds_no_space_leaves_nothing_under_its_name() {
    let space = tiny();
    // Large enough to be met in the middle.
    change(
        &space,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
         INSERT INTO events (kind, message, created_at) SELECT 'filler', hex(randomblob(10000)), 'T' FROM n",
    );
    let unfinished = || {
        let names =
            std::fs::read_dir(space.path(".")).unwrap().flatten().map(|it| it.file_name().display().to_string());
        names.filter(|name| name.starts_with(".copy.db.unfinished-")).collect::<Vec<_>>()
    };
    // Ctrl-C takes away what there is of it; who is killed can't.
    for signal in [2, 15, 9] {
        let mut copying = space.start(&["backup", "copy.db"]);
        if copying.wait_until(|_| !unfinished().is_empty()) {
            copying.signal(signal);
        }
        let ended = copying.end();
        if signal == 9 {
            assert!(ended.signal == Some(9), "it was over before it was killed: {ended}");
        } else {
            ended.complains(130, "copy.db was not written");
            assert_eq!(unfinished(), Vec::<String>::new());
        }
        assert!(!space.path("copy.db").exists());
    }
    let Some(mut full) = mount::script(
        "mkdir full && mount -t tmpfs -o size=8m none full && \"$pipeline\" backup full/copy.db; code=$?; ls -A full; exit $code",
    ) else {
        eprintln!("skipped in part: this user may not mount");
        return;
    };
    full.current_dir(space.path(".")).env("pipeline", tests::programs().join("pipeline"));
    let ended =
        tests::Started::new(&mut full).end().complains(1, "full/copy.db: the disk is full").hints("free some space");
    assert_eq!(ended.stdout, "", "nothing is left there");
    // The next one sweeps what the killed one left.
    space.pipeline(&["backup", "copy.db"]).ok();
    assert_eq!(unfinished(), Vec::<String>::new());
    space.pipeline(&["verify", "--db", "copy.db"]).ok();
}

#[test]
fn a_view_that_is_gone_is_found() {
    let space = TestSpace::new();
    space.run("tiny", &["--until", "tokenize"]).ok();
    change(&space, "DROP VIEW run_summary");
    let ended = verify(&space).complains(1, "");
    assert!(ended.stdout.contains("view run_summary is missing"), "{ended}");
}
