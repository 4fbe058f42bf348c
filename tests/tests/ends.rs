//! A run shows what it had when it ended, whatever others compute of the same training afterwards.

use tests::{Cell, Started, TestSpace, process};

use crate::trouble::mounted;

const POINT: [&str; 2] = ["--set", "train.learning_rate=0.01"];

/// What a run is in every view that counts its training.
fn shown(space: &TestSpace, run: i64) -> Vec<tests::record::Row> {
    let queries = [
        "SELECT status, steps, last_loss, best_loss, nonfinite_steps FROM run_summary WHERE run = ?",
        "SELECT steps FROM run_extent WHERE run = ?",
        "SELECT count(*), max(step), sum(loss) FROM run_steps WHERE run = ?",
        "SELECT count(*), max(step) FROM run_evaluations WHERE run = ?",
        "SELECT count(*), max(step) FROM run_events WHERE run = ?",
    ];
    let mut rows: Vec<_> = queries.iter().flat_map(|query| space.rows(&query.replace('?', &run.to_string()))).collect();
    let whole = space.pipeline(&["show", &format!("run{run}"), "--json"]).ok();
    let whole: serde_json::Value = serde_json::from_str(&whole.stdout).unwrap();
    let count = |name: &str| Cell::Integer(whole[name].as_array().expect(name).len() as i64);
    rows.push(vec![count("evaluations"), count("events")]);
    let screen = space.pipeline(&["show", &format!("run{run}")]).ok();
    let head: Vec<Cell> = screen.stdout.lines().take(2).map(|line| Cell::Text(line.to_owned())).collect();
    rows.push(head);
    rows
}

fn steps_of(space: &TestSpace, run: i64) -> i64 {
    space.number(&format!("SELECT steps FROM run_summary WHERE run = {run}"))
}

/// Starts run1 of 600 steps and waits until some are recorded, but not all.
fn half_way(space: &TestSpace) -> Started {
    let mut run = space.start_run("longer", &POINT);
    let database = space.path("experiments.db");
    let recorded = |_: &Started| {
        let count = tests::record::ask(&database, "SELECT count(*) FROM checkpoints WHERE step >= 50");
        matches!(count.as_deref(), Ok([row]) if row[0] != Cell::Integer(0))
    };
    assert!(run.wait_until(recorded), "it ended before its first checkpoint");
    run
}

/// Lets its workers crash, which fails the run.
fn crash(run: Started) {
    run.workers().into_iter().for_each(|worker| process::send(worker, libc::SIGABRT));
    run.end().complains(1, "signal 6");
}

#[test]
fn a_failed_run_keeps_its_own_steps_alone() {
    let space = TestSpace::longer(600, 50);
    let run = half_way(&space);
    crash(run);
    let (own, before) = (steps_of(&space, 1), shown(&space, 1));
    assert!((50..600).contains(&own), "{own} steps");

    // A failed run keeps its number to itself; the training resumes for another.
    let ended = space.run("longer", &POINT).ok();
    assert!(ended.stdout.starts_with("run2  finished"), "{ended}");
    assert_eq!(steps_of(&space, 2), 600);
    assert_eq!(shown(&space, 1), before, "it shows what was computed after it had failed");
    let counted = space.number("SELECT sum(steps) FROM run_summary");
    assert_eq!(counted, own + 600);
}

#[test]
fn an_interrupted_run_keeps_its_own_steps_until_it_resumes() {
    for signal in [libc::SIGINT, libc::SIGKILL] {
        let space = TestSpace::longer(600, 50);
        let run = half_way(&space);
        run.signal(signal);
        run.end();
        // Who was killed wrote nothing down; whoever comes next does, before anything is computed.
        space.run("longer", &["--until", "tokenize"]).ok();
        let (own, before) = (steps_of(&space, 1), shown(&space, 1));
        assert!((50..500).contains(&own), "{own} steps");

        // Another run of the same training, to an end of its own.
        space.run("longer", &[&POINT[..], &["--set", "train.steps=550"]].concat()).ok();
        let longer = space.number("SELECT max(run) FROM run_summary");
        assert_eq!(steps_of(&space, longer), 550);
        assert_eq!(shown(&space, 1), before, "signal {signal}: it shows what was computed after it ended");

        let ended = space.run("longer", &POINT).ok();
        assert!(ended.stdout.starts_with("run1  finished"), "{ended}");
        assert_eq!(steps_of(&space, 1), 600);
        space.assert_nothing_runs();
    }
}

#[test]
fn a_finished_run_keeps_its_own_looks() {
    let space = TestSpace::longer(100, 50);
    let plateau = "train.schedule={ kind = \"plateau\", rate = 0.5, every = 25, patience = 0 }";
    let point = [&POINT[..], &["--set", plateau]].concat();
    space.run("longer", &point).ok();
    let before = shown(&space, 1);
    let looks = "SELECT count(*) FROM run_evaluations WHERE source = 'train' AND run = ";
    assert_eq!(space.number(&format!("{looks} 1")), 3, "at 25, 50 and 75: no step comes after 100");
    // A longer one looks at 100, and one with a rule of its own at what nobody looked at.
    space.run("longer", &[&point[..], &["--set", "train.steps=150"]].concat()).ok();
    assert_eq!(space.number(&format!("{looks} 2")), 5);
    // A shorter one, for which everything is there, looks no further than it would by itself.
    space.run("longer", &[&point[..], &["--set", "train.steps=125"]].concat()).ok();
    assert_eq!(space.number(&format!("{looks} 3")), 4, "at 25 to 100, and not at 125");
    let rule = "train.early_stopping={ every = 10, patience = 90 }";
    space.run("longer", &[&point[..], &["--set", rule]].concat()).ok();
    assert!(space.number(&format!("{looks} 4")) >= 10);
    assert_eq!(shown(&space, 1), before);
}

#[test]
fn a_full_store_interrupts_runs_which_resume_under_their_numbers() {
    let space = TestSpace::new();
    // Room for the text's objects, and not for a checkpoint.
    let run = "\"$pipeline\" run ../experiments/tiny.toml --jobs 1 --threads 1 --db ../experiments.db --store store";
    let status = "\"$pipeline\" sql --format csv --db ../experiments.db \
                  'SELECT run, status, steps, last_loss FROM run_summary'";
    let script = format!(
        "mount -t tmpfs -o size=700k none place; cd place
         set +e; {run}; echo code $?; {status}
         mount -o remount,size=64m none .; {run}; echo code $?; {status}"
    );
    let Some(ended) = mounted(&space, &script) else { return };
    let ended = ended.ok();
    let (full, free) = ended.stdout.split_once("code 1\n").unwrap_or_else(|| panic!("{ended}"));
    assert!(full.contains("run1  learning_rate=0.01  interrupted"), "{ended}");
    assert!(
        ended.stderr.contains("error: run1: ")
            && ended.stderr.contains(": No space left on device (os error 28)\nhint"),
        "{ended}"
    );
    assert!(!ended.stderr.contains("I/O error"), "{ended}");
    assert!(ended.stderr.contains("hint: free some space, then run the same command again"), "{ended}");
    let rows = "run,status,steps,last_loss\n1,interrupted,0,\n2,interrupted,0,\n";
    assert!(free.starts_with(rows), "{ended}");
    assert!(free.contains("run1  learning_rate=0.01  finished"), "{ended}");
    assert!(free.contains("\ncode 0\n") && free.contains("\n1,finished,200,"), "{ended}");
    assert_eq!(space.number("SELECT count(*) FROM runs"), 2);
    assert_eq!(space.number("SELECT count(*) FROM runs WHERE error IS NOT NULL"), 0);
}

#[test]
fn an_older_record_gives_back_steps_that_others_computed() {
    let space = TestSpace::longer(600, 50);
    // run1 fails past a checkpoint and run2 trains to the end; run3 fails, and nobody trains on.
    let run = half_way(&space);
    crash(run);
    space.run("longer", &POINT).ok();
    let other = ["--set", "train.learning_rate=0.02"];
    let mut broken = space.start_run("longer", &other);
    assert!(broken.wait_until(|run| !run.workers().is_empty()), "it ended before its training");
    crash(broken);
    let untouched = shown(&space, 3);
    crate::older::forget_ends(&space);
    let wrong = "SELECT steps FROM runs WHERE steps IS NULL";
    assert_eq!(space.rows(wrong).len(), 2, "the older form");

    space.pipeline(&["runs"]).ok();
    let own =
        "SELECT max(step) FROM checkpoints c JOIN executions x ON x.id = c.execution_id WHERE x.status = 'failed'";
    assert_eq!(steps_of(&space, 1), space.number(own));
    let events = space.texts("SELECT kind || ': ' || message FROM run_events WHERE run = 1 AND step IS NULL");
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].starts_with("steps_cut: shows ") && events[0].contains(" of 600 steps"), "{events:?}");
    assert_eq!(steps_of(&space, 2), 600, "a finished run keeps all");
    assert_eq!(shown(&space, 3), untouched, "nobody trained on after it");
    let shown = space.pipeline(&["show", "run1"]).ok();
    assert!(shown.stdout.contains("shows ") && shown.stdout.contains(" of 600 steps"), "{shown}");
}

/// Two processes share a study. One leaves while the other trains for a run of both, which then is the other's.
#[test]
fn a_run_that_another_process_leaves_keeps_all_that_is_computed_for_it() {
    for stopped in [false, true] {
        let space = TestSpace::longer(1000, 50);
        let plateau = "train.schedule={ kind = \"plateau\", rate = 0.5, every = 25, patience = 200 }";
        let rates = "train.learning_rate=[0.01,0.02]";
        let words =
            ["run", "experiments/longer.toml", "--jobs", "1", "--threads", "1", "--set", rates, "--set", plateau];
        let database = space.path("experiments.db");
        let looks = |run: i64| {
            let query = format!("SELECT count(*) FROM run_evaluations WHERE source = 'train' AND run = {run}");
            tests::record::ask(&database, &query).ok().and_then(|rows| match rows.first()?.first()? {
                Cell::Integer(count) => Some(*count),
                _ => None,
            })
        };
        let mut first = space.start(&words);
        assert!(first.wait_until(|_| looks(1) >= Some(2)), "it ended before it had begun");
        let workers = first.workers();
        workers.iter().for_each(|worker| process::send(*worker, libc::SIGSTOP));

        // It finds run1 taken, and trains for run2.
        let mut second = space.start(&words);
        assert!(second.wait_until(|_| looks(2) >= Some(2)), "it ended before it had begun");
        workers.iter().for_each(|worker| process::send(*worker, libc::SIGKILL));
        first.end().complains(1, "killed");
        let left = looks(2);
        assert_eq!(space.number("SELECT count(*) FROM runs WHERE id = 2 AND status = 'interrupted'"), 1);
        if stopped {
            let trained = |_: &Started| {
                let query =
                    "SELECT count(*) FROM steps WHERE trajectory_id = (SELECT trajectory_id FROM runs WHERE id = 2)";
                matches!(tests::record::ask(&database, query).as_deref(), Ok([row]) if row[0] > Cell::Integer(steps_of(&space, 2) + 50))
            };
            assert!(second.wait_until(trained), "it ended before it had gone on");
            second.signal(libc::SIGTERM);
            second.end().complains(130, "interrupted");
            let recorded =
                "SELECT max(step) + 1 FROM steps s JOIN runs r ON r.trajectory_id = s.trajectory_id WHERE r.id = 2";
            assert_eq!(steps_of(&space, 2), space.number(recorded));
            assert!(looks(2) > left, "{:?} and {left:?}", looks(2));
        } else {
            second.end().ok();
            assert_eq!([looks(1), looks(2)], [Some(39); 2], "each 25 steps, and not after the last");
            assert_eq!([steps_of(&space, 1), steps_of(&space, 2)], [1000; 2]);
        }
        space.assert_nothing_runs();
    }
}

/// A run that waits for another run's training, and whose process is killed, does not take on what comes after.
#[test]
fn a_run_killed_while_it_waits_for_a_training_keeps_what_it_had() {
    let space = TestSpace::longer(1000, 50);
    let run = half_way(&space);
    let longer = [&POINT[..], &["--set", "train.steps=1200"]].concat();
    let mut waiting = space.start_run("longer", &longer);
    let database = space.path("experiments.db");
    let is = |word: &str| {
        let query = "SELECT status FROM runs WHERE id = 2 AND trajectory_id IS NOT NULL";
        let rows = tests::record::ask(&database, query);
        matches!(rows.as_deref(), Ok([row]) if row[0] == Cell::Text(word.to_owned()))
    };
    assert!(waiting.wait_until(|_| is("running")), "it ended before its training");
    waiting.signal(libc::SIGKILL);
    waiting.end();
    let mut run = run;
    assert!(run.wait_until(|_| is("interrupted")), "the training ended before it saw who had died");
    let had = steps_of(&space, 2);
    run.end().ok();
    assert_eq!(steps_of(&space, 1), 1000);
    assert!(had < 1000 && steps_of(&space, 2) == had, "{had} steps, then {}", steps_of(&space, 2));
    space.run("longer", &longer).ok();
    assert_eq!(steps_of(&space, 2), 1200);
}

/// A run whose training somebody else has completed, and whose process is killed while it is scored, has all of it.
#[test]
fn a_run_killed_while_it_is_scored_has_its_whole_training() {
    let space = TestSpace::longer(600, 50);
    let run = half_way(&space);
    run.signal(libc::SIGKILL);
    run.end();
    space.run("longer", &[&POINT[..], &["--set", "sample.length=7", "--set", "evaluate.valid=last"]].concat()).ok();
    assert!(steps_of(&space, 1) < 600);

    let mut run = space.start_run("longer", &POINT);
    let database = space.path("experiments.db");
    let is_scored = |_: &Started| {
        let query = "SELECT count(*) FROM executions WHERE status = 'running' AND stage IN ('evaluate', 'sample')";
        matches!(tests::record::ask(&database, query).as_deref(), Ok([row]) if row[0] > Cell::Integer(0))
    };
    assert!(run.wait_until(is_scored), "it ended before it was scored");
    run.signal(libc::SIGKILL);
    run.end();
    let shown = space.pipeline(&["show", "run1"]).ok();
    assert!(shown.stdout.contains("interrupted"), "{shown}");
    space.run("longer", &["--until", "tokenize"]).ok();
    assert_eq!(space.texts("SELECT status FROM runs WHERE id = 1"), ["interrupted"]);
    assert_eq!(steps_of(&space, 1), 600, "{shown}");
}
