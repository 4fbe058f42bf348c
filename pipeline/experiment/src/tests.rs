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

fn load(text: &str, overrides: &[&str]) -> Result<Experiment, Refusal> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("corpus.txt"), "to be or not to be\n".repeat(100)).unwrap();
    std::fs::write(folder.path().join("x.toml"), text).unwrap();
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    Experiment::load(Path::new("x.toml"), &overrides, folder.path(), folder.path())
}

fn complaint(text: &str, overrides: &[&str]) -> String {
    let failure = load(text, overrides).unwrap_err();
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
    assert!(point.stages.evaluate.is_none());
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
    assert_eq!(
        complaint(SMALL, &["train.lr=1"]),
        "--set 'train.lr=1': unknown key train.lr | did you mean train.learning_rate?"
    );
    // A terminal obeys nothing that an experiment holds.
    let escape = complaint(&with("sha256 = \"\\u001b[2J\""), &[]);
    assert!(escape.starts_with("x.toml:3: corpus.text: sha256 is \"\\u{1b}[2J\"; allowed: 64"), "{escape}");
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
fn a_point_stands_once() {
    for (study, said) in [
        (
            "[[study.points]]\ntrain.steps=4\n[[study.points]]\ntrain.steps=4\n",
            "x.toml:6: the study holds the point train.steps = 4 twice, first on line 4 | delete one of them",
        ),
        (
            "[[study.points]]\n[[study.points]]\n",
            "x.toml:5: the study holds the point (the experiment itself) twice, first on line 4 | delete one of them",
        ),
        (
            "[[study.points]]\ntrain.learning_rate=1\n[[study.points]]\ntrain.learning_rate=1.0\n",
            "x.toml:6: the study holds the point train.learning_rate = 1.0 twice, as train.learning_rate = 1 on line 4 | delete one of them",
        ),
        (
            "[[study.points]]\ntrain.learning_rate=0.001\n[[study.points]]\n",
            "x.toml:6: the study holds the point (the experiment itself) twice, as train.learning_rate = 0.001 on line 4 | delete one of them",
        ),
        ("[study]\nseed=[1,\n2,\n1]\n", "x.toml:7: seed lists 1 twice, first on line 5 | delete one of them"),
        (
            "[study]\ntrain.learning_rate=[1, 1.0]\n",
            "x.toml:5: train.learning_rate lists 1.0 twice | delete one of them",
        ),
    ] {
        assert_eq!(complaint(&format!("{BARE}{study}"), &[]), said);
    }
    assert_eq!(
        complaint(SMALL, &["train.learning_rate=[1,2,1]"]),
        "--set 'train.learning_rate=[1,2,1]': train.learning_rate lists 1 twice | delete one of them"
    );
}

#[test]
fn a_recorded_text_that_lists_a_point_twice_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("corpus.txt"), "to be or not to be\n".repeat(100)).unwrap();
    let text = format!("{BARE}[[study.points]]\ntrain.steps=4\n[[study.points]]\ntrain.steps=4\n");
    let read = Experiment::of_text(Path::new("x.toml"), text, &[], folder.path(), folder.path()).unwrap();
    assert_eq!(read.points.len(), 1);
    // An axis that an override replaces may hold anything.
    let text = format!("{BARE}[study]\nseed=[1,1]\n");
    let sets = ["seed=1".to_owned()];
    let read = Experiment::of_text(Path::new("x.toml"), text, &sets, folder.path(), folder.path()).unwrap();
    assert_eq!(read.points.len(), 1);
}

const TIED: &str = "name='p'\n[corpus]\ntext='corpus.txt'\n[train]\nhidden=16\n[study]\ntrain.tied=[true,false]\ntrain.embedding=[16,32,64]\nseed=[1,2]\n";

#[test]
fn points_that_can_not_be_are_named_with_what_leaves_them_out() {
    let found = complaint(TIED, &[]);
    let hint = "exclude = [{ train.tied = true, train.embedding = 32 }, { train.tied = true, train.embedding = 64 }]";
    assert_eq!(
        found,
        format!(
            "x.toml:7: train.tied wants embedding = hidden; they are 32 and 16; 4 of the study's 12 points: train.tied = true, \
             train.embedding = 32, seed = 1 | {hint} in [study] leaves out what can't be"
        )
    );
    let points = swept(&format!("{TIED}{hint}\n"), &[]);
    assert_eq!(points.len(), 8);
    assert_eq!(points[0], "train.tied=true train.embedding=16 seed=1");
    let first = "exclude = [{ train.tied = true, train.embedding = 32 }]";
    assert!(
        complaint(&format!("{TIED}{first}\n"), &[])
            .ends_with(" | add { train.tied = true, train.embedding = 64 } to exclude, which leaves out what can't be")
    );
    // [study] can't exclude what only the command line sweeps.
    let by_set = complaint(
        &format!("{BARE}[train]\nhidden=16\nembedding=16\n"),
        &["train.tied=[true,false]", "train.embedding=[16,32]"],
    );
    assert!(by_set.ends_with("train.tied = true, train.embedding = 32 | train.embedding = 16"), "{by_set}");
    // Where no point can be, none is to be left out.
    assert!(!complaint(TIED, &["train.tied=true", "train.embedding=[32,64]"]).contains("exclude"));
}

#[test]
fn what_is_excluded_is_left_out() {
    let with = |exclude: &str, sets: &[&str]| swept(&format!("{TIED}{exclude}\n"), sets);
    let lines = "[[study.exclude]]\ntrain.tied=true\ntrain.embedding=32\n[[study.exclude]]\n'train.tied'=true\ntrain.embedding=64.0\n";
    assert_eq!(with(lines, &[]).len(), 8);
    let exclude =
        "exclude = [{ train.tied = true, train.embedding = 32 }, { train.tied = true, train.embedding = 64 }]";
    // It stays where an axis is replaced, and goes with the axis where a key is set.
    assert_eq!(with(exclude, &["train.embedding=[16,32]"]).len(), 6);
    assert_eq!(with(exclude, &["train.tied=false"]).len(), 6);
    assert_eq!(with(exclude, &["train.embedding=16"]).len(), 4);
    // A run is pinned by its values, and its point found again.
    let experiment = load(&format!("{TIED}{exclude}\n"), &[]).unwrap();
    for point in &experiment.points {
        let pins = experiment.pins(point);
        let pins: Vec<&str> = pins.iter().map(String::as_str).collect();
        let again = load(&format!("{TIED}{exclude}\n"), &pins).unwrap().points;
        assert_eq!((again.len(), &again[0].stages), (1, &point.stages));
    }
    let said = |exclude: &str| complaint(&format!("{TIED}{exclude}\n"), &[]);
    for (exclude, words) in [
        ("exclude = 3", "x.toml:10: study.exclude holds 3; allowed: tables | exclude = [{ … }]"),
        ("exclude = [{}]", "x.toml:10: an empty table in exclude leaves out every point | exclude = [{ seed = 1 }]"),
        (
            "exclude = [{ train.hidden = 16 }]",
            "x.toml:10: exclude names train.hidden, which the study does not sweep | ",
        ),
        ("exclude = [{ train.hiden = 16 }]", "x.toml:10: unknown key train.hiden | did you mean train.hidden?"),
        ("exlude = [{ seed = 1 }]", "x.toml:10: unknown key exlude | did you mean exclude?"),
        (
            "exclude = [{ seed = 3 }]",
            "x.toml:10: exclude = [{ seed = 3 }] leaves out no point of the study | name values that the study lists",
        ),
        (
            "[[study.points]]\nseed = 4\nexclude = [{ seed = 1 }]",
            "x.toml:12: exclude is in a table within [study]; it belongs in [study] itself | move it to the line below [study]",
        ),
        ("exclude = [{ seed = 1 }, { seed = 2 }]", "x.toml:10: exclude leaves no point of the study | "),
        (
            "exclude = [{ seed = [1, 2] }]",
            "x.toml:10: exclude gives seed a list; allowed: one value | a table for each combination that is left out: exclude = [{ … }, { … }]",
        ),
    ] {
        assert_eq!(said(exclude), words, "{exclude}");
    }
}

#[test]
fn values_of_another_type_are_answered_by_what_was_meant() {
    for (set, hint) in [
        ("train.learning_rate=.01", "did you mean 0.01?"),
        ("train.learning_rate=\"0.1\"", "leave out the quotes: 0.1"),
        ("train.steps=1e2", "did you mean 100?"),
        ("train.steps=10k", "did you mean 10000?"),
        ("train.tied=False", "did you mean false?"),
        ("train.tied=1", "did you mean true?"),
        ("train.clip_norm=none", "train.clip_norm = 0 turns it off"),
        ("train.early_stopping=false", "leave train.early_stopping out: there is none by default"),
        ("train.warmup=None", "leave train.warmup out: its default is 0"),
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
        ("seed=[1..3]", "allowed: a whole number from 0 on"),
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
fn a_corpus_that_is_no_file_is_told_what_it_is() {
    for (path, said) in [
        ("/dev/null", "/dev/null is not a regular file; allowed: a text file"),
        (".", ". is a folder; allowed: a text file"),
        ("~/x.txt", "no file ~/x.txt; ~ is the shell's, and stands for nothing here"),
        ("https://a.b/c", "https://a.b/c is an address; allowed: a path"),
        ("file:///tmp/x", "file:///tmp/x is a file of this machine; allowed: its path"),
        ("", "no file \"\""),
    ] {
        let found = complaint(&format!("name='p'\n[corpus]\ntext='{path}'\n"), &[]);
        assert!(found.starts_with(&format!("x.toml:3: corpus.text: {said} | ")), "{found}");
    }
    for (url, said) in [
        ("file:///tmp/x", "file:///tmp/x is a file of this machine; allowed: its path | text = \"/tmp/x\""),
        (
            "ftp://a.b/c",
            "ftp://a.b/c: ftp is not fetched; allowed: http and https | fetch it by hand, and name the file: text = \"…\"",
        ),
        ("a.b/c", "a.b/c is not an address | url = \"https://…\""),
    ] {
        assert_eq!(
            complaint(&format!("name='p'\n[corpus]\nurl='{url}'\n"), &[]),
            format!("x.toml:3: corpus.url: {said}")
        );
    }
}

#[test]
fn what_is_not_toml_is_named_with_its_line_and_what_was_meant() {
    for (text, said) in [
        ("name='a'\nname='b'\n", "2: name is set twice, first on line 1 | delete one of the two"),
        (
            "name='a'\n[train]\nsteps=1\nhidden=2\nsteps=3\n",
            "5: train.steps is set twice, first on line 3 | delete one of the two",
        ),
        (
            "[train]\nsteps=1\n[corpus]\n[train]\n",
            "4: [train] stands twice, first on line 1 | put the keys of both under one of them",
        ),
        (
            "[[study.points]]\nseed=1\n[[study.points]]\nseed=2\nseed=3\n",
            "5: study.points.seed is set twice, first on line 4 | delete one of the two",
        ),
        ("name=\"w\n", "1: name: the text \"w has no closing quote | name = \"w\""),
        ("name \"w\"\n", "1: `name \"w\"` has no = between key and value | name = \"w\""),
        ("name: w\n", "1: `name: w` has no =; a key and its value are joined by =, not by : | name = \"w\""),
        ("[train]\ntied = True\n", "2: tied is True, which is not TOML | tied = true"),
        (
            "[train]\nclip_norm = None\n",
            "2: clip_norm is None, which TOML does not have | delete the line: clip_norm then has its default",
        ),
        ("[train]\noptimizer = adam\n", "2: optimizer is adam, a text without quotes | optimizer = \"adam\""),
        ("[train]\nlearning_rate = .5 # low\n", "2: learning_rate is .5, which is not TOML | learning_rate = 0.5"),
        ("[train]\nsteps = 10,000\n", "2: steps is 10,000, which is not TOML | steps = 10000"),
        (
            "[study]\nseed = [1, 2\ntrain.hidden = [3]\n",
            "2: the list that begins here has no closing ] | seed = [1, 2]",
        ),
        (
            "[study]\nseed = [\n  1,\n  2\n",
            "2: the list that begins here has no closing ] | close it on the line of its last item, or on a line of its own",
        ),
        ("[study]\nseed = [\n  1,\n  .2,\n]\n", "4: .2 is not TOML | 0.2"),
        ("[study]\nseed = [\n  1\n  2,\n]\n", "3: 1 has no comma after it | 1,"),
        ("[study]\nseed = [0,, 1]\n", "2: seed is [0,, 1], which is not TOML | seed = [0, 1]"),
        ("seed = −16\n", "1: seed is −16, which is not TOML | seed = -16"),
        (
            "name = 'a'\n\"\"\"\n",
            "2: the quotes `\"\"\"` stand alone | allowed on a line: KEY = VALUE, [TABLE], or # and a comment",
        ),
        (
            "[train]\nschedule = { kind = 'cosine' }\nschedule.floor = 0.1 # low\n",
            "3: train.schedule.floor would add to train.schedule, which line 2 sets as a whole | \
             add floor = 0.1 to line 2, in its braces",
        ),
        (
            "[train]\nschedule = { kind = 'cosine' }\n[train.schedule]\nfloor = 0.1\n",
            "3: [train.schedule] stands twice, first on line 2 | put the keys of both under one of them",
        ),
        ("[train\nsteps = 1\n", "1: `[train` is not the header of a table | [train]"),
        ("[train]\nsteps = 1 // few\n", "2: a comment begins with #, not with // | steps = 1 # few"),
        ("[train]\noptimizer = “adam”\n", "2: “ is not a TOML quote; allowed: \" or ' | optimizer = \"adam\""),
        ("[train]\nsteps\u{a0}= 1\n", "2: the character U+00A0 can't stand here | steps = 1"),
        (
            "[train]\nsteps = 1\rhidden = 2\r",
            "2: a line ends in a carriage return alone; allowed: a newline, or both | tr '\\r' '\\n' < old.toml > new.toml",
        ),
        (
            "[train]\nlearning rate = 1\n",
            "2: `learning rate` is not a key; allowed: letters, digits, _ and -, or any text in quotes | learning_rate = 1",
        ),
        ("[train]\nsteps = 1, hidden = 2\n", "2: steps and hidden stand on one line | give each a line of its own"),
        ("{\"name\": \"w\"}\n", "1: this looks like JSON; an experiment is TOML | name = \"lr_study\""),
    ] {
        assert_eq!(complaint(text, &[]), format!("x.toml:{said}"), "{text}");
    }
    // A mark of the byte order, CRLF and tabs are TOML's own.
    load(&format!("\u{feff}{}", BARE.replace('\n', "\r\n").replace('=', "\t=\t")), &[]).unwrap();
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
