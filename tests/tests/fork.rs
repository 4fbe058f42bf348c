//! Trainings that begin at a checkpoint of another.

use tests::{Cell, Ended, TestSpace};

/// A run of tiny with dropout, of `steps` steps with a checkpoint each `every`.
fn parent(steps: u32, every: u32) -> TestSpace {
    let space = TestSpace::longer(steps, every);
    space.run("longer", &["--set", "train.learning_rate=0.01"]).ok();
    space
}

fn fork(space: &TestSpace, words: &[&str]) -> Ended {
    space.pipeline(&[&["fork"], words, &["--jobs", "1", "--threads", "1"]].concat())
}

fn integers<const N: usize>(rows: [[i64; N]; 1]) -> Vec<Vec<Cell>> {
    rows.iter().map(|row| row.iter().map(|n| Cell::Integer(*n)).collect()).collect()
}

#[test]
fn a_fork_is_a_run_that_shows_its_parents_steps_and_computes_its_own() {
    let space = parent(100, 50);
    let before = space.last_execution();
    let ended = fork(&space, &["run1", "--at", "50", "--set", "train.learning_rate=0.001"]).ok();
    assert!(ended.stdout.contains("run2") && ended.stdout.contains("finished"), "{ended}");
    let trained = "SELECT from_step, to_step FROM executions WHERE stage = 'train' AND id >";
    assert_eq!(space.rows(&format!("{trained} {before}")), integers([[50, 100]]));
    let steps = "SELECT count(*), min(step), max(step), count(DISTINCT step) FROM run_steps WHERE run = 2";
    assert_eq!(space.rows(steps), integers([[100, 0, 99, 100]]));
    assert_eq!(space.number("SELECT count(*) FROM steps"), 150, "no step is doubled");
    let same = "SELECT min(a.step) FROM run_steps a JOIN run_steps b USING (step)
                WHERE a.run = 1 AND b.run = 2 AND a.loss <> b.loss";
    assert_eq!(space.number(same), 51, "the loss of step 50 is that of the checkpoint");
    assert_eq!(space.rows("SELECT run, step, parent FROM run_forks"), integers([[2, 50, 1]]));
    let summary = "SELECT steps, learning_rate FROM run_summary WHERE run = 2";
    assert_eq!(space.rows(summary), [[Cell::Integer(100), Cell::Real(0.001f64.to_bits())]]);
    // Losses by block are of the whole, with the chain that the same losses at once have.
    assert_eq!(space.number("SELECT b.steps FROM step_blocks b JOIN runs r USING (trajectory_id) WHERE r.id = 2"), 100);

    let shown = space.pipeline(&["show", "run2"]).ok();
    assert!(shown.stdout.contains("forked from run1 at step 50"), "{shown}");
    let compared = space.pipeline(&["compare", "run1", "run2"]).ok();
    assert!(compared.stdout.contains("up to step 50; at step 51"), "{compared}");
    assert!(compared.stdout.contains("the runs differ in train.fork, train.learning_rate\n"), "{compared}");
    assert!(compared.stdout.contains("run1 at step 50"), "{compared}");
    // The checkpoint's own score was there.
    let at = "SELECT how FROM run_stages WHERE run_id = 2 AND stage = 'evaluate' AND item =";
    assert_eq!(space.texts(&format!("{at} '50 valid'")), ["cached"]);
    assert_eq!(space.texts(&format!("{at} '0 valid'")), [""; 0]);

    // The command that the screen shows is one that can be typed.
    let command = shown.stdout.lines().find_map(|line| line.trim().strip_prefix("pipeline run ")).unwrap();
    let again = format!("run {command}");
    let mut shell = std::process::Command::new("sh");
    let program = space.command(&[]).get_program().to_owned();
    shell.arg("-c").arg(format!("\"$0\" {again}")).arg(program).current_dir(space.path("."));
    assert_eq!(tests::Started::new(&mut shell).end().ok().executed(), 0);
    let before = space.dump();
    fork(&space, &["run1", "--at", "50", "--set", "train.learning_rate=0.001"]).ok();
    assert_eq!(space.dump(), before, "the same fork again is answered");
}

#[test]
fn a_state_that_was_let_go_is_made_again_without_doubling_a_step() {
    let space = parent(800, 100);
    let states = "SELECT group_concat(step) FROM (SELECT step FROM checkpoints
                  WHERE trajectory_id = 1 AND state IS NOT NULL AND step > 0 ORDER BY step)";
    let kept = space.texts(states);
    assert_eq!(kept, ["600,700,800"]);
    // One where weights are, one between two checkpoints, and one that a sibling asked for already.
    for (run, at, from) in [(2, 300, 0), (3, 450, 300), (4, 300, 300)] {
        let before = space.last_execution();
        let at = at.to_string();
        let ended = fork(&space, &["run1", "--at", &at, "--set", &format!("train.learning_rate=0.00{run}")]).ok();
        let again = format!(
            "SELECT from_step, to_step FROM executions WHERE id > {before} AND stage = 'train' AND trajectory_id = 1"
        );
        let expected: Vec<Vec<Cell>> =
            if from.to_string() == at { vec![] } else { integers([[from, at.parse().unwrap()]]) };
        assert_eq!(space.rows(&again), expected, "{ended}");
        let own = format!("SELECT count(*), min(step) FROM run_steps WHERE run = {run}");
        assert_eq!(space.rows(&own), integers([[800, 0]]));
    }
    assert_eq!(space.number("SELECT count(*) FROM steps WHERE trajectory_id = 1"), 800);
    assert_eq!(space.number("SELECT count(*) FROM run_events WHERE kind = 'differs'"), 0);
    space.assert_objects_are_sound();
    space.assert_nothing_runs();
}

#[test]
fn a_fork_of_a_fork_and_a_fork_that_goes_on() {
    let space = parent(60, 20);
    fork(&space, &["run1", "--at", "20", "--set", "train.learning_rate=0.02"]).ok();
    fork(&space, &["run2", "--at", "40", "--set", "train.learning_rate=0.03"]).ok();
    let parts = "SELECT group_concat(first_step) FROM trajectory_parts
                 WHERE trajectory_id = (SELECT trajectory_id FROM runs WHERE id = 3)";
    assert_eq!(space.texts(parts), ["0,20,40"]);
    let rates = "SELECT DISTINCT learning_rate FROM run_steps WHERE run = 3 ORDER BY step";
    let rates: Vec<f64> = space.rows(rates).iter().map(|row| row[0].real().unwrap()).collect();
    assert_eq!(rates, [0.01, 0.02, 0.03]);
    let shown = space.pipeline(&["show", "run3"]).ok();
    let said = "forked from run2 at step 40, which was forked from run1 at step 20";
    assert!(shown.stdout.contains(said), "{shown}");
    // A step that a fork has from its parent is forked from that one.
    fork(&space, &["run3", "--at", "10", "--set", "train.learning_rate=0.05"]).ok();
    assert_eq!(space.rows("SELECT run, step, parent FROM run_forks WHERE run = 4"), integers([[4, 10, 1]]));

    // Longer: the fork goes on where it stood.
    let before = space.last_execution();
    fork(&space, &["run2", "--at", "40", "--set", "train.learning_rate=0.03", "--set", "train.steps=80"]).ok();
    let trained = "SELECT from_step, to_step FROM executions WHERE stage = 'train' AND id >";
    assert_eq!(space.rows(&format!("{trained} {before}")), integers([[60, 80]]));
    // At the very step where it begins, a fork has its parent's checkpoint: this is run3 again.
    let ended = fork(&space, &["run3", "--at", "40", "--set", "train.learning_rate=0.03"]).ok();
    assert!(ended.stdout.starts_with("run3  ") && ended.executed() == 0, "{ended}");
}

#[test]
fn a_run_of_a_study_is_one_point_and_a_fork_may_sweep() {
    let space = TestSpace::longer(40, 20);
    space
        .run("longer", &["--set", "train.learning_rate=[0.01,0.02]", "--set", "train.optimizer=[\"sgd\",\"adam\"]"])
        .ok();
    let point = "SELECT group_concat(value) FROM run_params WHERE run = 4
                 AND name IN ('train.learning_rate', 'train.optimizer')";
    assert_eq!(space.texts(point), ["0.02,adam"]);
    let words = ["run4", "--at", "20", "--name", "swept", "--set", "train.dropout=[0.1,0.3]"];
    let ended = fork(&space, &words).ok();
    assert!(ended.stdout.contains("run5  dropout=0.1  finished"), "{ended}");
    assert_eq!(space.texts("SELECT experiment FROM run_summary WHERE run > 4"), ["swept", "swept"]);
    assert_eq!(space.number("SELECT count(*) FROM run_params WHERE run > 4 AND value = 'adam'"), 2);
    assert_eq!(space.number("SELECT count(*) FROM run_forks WHERE parent = 4 AND step = 20"), 2);
}

#[test]
fn what_a_checkpoint_fixes_is_refused_before_anything_runs() {
    let space = parent(40, 20);
    let before = space.dump();
    let refused = |words: &[&str], said: &str, hint: &str| {
        fork(&space, words).complains(2, said).hints(hint);
    };
    let with = |set: &'static str| ["run1", "--at", "20", "--set", set];
    refused(&["run1", "--at", "41"], "run1 has no checkpoint 41; allowed: 1 to 40", "pipeline fork run1 --at 40");
    refused(&["run9", "--at", "20"], "run9 does not exist", "pipeline runs");
    refused(&with("train.hidden=64"), "train.hidden is 64, but 32 in the parent run1", "a fork can change");
    refused(&with("train.layers=2"), "train.layers is 2, but 1 in the parent run1", "a fork can change");
    refused(&with("vocab.size=900"), "vocab.size is 900, but 1000 in the parent run1", "a fork can change");
    refused(&with("batch.size=8"), "batch.size is 8, but 16 in the parent run1", "a fork can change");
    refused(&with("train.optimizer=sgd"), "train.optimizer is \"sgd\", but \"adam\" in the parent", "moments");
    refused(&with("train.init={normal=0.1}"), "train.init.", "starts from the checkpoint's weights");
    refused(&with("corpus.split.valid=0.2"), "corpus.split.valid is 0.2, but 0.1 in the parent", "a fork can change");
    refused(&with("train.steps=20"), "leaves nothing to train", "train.steps=");
    refused(&["run1", "--at", "40"], "leaves nothing to train", "train.steps=140");
    refused(&with("train.hiden=64"), "train.hiden", "train.hidden");
    let named = ["run1", "--at", "20", "--name", "x y"];
    refused(&named, "--name 'x y': only letters, digits, _, - and . are allowed", "--name x_y");
    assert_eq!(fork(&space, &["run1", "--at", "0"]).code, Some(2));
    let unknown = format!("train.fork={{trajectory=\"{}\",step=20}}", "0".repeat(64));
    let typed = ["run", "experiments/longer.toml", "--set", &unknown];
    space.pipeline(&typed).complains(2, "this record has no trajectory 000000000000").hints("pipeline fork");
    space
        .pipeline(&["run", "experiments/longer.toml", "--set", "train.fork={step=20}"])
        .complains(2, "train.fork requires a trajectory")
        .hints("pipeline fork");
    assert_eq!(space.dump(), before);

    let text = space.read("data/sonnets.txt");
    space.write("data/sonnets.txt", &text.to_uppercase());
    let says = "is not the text that the parent run1 was trained on";
    refused(&["run1", "--at", "20"], says, "restore the original file");
    space.write("data/sonnets.txt", &text);
    // The experiment's file may say something else by now; what ran is recorded.
    space.write("experiments/longer.toml", "name = \"gone\"");
    let ended = fork(&space, &["run1", "--at", "20", "--dry-run", "--explain"]).ok();
    assert!(ended.stdout.contains("would execute train"), "{ended}");
    assert_eq!(space.dump(), before, "a dry run writes nothing");
    fork(&space, &["run1", "--at", "20", "--set", "train.schedule={kind=\"cosine\"}", "--set", "train.steps=60"]).ok();
}

#[test]
fn a_fork_killed_while_its_origin_is_made_again_goes_on() {
    let space = parent(1600, 200);
    let words = ["fork", "run1", "--at", "1100", "--set", "train.learning_rate=0.002", "--jobs", "1", "--threads", "1"];
    for moment in ["trajectory_id = 1 AND status = 'running'", "trajectory_id > 1 AND status = 'running'"] {
        let mut started = space.start(&words);
        let query = format!("SELECT count(*) FROM executions WHERE stage = 'train' AND {moment}");
        let database = space.path("experiments.db");
        started.wait_until(|_| tests::record::ask(&database, &query).is_ok_and(|rows| rows != [[Cell::Integer(0)]]));
        started.signal(libc::SIGKILL);
        started.end();
    }
    space.pipeline(&words).ok();
    space.assert_nothing_runs();
    assert_eq!(space.number("SELECT count(*) FROM runs"), 2);
    assert_eq!(space.number("SELECT count(*) FROM run_steps WHERE run = 2"), 1600);
    assert_eq!(space.number("SELECT count(*) FROM steps"), 1600 + 500);
    assert_eq!(space.number("SELECT count(*) FROM run_events WHERE kind = 'differs'"), 0);
    // The block in which it begins has the sum of both its parts; the chain goes on from the parent's.
    let blocks = "SELECT b.block, b.steps FROM step_blocks b JOIN runs r USING (trajectory_id) WHERE r.id = 2";
    assert_eq!(space.rows(blocks), integers([[1, 576]]));
    let known = "SELECT steps, best_loss IS NOT NULL FROM run_summary WHERE run = 2";
    assert_eq!(space.rows(known), integers([[1600, 1]]));
}

#[test]
fn a_fork_begins_in_the_part_that_was_trained_later() {
    // No state lies between: it is made again, beyond the length of the run that began the training.
    let space = parent(60, 0);
    space.run("longer", &["--set", "train.learning_rate=0.01", "--set", "train.steps=120"]).ok();
    let dry = fork(&space, &["run2", "--at", "90", "--dry-run"]).ok();
    assert!(dry.stdout.contains("after recomputing steps 60 to 90 of its parent"), "{dry}");
    fork(&space, &["run2", "--at", "90"]).ok();
    let losses = |run: u32| space.rows(&format!("SELECT step, loss, grad_norm FROM run_steps WHERE run = {run}"));
    assert_eq!(losses(3), losses(2));
    for set in ["train.fork.step=50", "train.accumulate=2"] {
        fork(&space, &["run2", "--at", "90", "--set", set]).complains(2, set.split('=').next().unwrap());
    }
}
