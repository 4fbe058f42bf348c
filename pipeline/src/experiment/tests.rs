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
    assert_eq!(point.label(), "learning_rate=1.0 seed=2");
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
        (with("[train]\nlearning_rate = -1"), "x.toml:5: train.learning_rate is -1; allowed: a number above 0 | "),
        (with("[train]\nlearning_rate = nan"), "x.toml:5: train.learning_rate is NaN; allowed: a number above 0 | "),
        (
            with("[train]\noptimizer = \"adm\""),
            "x.toml:5: train.optimizer is \"adm\"; allowed: \"sgd\", \"momentum\", \"adagrad\", \"rmsprop\", \"adam\", \"adamw\" | did you mean adam?",
        ),
        (
            with("[train]\nschedule = { kind = \"exp\" }"),
            "x.toml:5: train.schedule.kind is \"exp\"; allowed: \"constant\", \"exponential\", \"epoch\", \"cosine\", \"plateau\" | ",
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
