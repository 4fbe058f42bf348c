//! A worker, a database or a disk that does not work.

use std::os::unix::fs::PermissionsExt as _;

use tests::{Ended, Started, TestSpace, mount};

/// Runs tiny with a worker that is a shell script.
fn with_worker(space: &TestSpace, script: &str) -> Ended {
    space.write("worker", script);
    std::fs::set_permissions(space.path("worker"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = space.command(&["run", "experiments/tiny.toml", "--jobs", "2", "--threads", "1"]);
    Started::new(command.env("PIPELINE_NEURAL", space.path("worker"))).end()
}

/// A worker that says who it is, as the true one, and then does something else.
fn impostor(then: &str) -> String {
    let neural = tests::programs().join("pipeline-neural");
    format!("#!/bin/sh\nif [ \"$1\" = describe ]; then exec '{}' describe; fi\n{then}\n", neural.display())
}

#[test]
fn a_worker_that_is_missing_or_does_not_answer_is_named() {
    let space = TestSpace::new();
    let mut command = space.command(&["run", "experiments/tiny.toml"]);
    let ended = Started::new(command.env("PIPELINE_NEURAL", "/nonexistent")).end();
    ended.complains(2, "/nonexistent").hints("PIPELINE_NEURAL");
    with_worker(&space, "#!/bin/sh\necho hello\n").complains(2, "worker");
    with_worker(&space, "#!/bin/sh\necho 'libtorch is missing' >&2; exit 127\n").complains(2, "libtorch is missing");
    assert_eq!(space.counts(), (0, 0, 0), "nothing was begun");
}

#[test]
fn a_worker_that_dies_fails_its_run_with_its_last_words() {
    let space = TestSpace::new();
    let ended = with_worker(&space, &impostor("echo 'no memory for the tensor' >&2; exit 3"));
    let ended = ended.complains(1, "exit code 3").hints("--log");
    assert!(ended.stderr.contains("no memory for the tensor"), "{ended}");
    // The hint leads to the worker's words, and the run's screen shows what failed.
    let run = space.number("SELECT min(id) FROM runs WHERE status = 'failed'").to_string();
    let log = space.pipeline(&["show", &run, "--log"]).ok();
    assert!(log.stdout.contains("no memory for the tensor"), "{log}");
    let shown = space.pipeline(&["show", &run]).ok();
    let train = shown.stdout.lines().find(|line| line.trim_start().starts_with("train ")).unwrap_or_default();
    assert!(train.contains("failed"), "{shown}");
    assert!(space.number("SELECT count(*) FROM runs WHERE status = 'failed' AND error LIKE '%exit code 3%'") >= 1);
    assert_eq!(space.number("SELECT count(*) FROM executions WHERE stage = 'batch' AND status = 'finished'"), 1);
    space.assert_nothing_runs();
    with_worker(&space, &impostor("echo nonsense; sleep 1")).complains(1, "worker");
    // The true worker then has everything to do that failed, and nothing else.
    let before = space.last_execution();
    space.run("tiny", &[]).ok();
    let mut again = space.stages_since(before);
    // What was not done yet when the others failed was stopped with them.
    again.retain(|stage| stage != "baselines");
    assert_eq!(again, ["evaluate", "sample", "train"]);
    assert_eq!(space.number("SELECT count(*) FROM runs WHERE status = 'finished'"), 2);
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let space = TestSpace::new();
    space.run("tiny", &["--until", "vocab"]).ok();
    space.rows("PRAGMA user_version = 999");
    let before = space.dump();
    space.run("tiny", &[]).complains(2, "written by a newer pipeline (schema 999").hints("--db");
    assert_eq!(space.dump(), before);
    assert_eq!(space.number("PRAGMA user_version"), 999);
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let space = TestSpace::new();
    space.run("tiny", &["--until", "vocab"]).ok();
    let sound = std::fs::read(space.path("experiments.db")).unwrap();
    let garbage: Vec<u8> = "no database, only words. ".repeat(1000).into_bytes();
    let mut scratched = sound.clone();
    scratched[100..4096].fill(0xa5);
    for (name, bytes) in
        [("garbage", garbage), ("truncated", sound[..sound.len() / 3].to_vec()), ("scratched", scratched)]
    {
        std::fs::write(space.path("experiments.db"), &bytes).unwrap();
        let ended = space.run("tiny", &[]);
        assert_eq!(ended.code, Some(2), "{name}: {ended}");
        ended.complains(2, "experiments.db is damaged or not a database").hints("--db");
        assert_eq!(std::fs::read(space.path("experiments.db")).unwrap(), bytes, "{name}: it was written to");
    }
    std::fs::write(space.path("experiments.db"), sound).unwrap();
    space.run("tiny", &[]).ok();
}

#[test]
fn a_damaged_page_is_one_line_wherever_it_is_met() {
    let space = TestSpace::new();
    space.run("tiny", &[]).ok();
    space.rows("PRAGMA wal_checkpoint(TRUNCATE)");
    let page = space.number("SELECT rootpage FROM sqlite_master WHERE name = 'steps'") as usize;
    let mut bytes = std::fs::read(space.path("experiments.db")).unwrap();
    bytes[(page - 1) * 4096..page * 4096].fill(0xa5);
    std::fs::write(space.path("experiments.db"), &bytes).unwrap();
    for words in [
        &["show", "run1"][..],
        &["compare", "run1", "run2"],
        &["plot", "run1", "-o", "-"],
        &["sql", "SELECT count(*) FROM run_steps"],
        &["run", "experiments/tiny.toml", "--set", "train.steps=300"],
    ] {
        let ended = space
            .pipeline(words)
            .complains(2, "experiments.db is damaged or not a database (")
            .hints("pipeline verify");
        let ended = ended.hints("pipeline backup");
        assert!(!ended.stderr.contains("error returned from database"), "{ended}");
    }
}

#[test]
fn a_version_that_was_set_back_is_named_with_the_true_one() {
    let space = TestSpace::new();
    space.run("tiny", &["--until", "vocab"]).ok();
    let version = space.number("PRAGMA user_version");
    for set in [0, 1, -1] {
        space.rows(&format!("PRAGMA user_version = {set}"));
        let before = space.dump();
        for words in [&["runs"][..], &["run", "experiments/tiny.toml", "--until", "vocab"]] {
            let ended = space.pipeline(words).complains(2, &format!("user_version is {set}"));
            ended.hints(&format!("experiments.db 'PRAGMA user_version = {version}'"));
        }
        assert_eq!(space.dump(), before);
    }
    space.rows(&format!("PRAGMA user_version = {version}"));
    space.run("tiny", &["--until", "vocab"]).ok();
}

/// Runs a script where filesystems can be mounted over `place`; it may use `$pipeline`. Nothing where that is forbidden.
pub fn mounted(space: &TestSpace, script: &str) -> Option<Ended> {
    let Some(mut command) = mount::script(&format!("set -e\n{script}")) else {
        // Where nobody watches, a test that was not made must not pass for one that was.
        let asked = std::env::var_os("PIPELINE_TEST_NO_MOUNT").is_some();
        assert!(
            asked || std::env::var_os("CI").is_none(),
            "this user may not mount: PIPELINE_TEST_NO_MOUNT=1 leaves this out"
        );
        eprintln!("skipped: this user may not mount");
        return None;
    };
    std::fs::create_dir_all(space.path("place")).unwrap();
    let plain = space.command(&[]);
    command.current_dir(space.path(".")).env("pipeline", plain.get_program());
    for variable in ["PIPELINE_DB", "PIPELINE_STORE", "PIPELINE_NEURAL"] {
        command.env_remove(variable);
    }
    Some(Started::new(&mut command).end())
}

const RUN: &str = "\"$pipeline\" run ../experiments/tiny.toml --jobs 2 --threads 1";

#[test]
fn a_read_only_folder_is_named_and_not_written_to() {
    let space = TestSpace::new();
    // Once without a record, and once with one that can be read.
    for fill in ["", &format!("(cd place && {RUN} --until vocab)\n")] {
        let script =
            format!("{fill}mount --bind place place\nmount -o remount,ro,bind place\ncd place\nexec {RUN} >&2");
        let Some(ended) = mounted(&space, &script) else { return };
        ended.complains(2, "place/").hints("--db");
    }
    let record = space.path("place/experiments.db");
    assert_eq!(tests::record::ask(&record, "SELECT id FROM runs").unwrap().len(), 2);
    // What can't be written down is said all the same.
    // As a program would that knows nothing of foreign keys.
    tests::record::hold(&record).execute_batch("COMMIT; PRAGMA foreign_keys = OFF; DELETE FROM verdicts").unwrap();
    let script = "mount --bind place place\nmount -o remount,ro,bind place\ncd place\nexec \"$pipeline\" runs";
    let listed = mounted(&space, script).unwrap().ok().stdout;
    assert_eq!(listed.matches("inconclusive").count(), 2, "{listed}");
    assert!(tests::record::ask(&record, "SELECT run_id FROM verdicts").unwrap().is_empty());
    let script = "cd place\nexec \"$pipeline\" runs";
    mounted(&space, script).unwrap().ok();
    assert_eq!(tests::record::ask(&record, "SELECT run_id FROM verdicts").unwrap().len(), 2);
}

#[test]
fn a_full_disk_is_named_and_keeps_what_was_recorded() {
    let space = TestSpace::new();
    // Room is left for less and less, so that the disk is full at one place after another.
    for (spare, until) in [(0, "vocab"), (64, "vocab"), (256, "batch"), (700, "batch")] {
        let _ = std::fs::remove_dir_all(space.path("out"));
        let script = format!(
            "mount -t tmpfs -o size=16m none place; cd place
             {RUN} --until {until} >&2; mkdir ../out; cp experiments.db* ../out; rm -f experiments.db-open
             dd if=/dev/zero of=filler bs=1k status=none 2>/dev/null || true
             truncate -s -{spare}k filler
             echo ==== >&2; set +e; {RUN} >&2; code=$?
             mkdir ../out/after; cp experiments.db* ../out/after; rm filler
             echo ==== >&2; {RUN} >&2; echo again $?
             \"$pipeline\" sql --format csv 'SELECT count(*) FROM runs'; exit $code"
        );
        let Some(ended) = mounted(&space, &script) else { return };
        let [_, full, _] = ended.stderr.split("====").collect::<Vec<_>>()[..] else { panic!("{ended}") };
        let again = ended.stdout.clone();
        let full = Ended { stderr: full.to_owned(), ..ended };
        assert!(matches!(full.code, Some(1 | 2)), "{spare}: {full}");
        let code = full.code.unwrap_or(0);
        let full = full.complains(code, "");
        let said = full.stderr.to_lowercase();
        assert!(["full", "no space left"].iter().any(|word| said.contains(word)), "{spare}: {full}");
        assert!(full.stderr.contains("hint: "), "{spare}: {full}");
        assert_eq!(again, "again 0\ncount(*)\n2\n", "with room again the same runs resume\n{full}");

        let before = tests::record::dump(&space.path("out/experiments.db")).unwrap();
        let after = tests::record::dump(&space.path("out/after/experiments.db")).unwrap();
        for table in ["executions", "results", "objects", "execution_outputs", "execution_inputs", "steps"] {
            assert!(before[table].iter().all(|row| after[table].contains(row)), "{spare}: {table} lost rows");
        }
    }
}

#[test]
fn a_disk_that_has_no_room_for_another_file_is_no_wrong_input() {
    let space = TestSpace::new();
    for (inodes, place) in
        [(1, "--store ../s"), (2, "--store ../s"), (3, "--store ../s"), (3, "--db ../n.db --store .")]
    {
        let script =
            format!("mount -t tmpfs -o size=9m,nr_inodes={inodes} none place; cd place\nexec {RUN} {place} >&2");
        let Some(ended) = mounted(&space, &script) else { return };
        let ended = ended.complains(1, "").hints("free some space");
        assert!(["full", "No space left"].iter().any(|words| ended.stderr.contains(words)), "{ended}");
    }
}

#[test]
fn standard_output_on_a_full_disk_is_an_error() {
    let space = TestSpace::new();
    space.run("tiny", &[]).ok();
    for words in [&["runs"][..], &["show", "run1"], &["sql", "--format", "csv", "SELECT * FROM run_steps"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = space.command(words).stdout(full).stderr(std::process::Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("error: standard output: No space left"), "{said}");
    }
}

#[test]
fn a_worker_of_another_build_is_refused() {
    let space = TestSpace::new();
    let neural = tests::programs().join("pipeline-neural");
    let other = format!("#!/bin/sh\n'{}' describe | sed 's/\"train\":[0-9]*/\"train\":999/'\n", neural.display());
    with_worker(&space, &other).complains(2, "version 999 of the stage train").hints("cargo build");
    assert_eq!(space.counts(), (0, 0, 0), "nothing was begun");
}

#[test]
fn a_second_store_for_one_database_is_refused() {
    let space = TestSpace::new();
    space.run("tiny", &["--until", "vocab"]).ok();
    let before = space.dump();
    let ended = space.run("tiny", &["--store", "elsewhere"]).complains(2, "keeps its objects in").hints("--store");
    assert_eq!(space.dump(), before, "{ended}");
    assert!(!space.path("elsewhere").exists());
    // Moved by hand, it is found under its new name from then on.
    std::fs::rename(space.path("data/store"), space.path("elsewhere")).unwrap();
    let ended = space.run("tiny", &["--store", "elsewhere", "--until", "vocab"]).ok();
    assert_eq!(ended.executed(), 0, "{ended}");
    assert_eq!(space.run("tiny", &["--until", "vocab"]).ok().executed(), 0);
}

#[test]
fn a_database_that_another_program_holds_is_named() {
    let space = TestSpace::new();
    space.run("tiny", &["--until", "vocab"]).ok();
    let held = tests::record::hold(&space.path("experiments.db"));
    let ended = space.run("tiny", &["--until", "batch"]).complains(1, "another program has held the database");
    drop(held);
    assert!(ended.stderr.contains("hint: "), "{ended}");
    space.run("tiny", &["--until", "batch"]).ok();
}
