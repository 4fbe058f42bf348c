//! What is computed again, and what is not.

use tests::{Cell, Started, TestSpace};

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
    let (_, stages) = changed(&["--set", "train.learning_rate=0.01", "--set", "baselines.order=2"]);
    assert_eq!(stages, ["baselines"]);
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
    assert_eq!(trained, [[Cell::Integer(100), Cell::Integer(200)]]);
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
    assert_eq!(space.stages_since(before), ["baselines", "evaluate", "sample", "train"]);
    assert_eq!(space.rows("SELECT id FROM runs").len(), 2, "the runs go on under their numbers");
    assert_eq!(space.number("SELECT count(*) FROM runs WHERE status = 'finished'"), 2);
}

#[test]
fn where_it_is_computed_is_part_of_what_it_is_and_auto_is_settled_first() {
    let space = TestSpace::new();
    let hidden = |words: &[&str]| {
        let mut command = space.command(&[&["run", "experiments/tiny.toml"], words].concat());
        // As on a machine without a GPU.
        Started::new(command.env("CUDA_VISIBLE_DEVICES", "")).end()
    };
    hidden(&[]).ok();
    let before = space.dump();
    let refused = hidden(&["--set", "train.device=cuda"]).complains(2, "cuda requires an NVIDIA GPU");
    assert!(refused.stderr.contains("train.device = \"auto\""), "{refused}");
    hidden(&["--set", "train.device=gpu"]).complains(2, "train.device is \"gpu\"; allowed: \"cpu\"");
    assert_eq!(space.dump(), before, "what was refused left something behind");
    // Here auto is the CPU: every stage is there, and the run that asked for it says so.
    assert_eq!(hidden(&["--set", "train.device=auto"]).ok().executed(), 0);
    assert_eq!(space.texts("SELECT DISTINCT value FROM run_params WHERE name = 'train.device'"), ["cpu"]);
    let recorded = space.texts("SELECT DISTINCT device FROM executions WHERE stage IN ('train', 'evaluate')");
    assert_eq!(recorded, ["cpu"]);
}

#[test]
fn a_dry_run_writes_nothing() {
    let space = TestSpace::new();
    let ended = space.run("tiny", &["--dry-run"]).ok();
    let first = "would execute tokenize (for 2 points)\nthen, unless cached: vocab (for 2 points), ";
    assert!(ended.stdout.starts_with(first) && ended.stdout.contains("sample (for 2 points)"), "{ended}");
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
fn a_longer_training_is_explained_by_the_shorter_one_and_so_is_what_comes_after() {
    let space = TestSpace::new();
    space.run("tiny", &["--set", "train.learning_rate=0.01"]).ok();
    let weights = space.texts("SELECT digest FROM execution_outputs WHERE name = 'weights@200'");
    // Newer, and as far from the scores of the longer training: but for the weights they are alike.
    space.run("tiny", &["--set", "train.learning_rate=0.02"]).ok();
    let longer = ["--set", "train.learning_rate=0.01", "--set", "train.steps=210", "--explain"];
    let ended = space.run("tiny", &longer).ok();
    assert!(ended.stderr.contains("train: steps: 200 -> 210\n"), "{ended}");
    for stage in ["evaluate 210 valid", "evaluate 210 test", "sample 210"] {
        let why = format!("{stage}: input.weights: {} -> ", &weights[0][..12]);
        assert!(ended.stderr.contains(&why), "{why}\n{ended}");
    }
}

#[test]
fn keep_going_finishes_the_points_that_can_be() {
    // One corpus of two holds a byte that is no text, far behind what is looked at beforehand.
    let corpora = "corpus.text=[\"data/bad.txt\",\"data/sonnets.txt\"]";
    for (more, statuses) in [(&[][..], ["failed", "interrupted"]), (&["--keep-going"], ["failed", "finished"])] {
        let space = TestSpace::new();
        let mut bad = space.read("data/sonnets.txt").into_bytes();
        let middle = bad.len() / 2;
        bad[middle] = 0xff;
        std::fs::write(space.path("data/bad.txt"), bad).unwrap();
        // One job: nothing of the second point is under way when the first one fails.
        let words = ["run", "experiments/tiny.toml", "--jobs", "1", "--threads", "1", "--set", corpora];
        let set = ["--set", "train.learning_rate=0.01", "--set", "train.steps=20"];
        let ended = space.pipeline(&[&words[..], &set, more].concat()).complains(2, "byte offset");
        assert_eq!(space.texts("SELECT status FROM runs ORDER BY id"), statuses, "{ended}");
        let begun = space.texts("SELECT DISTINCT stage FROM executions WHERE status <> 'failed' ORDER BY stage");
        assert_eq!(begun.is_empty(), more.is_empty(), "without --keep-going nothing else is begun: {begun:?}");
        space.assert_nothing_runs();
    }
}

/// Whether an execution of a stage is said to be running.
fn at_work(space: &TestSpace, stage: &str) -> bool {
    let query = format!("SELECT count(*) FROM executions WHERE stage = '{stage}' AND status = 'running'");
    let database = space.path("experiments.db");
    database.exists() && tests::record::ask(&database, &query).is_ok_and(|rows| rows != [[Cell::Integer(0)]])
}

#[test]
fn a_point_goes_on_with_what_another_that_failed_had_asked_for() {
    // Both points share the untouched model, and so the text that is sampled from it. When the first point loses its
    // worker in evaluate, nobody has begun that text; the second point asks for it later.
    let words = ["run", "experiments/tiny.toml", "--jobs", "1", "--threads", "1", "--keep-going"];
    let set = ["--set", "train.learning_rate=[0.01,0.02]", "--set", "corpus.split={valid=0.45,test=0.05}"];
    for _ in 0..20 {
        let space = TestSpace::new();
        let mut started = space.start(&[&words[..], &set].concat());
        let met = started.wait_until(|_| at_work(&space, "evaluate"));
        started.workers().into_iter().for_each(|worker| tests::process::send(worker, libc::SIGKILL));
        let ended = started.end();
        if !met || ended.code == Some(0) {
            continue;
        }
        let ended = ended.complains(1, "worker was killed").hints("--set");
        assert_eq!(space.texts("SELECT status FROM runs ORDER BY id"), ["interrupted", "finished"], "{ended}");
        assert!(space.pipeline(&[&words[..], &set].concat()).ok().executed() > 0);
        assert_eq!(space.texts("SELECT status FROM runs ORDER BY id"), ["finished", "finished"]);
        return;
    }
    panic!("no worker was met while it evaluated");
}

#[test]
fn a_corpus_that_changes_while_others_are_computed_is_not_taken_for_what_it_was() {
    let space = TestSpace::new();
    let text = space.read("data/sonnets.txt");
    space.write("data/second.txt", &text.to_lowercase());
    let corpora = "corpus.text=[\"data/sonnets.txt\",\"data/second.txt\"]";
    let words = ["run", "experiments/tiny.toml", "--jobs", "1", "--threads", "1", "--set", corpora];
    let words = [&words[..], &["--set", "train.learning_rate=0.01"]].concat();
    let mut started = space.start(&words);
    assert!(started.wait_until(|_| at_work(&space, "train")));
    // The first point trains; the second text is not tokenized yet.
    space.write("data/second.txt", &text.to_uppercase());
    started.end().complains(1, "second.txt changed while the program was running").hints("run the same command again");
    let tokenized =
        "SELECT count(*) FROM results r JOIN executions x ON x.id = r.execution_id WHERE x.stage = 'tokenize'";
    assert_eq!(space.number(tokenized), 1);
    space.assert_nothing_runs();
    space.pipeline(&words).ok();
}

#[test]
fn greedy_alone_is_a_way_to_sample() {
    let space = TestSpace::new();
    let greedy = ["--set", "train.learning_rate=0.01", "--set", "sample.decode=[\"greedy\"]"];
    space.run("tiny", &greedy).ok();
    assert_eq!(space.number("SELECT count(*) FROM run_samples WHERE text <> ''"), 3);
    // Nothing is drawn, so that another seed of it changes nothing.
    assert_eq!(space.run("tiny", &[&greedy[..], &["--set", "sample.seed=7"]].concat()).ok().executed(), 0);
}

#[test]
fn a_training_that_ended_early_goes_on_under_another_rule_without_its_event() {
    let space = TestSpace::new();
    let under = |rule: &str| {
        let rule = format!("train.on_nonfinite={rule}");
        space.run("tiny", &["--set", "train.learning_rate=1e38", "--set", &rule]).ok();
    };
    let steps = |run: i64| space.number(&format!("SELECT steps FROM run_summary WHERE run = {run}"));
    let events = |run: i64| space.texts(&format!("SELECT kind FROM run_events WHERE run = {run} ORDER BY step"));
    under("{stop_after=20}");
    under("\"continue\"");
    assert_eq!((steps(1), steps(2)), (21, 200));
    assert_eq!(events(1), ["nonfinite", "stopped_nonfinite"]);
    assert_eq!(events(2), ["nonfinite"]);
    // With a rule that the recorded steps answer, its event is there all the same.
    under("{stop_after=50}");
    assert_eq!(steps(3), 51);
    assert_eq!(events(3), ["nonfinite", "stopped_nonfinite"]);
}

#[test]
fn a_training_keeps_to_its_threads_and_says_where_the_processor_is_another() {
    let space = TestSpace::new();
    let run = |steps: &str, more: &[&str], capability: Option<&str>| {
        let words = ["run", "experiments/tiny.toml", "--set", "train.learning_rate=0.01", "--set", steps];
        let mut command = space.command(&[&words[..], more].concat());
        command.env_remove("ATEN_CPU_CAPABILITY");
        capability.map(|capability| command.env("ATEN_CPU_CAPABILITY", capability));
        tests::Started::new(&mut command).end().ok()
    };
    run("train.steps=100", &["--threads", "1"], None);
    let ended = run("train.steps=120", &["--threads", "2"], None);
    assert!(ended.stderr.contains("keeps the 1 thread it started with"), "{ended}");
    assert_eq!(space.number("SELECT count(*) FROM executions WHERE stage = 'train' AND threads = 1"), 2);
    let ended = run("train.steps=140", &[], Some("default"));
    assert!(ended.stderr.contains("resuming on DEFAULT: recomputed steps may differ"), "{ended}");
    assert_eq!(space.texts("SELECT DISTINCT cpu_capability FROM executions WHERE stage = 'train'").len(), 2);
}

#[test]
fn a_schedule_that_reads_its_length_says_why_it_begins_afresh() {
    let space = TestSpace::new();
    let cosine = |steps: &str| {
        let schedule = "train.schedule={kind=\"cosine\"}";
        space.run("tiny", &["--set", "train.learning_rate=0.01", "--set", schedule, "--set", steps]).ok()
    };
    assert!(!cosine("train.steps=40").stderr.contains("afresh"));
    let ended = cosine("train.steps=60");
    assert!(ended.stderr.contains("starting over instead of resuming the 40 steps"), "{ended}");
}

#[test]
fn until_the_last_stage_leaves_nothing_to_be_done() {
    let space = TestSpace::new();
    space.run("tiny", &["--set", "train.learning_rate=0.01", "--until", "sample"]).ok();
    assert_eq!(space.texts("SELECT status FROM runs"), ["finished"]);
}
