//! The same numbers to the bit, on whatever way they are come by: at once, in two parts, killed and resumed, forked and
//! left unchanged.

use tests::record::Row;
use tests::{Draws, TestSpace};

const OPTIMIZERS: [&str; 6] = ["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"];

/// A small model with dropout, trained with every optimiser.
const EXACT: &str = "name = \"exact\"
seed = 3
[corpus]
text = \"data/sonnets.txt\"
split = { valid = 0.02, test = 0.02 }
[vocab]
size = 300
[batch]
size = 4
unroll = 6
[train]
embedding = 12
hidden = 16
layers = 2
dropout = 0.3
clip_norm = 0.5
learning_rate = 0.02
steps = 40
probes = 3
checkpoints = { every = 20, keep = \"all\" }
[evaluate]
test = \"none\"
[sample]
length = 12
[study]
\"train.optimizer\" = [\"sgd\", \"momentum\", \"adagrad\", \"rmsprop\", \"adam\", \"adamw\"]
";

fn space() -> TestSpace {
    let space = TestSpace::new();
    space.write("experiments/exact.toml", EXACT);
    space
}

/// What must be the same of a run: losses and gradient norms of all its steps, and from a checkpoint on weights, samples
/// and evaluations.
fn numbers(space: &TestSpace, run: usize, from: u32) -> [Vec<Row>; 4] {
    [
        format!("SELECT step, loss, loss_kind, grad_norm FROM run_steps WHERE run = {run} ORDER BY step"),
        format!(
            "SELECT o.name, o.digest FROM run_stages s JOIN execution_outputs o ON o.execution_id = s.execution_id
             WHERE s.run_id = {run} AND s.stage = 'train' AND s.item = ''
               AND CAST(substr(o.name, 9) AS INTEGER) >= {from} ORDER BY 1"
        ),
        format!("SELECT step, position, text FROM run_samples WHERE run = {run} AND step >= {from} ORDER BY 1, 2"),
        format!("SELECT step, split, loss FROM run_evaluations WHERE run = {run} AND step >= {from} ORDER BY 1, 2"),
    ]
    .map(|query| space.rows(&query))
}

/// Checks that a run of one space has the numbers of a run of another.
#[track_caller]
fn assert_same(how: &str, whole: (&TestSpace, usize), other: (&TestSpace, usize), from: u32) {
    let (expected, found) = (numbers(whole.0, whole.1, from), numbers(other.0, other.1, from));
    assert_eq!(expected[0].len(), 40);
    assert!(expected.iter().all(|rows| !rows.is_empty()), "a part of the answer is empty");
    for (what, (expected, found)) in ["steps", "weights", "samples", "scores"].iter().zip(expected.iter().zip(&found)) {
        let optimizer = OPTIMIZERS[(whole.1 - 1) % OPTIMIZERS.len()];
        let differs = expected.iter().zip(found).find(|(a, b)| a != b);
        assert!(expected == found, "{optimizer}, {how}: {what} differ: {differs:?}");
    }
}

#[test]
fn every_way_to_a_training_gives_the_same_bits_with_every_optimiser() {
    let whole = space();
    whole.run("exact", &[]).ok();

    let parts = space();
    parts.run("exact", &["--set", "train.steps=20"]).ok();
    parts.run("exact", &[]).ok();
    assert_eq!(parts.number("SELECT count(*) FROM executions WHERE stage = 'train' AND from_step = 20"), 6);
    (1..=6).for_each(|run| assert_same("in two parts", (&whole, run), (&parts, run + 6), 0));

    let killed = space();
    let mut draws = Draws::new(7);
    let mut reached = 0;
    for _ in 0..2 {
        // Somewhere among the 240 steps that there are in all.
        reached += 20 + (80.0 * draws.share()) as i64;
        let mut run = killed.start_run("exact", &[]);
        let met = run.wait_until(|_| {
            let rows = tests::record::ask(&killed.path("experiments.db"), "SELECT count(*) FROM steps");
            matches!(rows.unwrap_or_default().first().map(|row| &row[0]), Some(tests::Cell::Integer(n)) if *n >= reached)
        });
        assert!(met, "it ended before the kill");
        run.signal(libc::SIGKILL);
        assert_eq!(run.end().signal, Some(libc::SIGKILL));
    }
    killed.run("exact", &[]).ok();
    (1..=6).for_each(|run| assert_same("killed and resumed", (&whole, run), (&killed, run), 0));

    for run in 1..=6 {
        let name = format!("run{run}");
        whole.pipeline(&["fork", &name, "--at", "20", "--threads", "1"]).ok();
        let fork = run + 6;
        let own = format!(
            "SELECT min(s.step) FROM runs r JOIN steps s ON s.trajectory_id = r.trajectory_id WHERE r.id = {fork}"
        );
        assert_eq!(whole.number(&own), 20, "a fork's own rows begin where it does");
        assert_same("forked and left unchanged", (&whole, run), (&whole, fork), 20);
    }
    let alike = whole.pipeline(&["compare", "run1", "run7"]).ok();
    assert!(alike.stdout.contains("bitwise identical for all 40 common steps"), "{alike}");
    assert_eq!(whole.number("SELECT count(*) FROM run_events WHERE kind = 'differs'"), 0);
}

#[test]
fn idle_cores_are_lent_to_the_last_point_and_change_no_bit() {
    if std::thread::available_parallelism().unwrap().get() < 2 {
        eprintln!("skipped: with one core none is ever idle");
        return;
    }
    let (lent, kept) = (TestSpace::new(), TestSpace::new());
    let study = ["run", "experiments/tiny.toml", "--jobs", "2", "--set", "train.steps=600"];
    let study = [&study[..], &["--set", "train.learning_rate=[0.01,0.02,0.005]"]].concat();
    lent.pipeline(&study).ok();
    kept.pipeline(&[&study[..], &["--threads", "1"]].concat()).ok();
    lent.assert_bits(&kept.bits(), "with cores that were lent");
    let of_workers = "SELECT count(*) FROM executions WHERE stage IN ('train', 'evaluate') AND report ->> 'threads'";
    assert!(lent.number(&format!("{of_workers} > threads AND stage = 'train'")) > 0, "no training was lent a core");
    assert_eq!(lent.number(&format!("{of_workers} < threads")), 0);
    // What was asked for is kept to.
    assert_eq!(kept.number(&format!("{of_workers} = 1")), kept.number(&format!("{of_workers} > 0")));
    // Runs are compared, resumed and computed again by the threads that they began with.
    let compared = lent.pipeline(&["compare", "run1", "run3"]).ok();
    assert!(!compared.stdout.contains("threads"), "{compared}");
    assert_eq!(lent.number("SELECT count(DISTINCT threads) FROM trajectories"), 1);
    lent.pipeline(&["reproduce", "run3"]).ok();
}

#[test]
fn probes_change_no_number() {
    let (with, without) = (space(), space());
    with.run("exact", &[]).ok();
    without.run("exact", &["--set", "train.probes=0"]).ok();
    (1..=6).for_each(|run| assert_same("without probes", (&with, run), (&without, run), 0));
    assert_eq!(without.number("SELECT count(*) FROM run_steps WHERE entropy IS NOT NULL"), 0);
}

#[test]
fn whether_two_counts_of_threads_agree_is_told() {
    // A schedule that multiplies by 1 has another identity and the same numbers.
    let space = space();
    let adam = ["--set", "train.optimizer=adam", "--set"];
    let run = |schedule: &str, threads: &str| {
        let words = ["run", "experiments/exact.toml", "--threads", threads];
        space.pipeline(&[&words[..], &adam, &[schedule]].concat()).ok();
    };
    run("train.schedule={kind=\"constant\"}", "1");
    run("train.schedule={kind=\"exponential\",rate=1.0}", "2");

    // What the record says of it, read here: the first step whose losses differ in any bit.
    let recorded = || {
        let losses =
            |run| space.rows(&format!("SELECT step, loss, loss_kind FROM run_steps WHERE run = {run} ORDER BY step"));
        let (one, other) = (losses(1), losses(2));
        assert_eq!((one.len(), other.len()), (40, 40));
        one.iter().zip(&other).position(|(one, other)| one != other)
    };
    let told = |differs: Option<usize>| match differs {
        None => "the losses are bitwise identical for all 40 common steps".to_owned(),
        Some(0) => "the losses differ from the first step: at step 0 they are".to_owned(),
        Some(step) => format!("the losses are bitwise identical up to step {}; at step {step} they are", step - 1),
    };
    let compare = |differs: Option<usize>| {
        let compared = space.pipeline(&["compare", "run1", "run2"]).ok();
        assert!(compared.stdout.contains("differences other than parameters: threads"), "{compared}");
        let words = compared.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        let told = told(differs);
        assert!(words.contains(&told), "by the record, {told}\n{compared}");
    };
    compare(recorded());

    // Threads differ here in no way that the losses show, so each of the other answers is brought about.
    let database = rusqlite::Connection::open(space.path("experiments.db")).unwrap();
    for step in [23, 0] {
        let of = "trajectory_id = (SELECT trajectory_id FROM runs WHERE id = 2)";
        let changed = format!(
            "UPDATE steps SET loss = loss + 1e-15 * 8 WHERE {of} AND step >= {step};
             UPDATE step_blocks SET chain = zeroblob(32) WHERE {of};"
        );
        database.execute_batch(&changed).unwrap();
        assert_eq!(recorded(), Some(step));
        compare(Some(step));
    }
}
