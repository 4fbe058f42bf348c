//! Errors about values.

use super::fixture::{BARE, SMALL, complaint, load};

#[test]
fn errors_name_the_line_what_is_allowed_and_the_nearest_name() {
    let with = |line: &str| format!("name = \"x\"\n[corpus]\ntext = \"corpus.txt\"\n{line}\n");
    for (text, expected) in [
        (with("[train]\nlearnig_rate = 1"), "x.toml:5: unknown key train.learnig_rate | did you mean learning_rate?"),
        (with("[train]\nlr = 1"), "x.toml:5: unknown key train.lr | did you mean learning_rate?"),
        (
            with("[train]\ndevice = \"gpu\""),
            "x.toml:5: train.device is \"gpu\"; allowed: \"cpu\", \"cuda\", \"auto\" | did you mean cuda?",
        ),
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
            "x.toml:6: set train.steps or train.epochs, not both | delete one of them",
        ),
        (
            with("[vocab]\nsize = 1"),
            "x.toml:5: vocab.size is 1; allowed: at least 2, for the special tokens <unk> and <eos> | vocab.size = 10000",
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
            "x.toml:5: train.tied requires embedding = hidden; they are 128 and 64 | train.embedding = 64",
        ),
    ] {
        let got = complaint(&text, &[]);
        assert!(got.starts_with(expected), "\n     got: {got}\nexpected: {expected}");
    }
    assert_eq!(
        complaint(SMALL, &["learning_rate=1"]),
        "--set 'learning_rate=1': unknown key learning_rate | did you mean train.learning_rate?"
    );
    assert_eq!(
        complaint(SMALL, &["train.lr=1"]),
        "--set 'train.lr=1': unknown key train.lr | did you mean train.learning_rate?"
    );
    // Control characters in an experiment's text are escaped.
    let escape = complaint(&with("sha256 = \"\\u001b[2J\""), &[]);
    assert!(escape.starts_with("x.toml:3: corpus.text: sha256 is \"\\u{1b}[2J\"; allowed: 64"), "{escape}");
    assert_eq!(complaint(SMALL, &["seed"]), "--set 'seed': expected KEY=VALUE | --set train.learning_rate=0.3");
    assert!(complaint(SMALL, &["train.learning_rate=[1,1]"]).contains("twice"));
    assert!(
        complaint(SMALL, &["train.hidden=wide"]).starts_with("--set 'train.hidden=wide': train.hidden is \"wide\"")
    );
}

#[test]
fn an_error_of_a_stage_points_at_the_line_of_its_key() {
    let experiment = load(SMALL, &[]).unwrap();
    assert_eq!(experiment.complain("train.steps", "m", "h").message, "x.toml:7: m");
    assert_eq!(experiment.complain("train.hidden", "m", "h").message, "x.toml:5: m");
    assert_eq!(experiment.complain("batch.size", "m", "h").message, "x.toml: m");
}

#[test]
fn the_hint_for_a_value_of_the_wrong_type_is_what_was_probably_meant() {
    for (set, hint) in [
        ("train.learning_rate=.01", "did you mean 0.01?"),
        ("train.learning_rate=\"0.1\"", "remove the quotes: 0.1"),
        ("train.steps=1e2", "did you mean 100?"),
        ("train.steps=10k", "did you mean 10000?"),
        ("train.tied=False", "did you mean false?"),
        ("train.tied=1", "did you mean true?"),
        ("train.clip_norm=none", "train.clip_norm = 0 turns it off"),
        ("train.early_stopping=false", "omit train.early_stopping: it is unset by default"),
        ("train.warmup=None", "omit train.warmup: its default is 0"),
        ("train.schedule=cosine", "{ kind = \"cosine\" }"),
        ("sample.decode=greedy", "[\"greedy\"]"),
        ("train.optimizer=[adam,sgd", "--set 'train.optimizer=[\"adam\", \"sgd\"]'"),
        ("train.optimizer=\"adam", "--set 'train.optimizer=\"adam\"'"),
        ("seed=1,2", "--set 'seed=[1,2]'"),
        ("train.optimizer=adam,sgd", "--set 'train.optimizer=[adam,sgd]'"),
        ("train.tied=true,false", "--set 'train.tied=[true,false]'"),
        ("train.learning_rate=1e−3", "did you mean 1e-3?"),
        ("train.learning_rate=0.1,.3", "--set 'train.learning_rate=[0.1,.3]'"),
        ("train.learning_rate=0,1", "did you mean 0.1?"),
        ("train.steps=10,000", "did you mean 10000?"),
        ("train.steps=1,2,x", ""),
        ("seed=[1..3]", "allowed: a whole number, at least 0"),
    ] {
        let found = complaint(SMALL, &[set]);
        assert_eq!(found.split_once(" | ").unwrap().1, hint, "{found}");
    }
    assert_eq!(load(SMALL, &["train.optimizer=[adam,sgd]", "seed=1"]).unwrap().points.len(), 4);
    assert_eq!(
        load(SMALL, &["train.schedule={kind=cosine}"]).unwrap().points[0].stages["train"]["schedule"]["kind"],
        "cosine"
    );
    assert!(
        complaint(SMALL, &["seed=18446744073709551615"])
            .contains("is out of range; allowed: whole numbers, at most 9223372036854775807")
    );
}

#[test]
fn a_corpus_that_is_not_a_file_is_refused_with_what_it_is() {
    for (path, said) in [
        ("/dev/null", "/dev/null is not a regular file; allowed: a text file"),
        (".", ". is a folder; allowed: a text file"),
        ("~/x.txt", "no file ~/x.txt; ~ is not expanded here"),
        ("https://a.b/c", "https://a.b/c is a URL; allowed: a path"),
        ("file:///tmp/x", "file:///tmp/x is the URL of a local file; allowed: its path"),
        ("", "no file \"\""),
    ] {
        let found = complaint(&format!("name='p'\n[corpus]\ntext='{path}'\n"), &[]);
        assert!(found.starts_with(&format!("x.toml:3: corpus.text: {said} | ")), "{found}");
    }
    for (url, said) in [
        ("file:///tmp/x", "file:///tmp/x is the URL of a local file; allowed: its path | text = \"/tmp/x\""),
        (
            "ftp://a.b/c",
            "ftp://a.b/c: unsupported scheme ftp; allowed: http and https | download the file and give its path: text = \"…\"",
        ),
        ("a.b/c", "a.b/c is not a URL | url = \"https://…\""),
    ] {
        assert_eq!(
            complaint(&format!("name='p'\n[corpus]\nurl='{url}'\n"), &[]),
            format!("x.toml:3: corpus.url: {said}")
        );
    }
}

#[test]
fn what_would_fail_only_during_training_is_refused() {
    for (train, said) in [
        (
            "schedule={kind='plateau'}\n[corpus.split]\nvalid=0.0",
            "x.toml:5: train.schedule requires the validation loss, but the corpus has no validation text",
        ),
        (
            "steps=1000000000000",
            "x.toml:4: a run of 1000000000000 steps would keep 10000000001 checkpoints; at most 100000 are allowed",
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
