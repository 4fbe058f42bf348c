//! A worker that lies, falls silent, dies, or lacks what it needs: every wait for it ends, and with one clear line.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use tests::{Ended, Started, TestSpace, process};

const ONE_POINT: &str = "train.learning_rate=0.01";

/// `pipeline run experiments/tiny.toml`, one point of it, with a worker that is a script; `$REAL` is the true one.
fn start(space: &TestSpace, script: &str, more: &[&str]) -> Started {
    space.write("worker", script);
    std::fs::set_permissions(space.path("worker"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut words = vec!["run", "experiments/tiny.toml", "--set", ONE_POINT];
    words.extend(more);
    let mut command = space.command(&words);
    command.env("PIPELINE_NEURAL", space.path("worker"));
    Started::new(command.env("REAL", tests::programs().join("pipeline-neural")))
}

fn with_worker(space: &TestSpace, script: &str) -> Ended {
    start(space, script, &["--threads", "2"]).end()
}

/// A shell script for `serve`; it describes itself as the true worker does.
fn serves(script: &str) -> String {
    format!("#!/bin/sh\nif [ \"$1\" = describe ]; then exec \"$REAL\" describe; fi\n{script}\n")
}

/// A shell script for `describe`; it serves as the true worker does.
fn describes(script: &str) -> String {
    format!("#!/bin/sh\nif [ \"$1\" = serve ]; then exec \"$REAL\" serve; fi\n{script}\n")
}

/// A worker that passes on what the true one says, after `change`, Python that may alter the reply `r`, the `n`th, or
/// call `say`.
fn liar(change: &str) -> String {
    let indented: String = change.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "#!/usr/bin/env python3
import json, os, struct, subprocess, sys, time
real = os.environ['REAL']
if sys.argv[1] == 'describe': os.execv(real, [real, 'describe'])
def say(reply):
    data = json.dumps(reply).encode()
    sys.stdout.buffer.write(struct.pack('<I', len(data)) + data)
    sys.stdout.buffer.flush()
worker = subprocess.Popen([real, 'serve'], stdout=subprocess.PIPE)
n = 0
while head := worker.stdout.read(4):
    r = json.loads(worker.stdout.read(*struct.unpack('<I', head)))
    n += 1
{indented}    say(r)
"
    )
}

#[test]
fn the_end_of_a_worker_is_noticed_though_its_child_holds_the_pipe() {
    let space = TestSpace::new();
    let leaves = liar("if n == 9:\n    if os.fork() == 0: time.sleep(30); os._exit(0)\n    worker.kill(); os._exit(0)");
    let ended = with_worker(&space, &leaves).complains(1, "the worker ended with exit code 0").hints("--log");
    assert!(ended.seconds < 25.0, "its child was waited for\n{ended}");
}

#[test]
fn answers_to_another_order_are_no_answers() {
    for (reply, words) in [("done", "the end of job"), ("failed", "the failure of job")] {
        let space = TestSpace::new();
        let other = match reply {
            "done" => "if r['reply'] == 'done': r['order'] += 7",
            _ => "if n == 3: r = {'reply': 'failed', 'order': 7, 'message': 'no'}",
        };
        with_worker(&space, &liar(other)).complains(1, "broke the protocol").complains(1, words).hints("--log");
        space.assert_nothing_runs();
    }
}

#[test]
fn numbers_that_can_not_be_are_refused() {
    let lies = [
        ("r['loss'] = -1.0", "step 3 reports loss -1.0, which can't be negative"),
        ("r['tokens'] = 2**64 - 1", "step 3 reports 18446744073709551615 tokens, but the batch plan says 160"),
        ("r['seconds'] = -1.0", "step 3 reports the impossible duration -1.0 s"),
        ("r['learning_rate'] = 0.02", "step 3 reports learning rate 0.02, but the schedule says 0.01"),
    ];
    for (lie, words) in lies {
        let space = TestSpace::new();
        let script = liar(&format!("if r['reply'] == 'step' and r['step'] == 3: {lie}"));
        with_worker(&space, &script).complains(1, words).hints("--log");
        assert_eq!(space.number("SELECT max(step) FROM steps"), 2, "{lie}");
    }
}

#[test]
fn a_terminal_obeys_nothing_that_a_worker_says() {
    let space = TestSpace::new();
    let escape = "\\x1b[2J\\x1b]0;owned\\x07";
    let script = liar(&format!(
        "if n == 3: say({{'reply': 'event', 'kind': 'odd', 'message': 'see {escape}'}})
if n == 9: print('last {escape}', file=sys.stderr); r = {{'reply': 'failed', 'order': 1, 'message': 'no {escape}'}}"
    ));
    let ended = with_worker(&space, &script).complains(1, "no \\u{1b}[2J\\u{1b}]0;owned\\u{7}");
    assert!(ended.stderr.contains("see \\u{1b}[2J"), "{ended}");
    assert!(!ended.stderr.contains('\u{1b}') && !ended.stderr.contains('\u{7}'), "{ended}");
    for text in
        ["SELECT message FROM run_events", "SELECT error FROM runs", "SELECT error FROM executions WHERE error > ''"]
    {
        let texts = space.texts(text);
        assert!(!texts.is_empty() && texts.iter().all(|text| !text.contains('\u{1b}')), "{texts:?}");
    }
    // The log keeps what was written: a program that reads it gets that.
    let log = space.pipeline(&["show", "latest", "--log"]).ok();
    assert!(log.stdout.contains("last \u{1b}[2J"), "{log}");
}

#[test]
fn a_worker_that_is_silent_ends_with_the_second_signal() {
    let space = TestSpace::new();
    // Half a message, and no more; `done` says that its order is there.
    let half = liar(
        "if n == 9:\n    open('silent', 'w').close()\n    sys.stdout.buffer.write(b'\\x40\\0\\0\\0{'); sys.stdout.buffer.flush(); time.sleep(100)",
    );
    let mut run = start(&space, &half, &[]);
    assert!(run.wait_until(|_| space.path("silent").exists()));
    run.signal(libc::SIGINT);
    std::thread::sleep(Duration::from_millis(500));
    assert!(run.runs(), "the first signal is a request");
    run.signal(libc::SIGINT);
    let ended = run.end();
    assert_eq!(ended.code, Some(130), "{ended}");
    assert!(ended.stderr.contains("again to stop at once"), "{ended}");
    space.run("tiny", &["--set", ONE_POINT]).ok();
}

#[test]
fn a_suspended_worker_goes_with_the_second_signal() {
    let space = TestSpace::longer(100_000, 50_000);
    let mut run = space.start_run("longer", &["--set", ONE_POINT]);
    assert!(run.wait_until(|_| space.path("experiments.db").exists() && count_steps(&space) > 0));
    let worker = run.workers()[0];
    process::send(worker, libc::SIGSTOP);
    run.signal(libc::SIGTERM);
    std::thread::sleep(Duration::from_millis(500));
    assert!(run.runs(), "the first signal is a request");
    run.signal(libc::SIGTERM);
    assert_eq!(run.end().code, Some(130));
    let begun = Instant::now();
    while std::path::Path::new(&format!("/proc/{worker}/stat")).exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the worker outlives the program");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_worker_that_does_nothing_is_not_waited_for() {
    let space = TestSpace::longer(100_000, 50_000);
    let mut run = space.start_run("longer", &["--set", ONE_POINT]);
    assert!(run.wait_until(|_| space.path("experiments.db").exists() && count_steps(&space) > 0));
    let worker = run.workers()[0];
    process::send(worker, libc::SIGSTOP);
    run.signal(libc::SIGTERM);
    let ended = run.end().complains(130, "interrupted").hints("to resume: ");
    assert!(ended.stderr.contains("it is suspended (to resume it: kill -CONT"), "{ended}");
    assert!(ended.stderr.contains(&format!("(process {worker}) has been idle for 20 s; killing it")), "{ended}");
    assert!(ended.seconds < 60.0, "{ended}");
    let kept = space.number("SELECT steps FROM runs WHERE status = 'interrupted'");
    assert_eq!(kept, space.number("SELECT count(*) FROM steps"));
    space.assert_nothing_runs();
}

fn count_steps(space: &TestSpace) -> usize {
    tests::record::ask(&space.path("experiments.db"), "SELECT step FROM steps LIMIT 1").map_or(0, |rows| rows.len())
}

#[test]
fn a_worker_that_does_not_greet_goes_with_the_first_signal() {
    let space = TestSpace::new();
    let mut run = start(&space, &serves("touch silent; exec sleep 100"), &[]);
    assert!(run.wait_until(|_| space.path("silent").exists()));
    run.signal(libc::SIGINT);
    let ended = run.end().complains(130, "interrupted").hints("to resume: ");
    assert!(ended.seconds < 60.0, "{ended}");
}

#[test]
fn a_worker_killed_as_it_describes_itself_is_interrupted() {
    let space = TestSpace::new();
    for signal in [1, 2, 9, 15] {
        let ended = with_worker(&space, &describes(&format!("kill -{signal} $$; sleep 9")));
        ended.complains(1, "while describing itself").hints("pipeline run experiments/tiny.toml");
    }
    let ended = with_worker(&space, &describes("kill -11 $$")).complains(2, "segmentation fault");
    assert!(!ended.stderr.contains("cargo build"), "{ended}");
    space.run("tiny", &["--set", ONE_POINT]).ok();
}

#[test]
fn what_a_worker_lacks_is_named_with_its_limit() {
    let limits = [
        ("ulimit -v 200000", "failed to map segment", "ulimit -v"),
        ("ulimit -n 3", "open shared object file", "ulimit -n"),
        ("echo 'Resource temporarily unavailable (os error 11)' >&2; exit 1", "os error 11", "ulimit -u"),
    ];
    for (limit, words, hint) in limits {
        let space = TestSpace::new();
        let ended = with_worker(&space, &describes(&format!("{limit}; exec \"$REAL\" describe")));
        ended.complains(1, words).complains(1, "can't be started").hints(hint);
        assert_eq!(space.counts(), (0, 0, 0), "nothing was begun");
        // The same, later.
        let ended = with_worker(&space, &serves(&format!("{limit}; exec \"$REAL\" serve")));
        ended.complains(1, words).hints(hint);
    }
}

#[test]
fn a_worker_with_little_address_space_does_not_hang() {
    for kilobytes in [460_000, 490_000, 500_000, 505_000, 515_000, 540_000] {
        let space = TestSpace::new();
        let ended = with_worker(&space, &serves(&format!("ulimit -v {kilobytes}; exec \"$REAL\" serve")));
        if ended.code != Some(0) {
            ended.complains(1, "").hints("ulimit -v");
        }
    }
}

#[test]
fn the_threads_that_can_be_started_change_no_bit() {
    // A stack that no system has room for: no thread is started that a training asks for.
    let alone = "RUST_MIN_STACK=1152921504606846976 exec \"$REAL\" serve";
    let (plain, limited) = (TestSpace::new(), TestSpace::new());
    let words = ["--threads", "4", "--jobs", "1"];
    start(&plain, &serves("exec \"$REAL\" serve"), &words).end().ok();
    start(&limited, &serves(alone), &words).end().ok();
    limited.assert_bits(&plain.bits(), "without helpers");
}

#[test]
fn a_limit_of_processes_is_named_or_harmless() {
    let group = std::path::PathBuf::from(format!("/sys/fs/cgroup/pids/pipeline-test-{}", std::process::id()));
    if std::fs::create_dir(&group).is_err() {
        eprintln!("skipped: this user may not make a control group for processes (cgroup v1)");
        return;
    }
    let mut finished = 0;
    for limit in [2, 3, 4, 5, 6, 7, 8, 12] {
        let space = TestSpace::new();
        std::fs::write(group.join("pids.max"), limit.to_string()).unwrap();
        let program = space.command(&[]).get_program().to_owned();
        let run = "echo $$ > \"$group/cgroup.procs\"; exec \"$program\" run experiments/tiny.toml --threads 4 \"$@\"";
        let mut command = std::process::Command::new("sh");
        command.args(["-c", run, "sh", "--set", ONE_POINT]).current_dir(space.path("."));
        let ended = Started::new(command.env("group", &group).env("program", program)).end();
        if ended.code == Some(0) {
            finished += 1;
        } else {
            let ended = ended.complains(1, "");
            assert!(ended.stderr.contains("hint: ") && !ended.stderr.contains("cargo build"), "{limit}: {ended}");
        }
    }
    assert!(finished > 0, "no limit is harmless");
    // Empty once its last process is gone, which takes a moment.
    for _ in 0..100 {
        if std::fs::remove_dir(&group).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_description_without_end_is_not_read_to_its_end() {
    let space = TestSpace::new();
    let ended = with_worker(&space, &describes("exec yes")).complains(2, "longer than 1048576 bytes").hints("describe");
    assert!(ended.stderr.len() < 1000, "{ended}");
    let long = "head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 3";
    let ended = with_worker(&space, &describes(long)).complains(2, "exit code 3");
    assert!(ended.stderr.len() < 2000, "{ended}");
    let escapes = "\"$REAL\" describe | sed 's/\"libtorch\":\"/&\\\\u001b[2J/'";
    with_worker(&space, &describes(escapes)).complains(2, "\\u{1b}[2J");
}
