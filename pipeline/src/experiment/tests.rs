use super::*;

const SMALL: &str = r#"
name = "small"
[corpus]
text = "corpus.txt"
[train]
learning_rate = 1
steps = 10
[sample]
[study]
"train.learning_rate" = [1, 0.1]
seed = [1, 2]
"#;

fn load(text: &str, overrides: &[&str]) -> Result<Experiment, Failure> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("corpus.txt"), "to be or not to be\n".repeat(100)).unwrap();
    std::fs::write(folder.path().join("x.toml"), text).unwrap();
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    Experiment::load(Path::new("x.toml"), &overrides, folder.path(), folder.path())
}

fn complaint(text: &str, overrides: &[&str]) -> String {
    let failure = load(text, overrides).unwrap_err();
    assert_eq!(failure.code, crate::failure::WRONG_INPUT);
    format!("{} | {}", failure.message, failure.hint)
}

#[test]
fn every_combination_is_a_point_and_each_value_is_canonical() {
    let experiment = load(SMALL, &[]).unwrap();
    assert_eq!(experiment.points.len(), 4);
    let point = &experiment.points[1];
    assert_eq!(point.stages["train"]["learning_rate"], Value::from(1.0));
    assert_eq!(point.stages["train"]["seed"], Value::from(2));
    let swept: Vec<String> = point.swept.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(swept, ["train.learning_rate=1.0", "seed=2"]);
    assert!(!point.stages.contains_key("evaluate"));
    assert!(point.flat().contains(&("train.schedule.kind".to_owned(), Value::from("constant"))));
}

#[test]
fn overrides_replace_axes_and_lists_sweep() {
    let points = |overrides: &[&str]| load(SMALL, overrides).unwrap().points;
    assert_eq!(points(&["train.learning_rate=0.3"]).len(), 2);
    assert_eq!(points(&["train.learning_rate=[3,2,1]", "seed=1"]).len(), 3);
    let decode = points(&["sample.decode=[\"greedy\"]", "seed=1"]);
    assert_eq!((decode.len(), decode[0].stages["sample"]["decode"].to_string()), (2, "[\"greedy\"]".to_owned()));
    assert_eq!(points(&["train.optimizer=sgd"])[0].stages["train"]["optimizer"], "sgd");
    assert_eq!(points(&["train.epochs=2"])[0].stages["train"].get("steps"), None);
    assert_eq!(points(&["train.init={normal=0.02}"])[0].stages["train"]["init"]["normal"], 0.02);
    assert_eq!(points(&["train.schedule={kind=\"cosine\"}"])[0].stages["train"]["schedule"]["floor"], 0.0);
    assert_eq!(points(&["train.checkpoints.every=[5,10]", "seed=1"]).len(), 4);
}

#[test]
fn listed_points() {
    let text = "name='p'\n[corpus]\ntext='corpus.txt'\n[[study.points]]\ntrain.learning_rate=1.0\ntrain.seed=3\n[[study.points]]\n'train.learning_rate'=0.5\n";
    let points = load(text, &[]).unwrap().points;
    assert_eq!(points.len(), 2);
    assert_eq!(points[0].stages["train"]["seed"], 3);
    assert_eq!(points[1].stages["train"]["seed"], 1);
}

#[test]
fn complaints_name_the_line_what_is_allowed_and_the_nearest_name() {
    let with = |line: &str| format!("name = \"x\"\n[corpus]\ntext = \"corpus.txt\"\n{line}\n");
    for (text, expected) in [
        (with("[train]\nlearnig_rate = 1"), "x.toml:5: unknown key train.learnig_rate | did you mean learning_rate?"),
        (with("[trian]\nhidden = 1"), "x.toml:4: unknown key trian | did you mean train?"),
        (with("[train]\nhidden = 1.5"), "x.toml:5: train.hidden is 1.5; allowed: a whole number from 1 to 65536 | "),
        (
            with("[train]\nlearning_rate = -1"),
            "x.toml:5: train.learning_rate is -1; allowed: a number above 0, at most 3.4e38 | ",
        ),
        (
            with("[train]\nlearning_rate = nan"),
            "x.toml:5: train.learning_rate is NaN; allowed: a number above 0, at most 3.4e38 | ",
        ),
        (
            with("[train]\noptimizer = \"adm\""),
            "x.toml:5: train.optimizer is \"adm\"; allowed: \"sgd\", \"momentum\", \"adagrad\", \"rmsprop\", \"adam\", \"adamw\" | did you mean adam?",
        ),
        (
            with("[train]\nschedule = { kind = \"exp\" }"),
            "x.toml:5: train.schedule.kind is \"exp\"; allowed: \"constant\", \"exponential\", \"epoch\", \"cosine\", \"plateau\", \"range\" | ",
        ),
        (
            with("[train]\nsteps = 5\nepochs = 5"),
            "x.toml:6: train.steps and train.epochs stand both; allowed: one of them | ",
        ),
        (
            with("[vocab]\nsize = 1"),
            "x.toml:5: vocab.size is 1; allowed: at least 2, for the specials <unk> and <eos> | vocab.size = 10000",
        ),
        (with("[batch]\nsize = 64000"), "x.toml:5: batch.size 64000 × unroll 20 needs 1344000 tokens; "),
        (with("[study]\n\"train.rate\" = [1]"), "x.toml:5: unknown key train.rate"),
        (
            with("[study]\n\"train.hidden\" = 1"),
            "x.toml:5: train.hidden in [study] is not a list | \"train.hidden\" = [1]",
        ),
        ("name = \"x\"\n[corpus]\ntext = \"missing.txt\"\n".into(), "x.toml:3: corpus.text: no file missing.txt | "),
        ("name = \"x\"\n[corpus\n".into(), "x.toml:2: "),
        ("[corpus]\ntext = \"corpus.txt\"\n".into(), "x.toml: the experiment has no name | "),
        ("name = \"x\"\n".into(), "x.toml: the experiment has no corpus | "),
        (with("[corpus2]\n[train]\ntied = true\nhidden = 64"), "x.toml:4: unknown key corpus2"),
        (
            with("[train]\ntied = true\nhidden = 64"),
            "x.toml:5: train.tied wants embedding = hidden; they are 128 and 64 | train.embedding = 64",
        ),
    ] {
        let got = complaint(&text, &[]);
        assert!(got.starts_with(expected), "\n     got: {got}\nexpected: {expected}");
    }
    assert_eq!(
        complaint(SMALL, &["learning_rate=1"]),
        "--set 'learning_rate=1': unknown key learning_rate | did you mean train.learning_rate?"
    );
    assert_eq!(complaint(SMALL, &["seed"]), "--set 'seed': expected KEY=VALUE | --set train.learning_rate=0.3");
    assert!(complaint(SMALL, &["train.learning_rate=[1,1]"]).contains("twice"));
    assert!(
        complaint(SMALL, &["train.hidden=wide"]).starts_with("--set 'train.hidden=wide': train.hidden is \"wide\"")
    );
}

#[test]
fn a_complaint_of_a_stage_points_at_the_keys_line() {
    let experiment = load(SMALL, &[]).unwrap();
    assert_eq!(experiment.complain("train.steps", "m", "h").message, "x.toml:7: m");
    assert_eq!(experiment.complain("train.hidden", "m", "h").message, "x.toml:5: m");
    assert_eq!(experiment.complain("batch.size", "m", "h").message, "x.toml: m");
}

/// What each point sweeps, in words.
fn swept(text: &str, overrides: &[&str]) -> Vec<String> {
    let points = load(text, overrides).unwrap().points;
    let words =
        |point: &Point| point.swept.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ");
    points.iter().map(words).collect()
}

const BARE: &str = "name='p'\n[corpus]\ntext='corpus.txt'\n";

#[test]
fn a_study_that_is_none_is_refused() {
    for (study, said) in [
        (
            "[[study]]\ntrain.learning_rate=1.0\n",
            "x.toml:4: study is [{ train = { learning_rate = 1.0 } }]; allowed: a table | [study]",
        ),
        ("[study]\npoints=[0.1, 0.01]\n", "x.toml:5: study.points holds 0.1; allowed: tables | [[study.points]]"),
        ("[study]\npoints=3\n", "x.toml:5: study.points holds 3; allowed: tables | [[study.points]]"),
    ] {
        assert_eq!(complaint(&format!("{BARE}{study}"), &[]), said);
    }
    assert!(complaint(&format!("study=5\n{BARE}"), &[]).starts_with("x.toml:1: study is 5; allowed: a table"));
}

#[test]
fn quotes_around_a_swept_key_are_optional() {
    for (quoted, bare) in [
        ("'train.checkpoints.every'=[50,100]", "train.checkpoints.every=[50,100]"),
        ("'train.schedule.rate'=[0.5,0.9]", "train.schedule.rate=[0.5,0.9]"),
        ("'train.init.uniform'=[0.1,0.2]", "train.init.uniform=[0.1,0.2]"),
        ("'corpus.split.valid'=[0.1,0.2]", "corpus.split.valid=[0.1,0.2]"),
    ] {
        let with =
            |study: &str| swept(&format!("{BARE}[train]\nschedule={{kind='exponential'}}\n[study]\n{study}\n"), &[]);
        assert_eq!(with(quoted), with(bare));
        assert_eq!(with(bare).len(), 2, "{bare}");
    }
    // A number, not a text: SQL compares it.
    let text = format!("{BARE}[study]\ncorpus.split.valid=[0.1,0.2]\n");
    assert_eq!(swept(&text, &[]), ["corpus.split.valid=0.1", "corpus.split.valid=0.2"]);
}

#[test]
fn a_listed_point_sets_its_keys_and_leaves_those_beside_them() {
    let text = format!(
        "{BARE}[train]\ncheckpoints={{every=10,keep={{last=2}}}}\n[[study.points]]\ntrain.checkpoints.every=5\n[[study.points]]\n"
    );
    let points = load(&text, &[]).unwrap().points;
    assert_eq!(points[0].stages["train"]["checkpoints"].to_string(), "{\"every\":5,\"keep\":{\"last\":2}}");
    assert_eq!(points[1].stages["train"]["checkpoints"]["every"], 10, "an empty point is the experiment itself");
}

#[test]
fn overrides_and_listed_points() {
    let listed = |points: &[&str]| {
        format!("{BARE}{}", points.iter().map(|point| format!("[[study.points]]\n{point}\n")).collect::<String>())
    };
    let text = listed(&["train.optimizer='sgd'\ntrain.learning_rate=3", "train.learning_rate=0.003"]);
    assert_eq!(swept(&text, &["train.learning_rate=0.3"]), ["train.optimizer=\"sgd\"", ""]);
    // Two that differ in nothing else become one.
    let text =
        listed(&["train.optimizer='sgd'\ntrain.learning_rate=3", "train.optimizer='sgd'\ntrain.learning_rate=1"]);
    assert_eq!(swept(&text, &["train.learning_rate=0.3"]), ["train.optimizer=\"sgd\""]);
    let text = listed(&["train.steps=3", "train.steps=4"]);
    assert_eq!(load(&text, &["train.epochs=2"]).unwrap().points.len(), 1);
}

#[test]
fn a_key_has_its_value_from_one_place() {
    let text =
        format!("{BARE}[study]\nseed=[1,2]\n'train.learning_rate'=[1,0.1]\n[[study.points]]\ntrain.learning_rate=3\n");
    assert!(complaint(&text, &[]).starts_with("x.toml:6: train.learning_rate is both an axis and in [[study.points]]"));
    let text = format!(
        "{BARE}[study]\n'train.schedule'=[{{kind='cosine'}},{{kind='constant'}}]\n'train.schedule.floor'=[0.1]\n"
    );
    assert!(
        complaint(&text, &[]).contains("train.schedule.floor and train.schedule are swept both; allowed: one of them")
    );
    let text = format!("{BARE}[study]\n'train.schedule'=[{{kind='cosine'}},{{kind='constant'}}]\n");
    assert_eq!(
        complaint(&text, &["train.schedule.floor=0.1"]),
        "--set 'train.schedule.floor=0.1': train.schedule.floor is part of train.schedule, which the study sweeps | \
         --set 'train.schedule=…' sets the whole"
    );
    let text = format!("{BARE}[study]\n'train.checkpoints.every'=[5,10]\n");
    assert_eq!(swept(&text, &["train.checkpoints={every=50}"]), [""]);
}

#[test]
fn tables_that_are_told_apart_replace_one_another() {
    let text = format!("{BARE}[train]\nschedule={{kind='exponential',rate=0.5}}\ninit={{uniform=0.05}}\n");
    let train = |set: &str| load(&text, &[set]).unwrap().points[0].stages["train"].clone();
    assert_eq!(train("train.schedule.kind=cosine")["schedule"].to_string(), "{\"floor\":0.0,\"kind\":\"cosine\"}");
    assert_eq!(train("train.schedule.kind=exponential")["schedule"]["rate"], 0.5);
    assert_eq!(train("train.init.normal=0.02")["init"].to_string(), "{\"normal\":0.02}");
    assert_eq!(
        complaint(&format!("{BARE}[train]\nschedule={{kind='constant',rate=0.5}}\n"), &[]),
        "x.toml:5: train.schedule.rate is no key of kind = \"constant\"; allowed: kind | "
    );
    assert_eq!(
        complaint(&text, &["train={steps=100}"]),
        "--set 'train={steps=100}': train is a table; its keys are set one by one | --set train.KEY=VALUE"
    );
}

#[test]
fn a_study_of_thousands_of_points_is_expanded_at_once_and_a_larger_one_refused() {
    let seeds: Vec<String> = (0..5000).map(|seed| seed.to_string()).collect();
    let text = format!("{BARE}[study]\nseed=[{}]\n'train.learning_rate'=[1,2]\n", seeds.join(","));
    let begun = std::time::Instant::now();
    assert_eq!(load(&text, &[]).unwrap().points.len(), 10_000);
    assert!(begun.elapsed().as_secs() < 60, "{:?}: every point is held against all before it", begun.elapsed());
    assert!(complaint(&text, &["train.hidden=[8,16]"]).contains("the study has 20000 points; allowed: at most 10000"));
}

#[test]
fn what_would_only_be_found_out_while_training_is_refused() {
    for (train, said) in [
        (
            "schedule={kind='plateau'}\n[corpus.split]\nvalid=0.0",
            "x.toml:5: train.schedule looks at the valid loss, and the corpus has no valid part",
        ),
        (
            "steps=1000000000000",
            "x.toml:4: 1000000000000 steps would keep 10000000001 checkpoints; allowed: at most 100000",
        ),
        ("learning_rate=1e39", "x.toml:5: train.learning_rate is 1e39; allowed: a number above 0, at most 3.4"),
    ] {
        let text = format!("{BARE}[train]\n{train}\n");
        let found = complaint(&text, &[]);
        let (place, words) = said.split_once(": ").unwrap();
        assert!(found.starts_with(place) || place == "x.toml:4", "{found}");
        assert!(found.contains(words), "{found}");
    }
}
