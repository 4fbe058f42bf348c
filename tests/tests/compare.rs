//! Runs beside each other: what can explain a parting, and what wins.

use tests::TestSpace;

/// What a screen's table of parameters says of one.
fn mark<'s>(screen: &'s str, name: &str) -> &'s str {
    let row = screen.lines().find(|line| line.trim_start().starts_with(&format!("{name} "))).unwrap_or("");
    ["can explain it", "not before step", "no: "]
        .iter()
        .find_map(|word| row.find(word))
        .map_or("", |at| row[at..].trim())
}

/// A screen without the breaks of its lines.
fn words(screen: &str) -> String {
    screen.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn each_parameter_is_said_to_explain_a_parting_or_not() {
    let space = TestSpace::new();
    let run = |sets: &[&str]| {
        let common = ["train.steps=40", "sample.at=none", "train.probes=5"];
        let sets = common.iter().chain(sets).flat_map(|set| ["--set", set]);
        space.run("tiny", &sets.collect::<Vec<_>>()).ok();
    };
    run(&["train.learning_rate=0.01"]);
    run(&["train.learning_rate=0.003", "train.clip_norm=1e6", "evaluate.test=none", "train.checkpoints.every=20"]);
    run(&["train.learning_rate=0.01", "train.schedule={kind=\"exponential\",rate=0.5,every=20,staircase=true}"]);
    run(&["train.learning_rate=0.01", "train.seed=2"]);

    let rates = space.pipeline(&["compare", "run1", "run2"]).ok().stdout;
    let said = words(&rates);
    assert!(said.starts_with("run1 and run2 differ in train.learning_rate (0.01, 0.003) and 3 more; "), "{rates}");
    assert!(said.contains("of these, only train.learning_rate can explain this"), "{rates}");
    assert_eq!(mark(&rates, "train.learning_rate"), "can explain it", "{rates}");
    assert_eq!(mark(&rates, "train.clip_norm"), "no: nothing clipped before it", "{rates}");
    assert_eq!(mark(&rates, "train.checkpoints.every"), "no: affects no step", "{rates}");
    assert_eq!(mark(&rates, "evaluate.test"), "no: not read by train", "{rates}");

    // The rates are the same until step 20, so the losses until step 21.
    let schedules = space.pipeline(&["compare", "run1", "run3", "--json"]).ok().stdout;
    let found: serde_json::Value = serde_json::from_str(&schedules).unwrap();
    assert_eq!(found["parting"]["first"]["step"], 21, "{schedules}");
    let rows = found["parameters"].as_array().unwrap();
    assert!(rows.len() > 2 && rows.iter().all(|row| row["explains"]["kind"] == "can"), "{schedules}");

    let seeds = space.pipeline(&["compare", "run1", "run4"]).ok().stdout;
    assert!(seeds.contains("the losses differ from the first step: at step 0"), "{seeds}");
    assert_eq!(mark(&seeds, "train.seed"), "can explain it", "{seeds}");

    // Verdicts are written down once.
    assert_eq!(space.number("SELECT count(*) FROM verdicts"), 4);
    let dump = space.dump();
    assert_eq!(space.pipeline(&["compare", "run1", "run2"]).ok().stdout, rates);
    assert_eq!(space.dump(), dump);
}

#[test]
fn a_winner_stands_beside_what_seeds_do() {
    let space = TestSpace::new();
    let sets = ["train.steps=120", "train.learning_rate=[0.01,0.0001]", "train.seed=[1,2,3]"];
    space.run("tiny", &sets.iter().flat_map(|set| ["--set", set]).collect::<Vec<_>>()).ok();
    let screen = space.pipeline(&["compare", "study:tiny"]).ok().stdout;
    let said = words(&screen);
    assert!(said.contains("best: learning_rate=0.01 (run1, run2, run3), last validation loss"), "{screen}");
    assert!(said.contains("averaged over 3 seeds"), "{screen}");
    assert!(said.contains("times the standard deviation over seeds"), "{screen}");
    // A panel for each rate, and none for each seed.
    assert_eq!(screen.matches("┬─").count(), 2, "{screen}");

    let one = space.pipeline(&["compare", "run1", "run2", "run4"]).ok().stdout;
    assert!(words(&one).contains("averaged over 2 seeds"), "{one}");
    let single = space.pipeline(&["compare", "1", "4", "5"]).ok().stdout;
    assert!(!single.contains("no clear winner"), "{single}");
}

#[test]
fn another_text_behind_the_same_path_is_no_secret() {
    let space = TestSpace::new();
    let run = |first: &str, rate: &str| {
        space.write("data/own.txt", &format!("{first}\n").repeat(2000));
        let rate = format!("train.learning_rate={rate}");
        let sets = ["corpus.text=\"data/own.txt\"", "train.steps=20", "sample.at=none", &rate];
        space.run("tiny", &sets.iter().flat_map(|set| ["--set", set]).collect::<Vec<_>>()).ok();
    };
    run("one two three", "0.01");
    run("one two four", "0.01");
    run("one two five", "0.02");
    let same = words(&space.pipeline(&["compare", "run1", "run2"]).ok().stdout);
    assert!(same.contains("run1 and run2 have the same parameters"), "{same}");
    assert!(same.contains("other differences: the content of corpus.text"), "{same}");
    let rates = words(&space.pipeline(&["compare", "run1", "run3"]).ok().stdout);
    assert!(rates.contains("train.learning_rate (0.01, 0.02), and in the content of corpus.text"), "{rates}");
    assert!(!rates.contains("differ only in"), "{rates}");
}
