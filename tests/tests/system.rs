//! What the system refuses, and what it puts in the way: files that are none, limits, clocks, masks, signals.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use tests::{Cell, Started, TestSpace, process};

fn recorded() -> TestSpace {
    let space = TestSpace::new();
    space.run("tiny", &["--until", "vocab"]).ok();
    space
}

/// Puts a FIFO in a file's place.
fn fifo(space: &TestSpace, name: &str) {
    let _ = std::fs::remove_file(space.path(name));
    assert!(Command::new("mkfifo").arg(space.path(name)).status().unwrap().success());
}

/// `sh -c` with a script that may use `$pipeline`, in the space.
fn shell(space: &TestSpace, script: &str) -> Started {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(space.path("."));
    command.env("pipeline", space.command(&[]).get_program());
    for variable in ["PIPELINE_DB", "PIPELINE_STORE", "PIPELINE_NEURAL", "PIPELINE_LOG"] {
        command.env_remove(variable);
    }
    Started::new(&mut command)
}

const RUN: &str = "exec \"$pipeline\" run experiments/tiny.toml --jobs 2 --threads 1";

#[test]
fn a_cache_that_is_no_file_is_made_again() {
    let space = recorded();
    for name in ["stat-cache", "worker-cache"] {
        let (name, path) = (format!("data/store/{name}"), space.path("data/store").join(name));
        let there = path.is_file();
        fifo(&space, &name);
        space.run("tiny", &["--until", "batch", "--set", "vocab.size=300"]).ok();
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        space.run("tiny", &["--until", "vocab", "--set", "vocab.size=400"]).ok();
        // Only what is old enough is kept in the one; the other is known at once.
        assert!(path.is_file() || !there || name.ends_with("stat-cache"), "{name}");
        let _ = std::fs::remove_dir(&path);
    }
    // Something that only names the store's databases, and one that only marks a process.
    fifo(&space, "data/store/locks/process-0");
    fifo(&space, &format!("data/store/databases/{}", "0".repeat(64)));
    space.run("tiny", &["--until", "vocab"]).ok();
    space.pipeline(&["objects", "gc", "--dry-run"]).ok();
}

#[test]
fn a_lock_or_a_companion_of_the_database_that_is_no_file_is_named() {
    let space = recorded();
    for name in ["data/store/locks/content", "experiments.db-open", "experiments.db-wal", "experiments.db-shm"] {
        fifo(&space, name);
        let ended = space.run("tiny", &["--until", "batch"]);
        ended.complains(2, &format!("{name}: not a regular file, but a FIFO")).hints("move it away");
        std::fs::remove_file(space.path(name)).unwrap();
        for target in [name.rsplit('/').next().unwrap(), "missing"] {
            std::os::unix::fs::symlink(target, space.path(name)).unwrap();
            let ended = space.run("tiny", &["--until", "batch"]);
            ended
                .complains(2, &format!("{name}: not a regular file, but a dangling symbolic link"))
                .hints("move it away");
            std::fs::remove_file(space.path(name)).unwrap();
        }
    }
    for name in ["logs", "tmp"] {
        let path = space.path("data/store").join(name);
        std::fs::remove_dir_all(&path).unwrap();
        fifo(&space, &format!("data/store/{name}"));
        space.run("tiny", &["--until", "batch"]).complains(2, &format!("data/store/{name}: not a folder"));
        std::fs::remove_file(&path).unwrap();
    }
    space.run("tiny", &["--until", "batch"]).ok();
}

#[test]
fn a_link_in_place_of_an_object_is_set_aside_and_the_object_made_again() {
    let space = recorded();
    let object = space.object(&space.texts("SELECT digest FROM execution_outputs WHERE name = 'train'")[0]);
    let sound = std::fs::read(&object).unwrap();
    for target in [object.file_name().unwrap(), "missing".as_ref()] {
        std::fs::remove_file(&object).unwrap();
        std::os::unix::fs::symlink(target, &object).unwrap();
        let ended = space.run("tiny", &["--until", "vocab"]).ok();
        assert!(ended.stderr.contains("damaged"), "{ended}");
        assert!(object.symlink_metadata().unwrap().is_file() && std::fs::read(&object).unwrap() == sound);
    }
    // The same for the folder of such objects.
    let folder = object.parent().unwrap();
    std::fs::rename(folder, space.path("away")).unwrap();
    std::os::unix::fs::symlink(folder.file_name().unwrap(), folder).unwrap();
    space.run("tiny", &["--until", "vocab"]).ok();
    assert!(std::fs::read(&object).unwrap() == sound);
    space.assert_objects_are_sound();
}

#[test]
fn a_clock_before_1970_is_no_reason_to_panic() {
    let known = Command::new("faketime").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !known.is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no faketime");
        return;
    }
    let space = TestSpace::new();
    for clock in ["-60y", "-300y", "+100y"] {
        let script =
            format!("faketime -f {clock} \"$pipeline\" run experiments/tiny.toml --threads 1 --set train.steps=20");
        shell(&space, &script).end().ok();
    }
    assert_eq!(space.number("SELECT count(*) FROM runs WHERE status = 'finished'"), 2);
}

#[test]
fn a_limit_that_is_reached_is_named() {
    let space = TestSpace::new();
    let ended = shell(&space, &format!("ulimit -n 6; {RUN}")).end();
    ended.complains(1, "the limit on open files is too low (ulimit -n)").hints("ulimit -n 4096");
    for blocks in [20, 100, 200, 400, 1000] {
        // Blocks of 512 bytes; wherever it is reached first.
        let ended = shell(&space, &format!("ulimit -f {blocks}; {RUN}")).end();
        let ended = ended.complains(1, "").hints("ulimit -f unlimited");
        let said = ["ulimit -f)", "File too large"].iter().any(|words| ended.stderr.contains(words));
        assert!(said, "{blocks}: {ended}");
    }
    space.run("tiny", &[]).ok();
}

#[test]
fn help_that_can_not_be_printed_is_an_error() {
    let space = TestSpace::new();
    for words in [
        &["--help"][..],
        &["--version"],
        &["run", "--help"],
        &["help", "sql"],
        &["completions", "bash"],
        &["man", "run"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = space.command(words).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(said.starts_with("error: standard output: No space left"), "{words:?}: {said}");
        // Whoever reads no further has read enough.
        let script = format!("\"$pipeline\" {} | true", words.join(" "));
        assert_eq!(shell(&space, &script).end().ok().stderr, "", "{words:?}");
    }
    let ended = space.pipeline(&["--version"]).ok();
    assert!(ended.stdout.starts_with("pipeline ") && ended.stderr.is_empty(), "{ended}");
    assert_eq!(space.pipeline(&["nonsense"]).code, Some(2));
}

#[test]
fn each_command_has_a_manual_page() {
    let space = TestSpace::new();
    space.pipeline(&["man", "--to", "share/man1"]).ok();
    let help = space.pipeline(&["--help"]).ok().stdout;
    let listed = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands: Vec<&str> =
        listed.lines().filter_map(|line| line.split_whitespace().next()).filter(|word| *word != "help").collect();
    assert!(commands.len() > 15, "{help}");
    for command in &commands {
        let page = space.read(&format!("share/man1/pipeline-{command}.1"));
        assert!(page.contains(".TH") && page.contains(".SH SYNOPSIS"), "{command}: {page}");
        assert_eq!(space.pipeline(&["man", command]).ok().stdout, page, "{command}");
    }
    let page = space.read("share/man1/pipeline.1");
    assert!(commands.iter().all(|command| page.contains(&command.replace('-', "\\-"))), "{page}");
    assert_eq!(space.pipeline(&["man"]).ok().stdout, page);
    space.pipeline(&["man", "walk"]).complains(2, "unknown command 'walk'; allowed: run, fork").hints("pipeline man");
    space.write("file", "");
    space.pipeline(&["man", "--to", "file/man1"]).complains(2, "file/man1: can't be written").hints("--to");
}

#[test]
fn the_database_has_the_mode_that_the_umask_leaves() {
    for (umask, mode) in [("002", 0o664), ("022", 0o644), ("077", 0o600)] {
        let space = TestSpace::new();
        let mut run = shell(&space, &format!("umask {umask}; {RUN}"));
        let mut seen = Vec::new();
        run.wait_until(|_| {
            seen = ["-wal", "-shm"].iter().filter_map(|it| mode_of(&space, it)).collect();
            seen.len() == 2
        });
        run.end().ok();
        assert_eq!(seen, [mode, mode], "{umask}");
        for ending in ["", "-open"] {
            assert_eq!(mode_of(&space, ending), Some(mode), "{umask} {ending}");
        }
    }
}

fn mode_of(space: &TestSpace, ending: &str) -> Option<u32> {
    Some(space.path(&format!("experiments.db{ending}")).metadata().ok()?.permissions().mode() & 0o777)
}

#[test]
fn the_permission_that_is_missing_is_named() {
    let space = recorded();
    let file = space.path("experiments.db");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).unwrap();
    if std::fs::File::options().append(true).open(&file).is_ok() {
        eprintln!("skipped: this user may write whatever the mode says");
        return;
    }
    let ended = space.run("tiny", &["--until", "batch"]);
    ended.complains(2, "experiments.db: this user has no write permission").hints("chmod u+w");
    space.pipeline(&["runs"]).ok();
}

#[test]
fn a_schedulers_warning_ends_a_run_in_good_order() {
    let (steps, database) = (100_000, "experiments.db");
    let space = TestSpace::longer(steps, 50_000);
    let mut before = 0;
    for (round, signal) in [libc::SIGUSR1, libc::SIGUSR2, libc::SIGXCPU, libc::SIGTERM].into_iter().enumerate() {
        let mut run = space.start_run("longer", &[]);
        let reached = "SELECT coalesce(max(step) + 1, 0) FROM steps WHERE trajectory_id = 1";
        let met = run.wait_until(|_| {
            std::thread::sleep(Duration::from_millis(20));
            let rows = tests::record::ask(&space.path(database), reached).unwrap_or_default();
            matches!(rows.first().map(|row| &row[0]), Some(Cell::Integer(steps)) if *steps > before + 100)
        });
        assert!(met, "it was over before the signal");
        // To every process of the job, and warnings twice: a kernel repeats them each second.
        let twice = if signal == libc::SIGTERM { 1 } else { 2 };
        for _ in 0..twice {
            run.workers().into_iter().chain([run.pid()]).for_each(|pid| process::send(pid, signal));
        }
        run.end().complains(130, "interrupted").hints("to resume: ");
        space.assert_nothing_runs();
        // The state of its last step is kept: nothing is computed twice.
        let state = "SELECT max(step) FROM checkpoints WHERE trajectory_id = 1 AND state IS NOT NULL";
        before = space.number(reached);
        assert_eq!(space.number(state), before, "signal {signal}, round {round}");
    }
}
