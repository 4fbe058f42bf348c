//! What is computed again, and what is not.

use tests::TestSpace;

const NOTHING: [String; 0] = [];

fn reversed(text: &str) -> String {
    // Tables in reverse order, and in each table its keys: the same experiment, said otherwise.
    let (head, tables) = text.split_at(text.find("[corpus]").unwrap());
    let mut sections: Vec<String> = tables
        .split("\n\n")
        .map(|section| {
            let mut lines: Vec<&str> = section.trim().lines().collect();
            lines[1..].reverse();
            lines.join("\n")
        })
        .collect();
    sections.reverse();
    format!("{head}\n{}\n", sections.join("\n\n"))
}

#[test]
fn the_same_experiment_again_executes_nothing_and_adds_no_row() {
    let space = TestSpace::new();
    space.run("tiny", &[]).ok();
    let before = space.dump();
    for words in [&[][..], &["--keep-going"], &["--explain"]] {
        let ended = space.run("tiny", words).ok();
        assert_eq!(ended.executed(), 0, "{ended}");
        assert!(ended.stdout.contains("run1") && ended.stdout.contains("run2"), "it names the runs that answer");
        assert_eq!(space.dump(), before);
    }
    // Other jobs and threads are another way to the same numbers.
    assert_eq!(space.pipeline(&["run", "experiments/tiny.toml", "--jobs", "1", "--threads", "2"]).ok().executed(), 0);
    assert_eq!(space.dump(), before);

    let (runs, executions, _) = space.counts();
    let text = space.read("experiments/tiny.toml");
    for (name, other) in [("commented", format!("# Why not.\n{text}\n# The end.\n")), ("reversed", reversed(&text))] {
        assert_ne!(other, text);
        space.write(&format!("experiments/{name}.toml"), &other);
        assert_eq!(space.run(name, &[]).ok().executed(), 0, "{name}");
        assert_eq!((space.counts().0, space.counts().1), (runs, executions), "{name}");
    }
}

#[test]
fn a_changed_parameter_executes_the_stages_that_read_it_and_those_after() {
    let space = TestSpace::new();
    space.run("tiny", &["--set", "train.learning_rate=0.01"]).ok();
    let changed = |words: &[&str]| {
        let before = space.last_execution();
        let ended = space.run("tiny", words).ok();
        (ended, space.stages_since(before))
    };

    let (ended, stages) = changed(&["--set", "train.learning_rate=0.3", "--explain"]);
    assert_eq!(stages, ["evaluate", "sample", "train"]);
    let why = ended.stderr.lines().find(|line| line.contains("learning_rate: ")).unwrap_or_default();
    assert!(why.contains("0.01 -> 0.3"), "{ended}");
    assert!(!ended.stderr.contains("tokenize:"), "a cached stage is not explained\n{ended}");

    let (_, stages) = changed(&["--set", "train.learning_rate=0.01", "--set", "sample.length=10"]);
    assert_eq!(stages, ["sample"]);
    let (_, stages) = changed(&["--set", "train.learning_rate=0.01", "--set", "evaluate.test=\"none\""]);
    assert_eq!(stages, NOTHING);
    let (_, stages) = changed(&["--set", "train.learning_rate=0.01", "--set", "batch.unroll=8"]);
    assert_eq!(stages, ["batch", "evaluate", "sample", "train"]);
    let (_, stages) = changed(&["--set", "train.learning_rate=0.01", "--set", "vocab.size=900"]);
    assert!(stages.contains(&"vocab".to_owned()) && !stages.contains(&"tokenize".to_owned()), "{stages:?}");
}

#[test]
fn training_longer_computes_the_new_segment_alone() {
    let space = TestSpace::new();
    let point = ["--set", "train.learning_rate=0.01", "--set", "train.checkpoints.every=50"];
    let with = |steps: &'static str| [&point[..], &["--set", steps]].concat();
    space.run("tiny", &with("train.steps=100")).ok();
    let before = space.last_execution();
    space.run("tiny", &with("train.steps=200")).ok();
    let trained =
        space.rows(&format!("SELECT from_step, to_step FROM executions WHERE id > {before} AND stage = 'train'"));
    assert_eq!(trained, [[tests::Cell::Integer(100), tests::Cell::Integer(200)]]);
    let items = "SELECT DISTINCT stage || ' ' || item FROM run_stages WHERE run_id = 2 AND how =";
    let executed = space.texts(&format!("{items} 'executed' AND stage <> 'train' ORDER BY 1"));
    assert_eq!(executed, ["evaluate 150 valid", "evaluate 200 test", "evaluate 200 valid", "sample 150", "sample 200"]);
    let cached = space.texts(&format!("{items} 'cached' AND stage IN ('evaluate', 'sample') ORDER BY 1"));
    assert_eq!(
        cached,
        ["evaluate 0 valid", "evaluate 100 valid", "evaluate 50 valid", "sample 0", "sample 100", "sample 50"]
    );
    let steps = |run| space.number(&format!("SELECT count(*) FROM run_steps WHERE run = {run}"));
    assert_eq!((steps(1), steps(2)), (100, 200));

    // In two parts or at once: the same bits.
    let whole = TestSpace::new();
    whole.run("tiny", &with("train.steps=200")).ok();
    let of = |space: &TestSpace, run: i64| {
        let query =
            format!("SELECT step, loss, grad_norm, update_ratio FROM run_steps WHERE run = {run} ORDER BY step");
        let weights = format!(
            "SELECT o.digest FROM run_stages s JOIN execution_outputs o ON o.execution_id = s.execution_id
             WHERE s.run_id = {run} AND o.name = 'weights@200'"
        );
        (space.rows(&query), space.texts(&weights))
    };
    assert_eq!(of(&space, 2), of(&whole, 1));
    assert_eq!(of(&space, 2).1.len(), 1);
}

#[test]
fn a_corpus_whose_tokens_come_out_the_same_is_tokenized_and_no_more() {
    let space = TestSpace::new();
    space.run("tiny", &[]).ok();
    let before = space.last_execution();
    let text = space.read("data/sonnets.txt");
    // The same words between other blanks, as many of them: the splits are cut at the same bytes.
    let other = text.replace(' ', "\t");
    assert_ne!(text, other);
    space.write("data/sonnets.txt", &other);
    let ended = space.run("tiny", &[]).ok();
    assert_eq!(space.stages_since(before), ["tokenize"], "{ended}");
    assert_eq!(ended.executed(), 1);
}

#[test]
fn until_stops_there_and_a_later_run_goes_on() {
    let space = TestSpace::new();
    space.run("tiny", &["--until", "batch"]).ok();
    assert_eq!(space.stages_since(0), ["batch", "tokenize", "vocab"]);
    assert_eq!(space.number("SELECT count(*) FROM runs WHERE status = 'finished'"), 0);
    space.assert_nothing_runs();
    let before = space.last_execution();
    space.run("tiny", &[]).ok();
    assert_eq!(space.stages_since(before), ["evaluate", "sample", "train"]);
    assert_eq!(space.rows("SELECT id FROM runs").len(), 2, "the runs go on under their numbers");
    assert_eq!(space.number("SELECT count(*) FROM runs WHERE status = 'finished'"), 2);
}

#[test]
fn a_dry_run_writes_nothing() {
    let space = TestSpace::new();
    let ended = space.run("tiny", &["--dry-run"]).ok();
    assert!(ended.stdout.contains("would execute tokenize"), "{ended}");
    let mut left: Vec<String> =
        std::fs::read_dir(space.path(".")).unwrap().map(|e| e.unwrap().file_name().display().to_string()).collect();
    left.sort();
    assert_eq!(left, ["data", "experiments"]);
    assert!(!space.path("data/store").exists());

    space.run("tiny", &["--until", "vocab"]).ok();
    let (before, objects) = (space.dump(), space.objects());
    let ended = space.run("tiny", &["--dry-run", "--explain"]).ok();
    assert!(ended.stdout.contains("would execute batch") && !ended.stdout.contains("vocab"), "{ended}");
    assert_eq!((space.dump(), space.objects()), (before, objects));
}

#[test]
fn keep_going_finishes_the_points_that_can_be() {
    // One corpus of two holds a byte that is no text, far behind what is looked at beforehand.
    let corpora = "corpus.text=[\"data/bad.txt\",\"data/sonnets.txt\"]";
    for (more, finished) in [(&[][..], None), (&["--keep-going"], Some(1))] {
        let space = TestSpace::new();
        let mut bad = space.read("data/sonnets.txt").into_bytes();
        let middle = bad.len() / 2;
        bad[middle] = 0xff;
        std::fs::write(space.path("data/bad.txt"), bad).unwrap();
        let words = ["--set", "train.learning_rate=0.01", "--set", "train.steps=20", "--set", corpora];
        let ended = space.run("tiny", &[&words[..], more].concat());
        assert_eq!(ended.code, Some(2), "{ended}");
        let count = space.number("SELECT count(*) FROM runs WHERE status = 'finished'");
        if let Some(finished) = finished {
            assert_eq!(count, finished, "{ended}");
        }
        space.assert_nothing_runs();
    }
}
