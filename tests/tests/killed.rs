//! Ended from outside at any moment, the program resumes where it stopped and comes to the same bits.

use std::collections::BTreeMap;
use std::time::Duration;

use tests::record::Row;
use tests::{Draws, Ended, TestSpace, process};

/// Kills that meet the program alive, and kills that meet a worker at work. Those that come too late are not counted.
const MOMENTS: usize = 20;

/// Spaces in which that many kills must have met something: two are tried in each.
const SPACES: usize = 3 * MOMENTS;

fn space() -> TestSpace {
    TestSpace::longer(600, 50)
}

/// The bits of a run that nobody disturbed, and how long it took.
fn undisturbed() -> (BTreeMap<&'static str, Vec<Row>>, f64) {
    let space = space();
    let ended = space.run("longer", &[]).ok();
    let bits = space.bits();
    // Else equal would mean equally empty.
    assert_eq!(bits["steps"].len(), 600 + 21);
    assert!(bits.values().all(|rows| rows.len() > 1), "a part of the answer is empty");
    (bits, ended.seconds)
}

/// The next run completes, under the same numbers and with the same bits.
#[track_caller]
fn assert_completes(space: &TestSpace, expected: &BTreeMap<&'static str, Vec<Row>>, when: &str) {
    space.run("longer", &[]).ok();
    space.assert_bits(expected, when);
    space.assert_nothing_runs();
    space.assert_objects_are_sound();
    let doubled = "SELECT count(*) FROM (SELECT 1 FROM executions WHERE status = 'finished' AND stage <> 'train'
                   GROUP BY stage_key HAVING count(*) > 1)";
    assert_eq!(space.number(doubled), 0, "{when}: a finished stage was computed again");
    let before = space.dump();
    assert_eq!(space.run("longer", &[]).ok().executed(), 0);
    assert_eq!(space.dump(), before);
}

fn nap(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

#[test]
fn the_program_killed_at_random_moments() {
    let (expected, mut span) = undisturbed();
    let mut draws = Draws::new(1);
    let mut killed = 0;
    for _ in 0..SPACES {
        let space = space();
        let delays = [draws.share() * span, draws.share() * span];
        for (i, delay) in delays.into_iter().enumerate() {
            let run = space.start_run("longer", &[]);
            nap(delay);
            run.signal(libc::SIGKILL);
            if run.end().signal == Some(libc::SIGKILL) {
                killed += 1;
            } else if i == 0 {
                // The undisturbed run was measured on a busier machine; a run that goes on is shorter in any case.
                span *= 0.8;
            }
        }
        assert_completes(&space, &expected, &format!("killed after {delays:?} s"));
        if killed >= MOMENTS {
            return;
        }
    }
    panic!("only {killed} kills met the program alive");
}

/// Waits for a worker, and a while, and kills a worker. `None` when none was there any more.
fn with_worker_killed(space: &TestSpace, delay: f64, choice: u64) -> Option<Ended> {
    let mut run = space.start_run("longer", &[]);
    if !run.wait_until(|run| !run.workers().is_empty()) {
        run.end().ok();
        return None;
    }
    nap(delay);
    let workers = run.workers();
    if workers.is_empty() {
        run.end().ok();
        return None;
    }
    process::send(workers[choice as usize % workers.len()], libc::SIGKILL);
    Some(run.end())
}

#[test]
fn a_worker_killed_at_random_moments() {
    let (expected, mut span) = undisturbed();
    let mut draws = Draws::new(2);
    let mut noticed = 0;
    for _ in 0..SPACES {
        let space = space();
        let delays = [draws.share() * span, draws.share() * span];
        for (i, delay) in delays.into_iter().enumerate() {
            // None when all was over; exit code 0 when the worker was idle, and nothing was asked of it any more.
            let met = with_worker_killed(&space, delay, draws.next_u64()).filter(|ended| ended.code != Some(0));
            let Some(ended) = met else {
                span *= if i == 0 { 0.8 } else { 1.0 };
                continue;
            };
            let ended = ended.complains(1, "the worker was killed (signal 9").hints("to resume: ");
            noticed += 1;
            assert!(ended.stdout.contains("interrupted"), "{ended}");
            space.assert_nothing_runs();
            assert_eq!(space.number("SELECT count(*) FROM runs WHERE status = 'failed'"), 0, "{ended}");
            assert!(space.number("SELECT count(*) FROM runs WHERE status = 'interrupted'") >= 1, "{ended}");
        }
        assert_completes(&space, &expected, &format!("worker killed after {delays:?} s"));
        if noticed >= MOMENTS {
            return;
        }
    }
    panic!("only {noticed} kills met a worker at work");
}

#[test]
fn ctrl_c_ends_in_good_order_and_the_next_run_goes_on() {
    let steps = 4000;
    let space = TestSpace::longer(steps, 500);
    let whole = TestSpace::longer(steps, 500);
    whole.run("longer", &[]).ok();
    let database = space.path("experiments.db");
    for (group, from) in [(false, 200), (true, 1500)] {
        let mut run = space.start_run("longer", &[]);
        let reached = "SELECT count(*) FROM steps WHERE trajectory_id = 1";
        let met = run.wait_until(|_| {
            nap(0.02);
            let rows = tests::record::ask(&database, reached).unwrap_or_default();
            matches!(rows.first().map(|row| &row[0]), Some(tests::Cell::Integer(steps)) if *steps >= from)
        });
        assert!(met, "it was over before the signal");
        let workers = run.workers();
        if group {
            run.signal_group(libc::SIGINT);
        } else {
            run.signal(libc::SIGINT);
        }
        let hint = "to resume: pipeline run experiments/longer.toml";
        let ended = run.end().complains(130, "interrupted").hints(hint);
        assert!(ended.seconds < 60.0);
        assert!(ended.stdout.contains("run1  learning_rate=0.01  interrupted"), "{ended}");
        assert_eq!(space.texts("SELECT status FROM runs WHERE id = 1"), ["interrupted"]);
        space.assert_nothing_runs();
        space.assert_objects_are_sound();
        for worker in workers {
            let state = std::fs::read_to_string(format!("/proc/{worker}/cmdline")).unwrap_or_default();
            assert!(!state.contains("pipeline-neural"), "a worker outlives the program");
        }
    }
    assert_completes(&space, &whole.bits(), "after Ctrl-C");
    // It went on instead of beginning anew.
    assert!(space.number("SELECT max(from_step) FROM executions WHERE stage = 'train' AND trajectory_id = 1") >= 1000);
}

#[test]
fn a_signal_to_a_program_and_to_its_group_is_one_request() {
    let space = space();
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let mut run = space.start_run("longer", &[]);
        assert!(run.wait_until(|run| !run.workers().is_empty()), "it ended before its training");
        // As `timeout` does.
        run.signal(signal);
        nap(0.01);
        run.signal_group(signal);
        let hint = "to resume: pipeline run experiments/longer.toml";
        run.end().complains(130, "interrupted").hints(hint);
        space.assert_nothing_runs();
    }
}

#[test]
fn a_closed_terminal_ends_nothing_under_nohup() {
    let space = space();
    let program = space.command(&["run", "experiments/longer.toml", "--jobs", "1", "--threads", "1"]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(program.get_program()).args(program.get_args());
    shell.current_dir(space.path("."));
    shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut run = tests::Started::new(&mut shell);
    assert!(run.wait_until(|run| !run.workers().is_empty()), "it ended before its training");
    run.signal_group(libc::SIGHUP);
    run.workers().into_iter().for_each(|worker| process::send(worker, libc::SIGHUP));
    let ended = run.end().ok();
    assert!(ended.stdout.contains("finished"), "{ended}");

    // Without nohup it is a request to stop.
    let mut run = space.start_run("longer", &["--set", "seed=9"]);
    assert!(run.wait_until(|run| !run.workers().is_empty()), "it ended before its training");
    run.signal_group(libc::SIGHUP);
    run.end().complains(130, "interrupted");
}

#[test]
fn the_hint_of_an_interrupted_run_names_its_database() {
    let space = space();
    let own = ["run", "experiments/longer.toml", "--jobs", "1", "--threads", "1", "--db", "other.db"];
    let mut run = space.start(&own);
    assert!(run.wait_until(|run| !run.workers().is_empty()), "it ended before its training");
    run.signal(libc::SIGINT);
    let hint = "to resume: pipeline run experiments/longer.toml --db other.db";
    run.end().complains(130, "interrupted").hints(hint);
    space.pipeline(&["run", "experiments/longer.toml", "--db", "other.db"]).ok();
    assert!(!space.path("experiments.db").exists());
}
