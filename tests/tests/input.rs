//! Input that is wrong is refused in one line, and nothing that was recorded changes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use tests::{Started, TestSpace, copy_folder};

/// A space with a record in it, so that there is something that must not change.
fn recorded() -> TestSpace {
    let space = TestSpace::new();
    space.run("tiny", &["--until", "batch"]).ok();
    space
}

#[test]
fn wrong_experiments_are_refused_with_file_and_line() {
    let space = recorded();
    let text = space.read("experiments/tiny.toml");
    let before = space.dump();
    for (right, wrong, words, hint) in [
        ("hidden = 32", "hiden = 32", "unknown key train.hiden", "hidden"),
        ("hidden = 32", "hidden = \"32\"", "train.hidden is \"32\"; allowed: a whole number", ""),
        ("hidden = 32", "hidden = 0", "train.hidden is 0; allowed: a whole number from 1", ""),
        ("\"adam\"", "\"adem\"", "train.optimizer is \"adem\"; allowed: \"sgd\"", "did you mean adam?"),
        ("size = 1000", "size = 1", "vocab.size is 1; allowed: at least 2", "vocab.size"),
        ("sonnets.txt", "sonets.txt", "no file", ""),
        ("size = 16", "size = 65536", "batch.size 65536", ""),
        ("[vocab]", "[vocab", "", ""),
        ("[0.01, 1e38]", "[]", "train.learning_rate", ""),
    ] {
        let line = 1 + text.lines().position(|line| line.contains(right)).expect("a line of tiny.toml");
        space.write("experiments/wrong.toml", &text.replacen(right, wrong, 1));
        let ended = space.run("wrong", &[]).complains(2, words).hints(hint);
        assert!(ended.stdout.is_empty(), "{ended}");
        assert!(
            ended.stderr.contains(&format!("experiments/wrong.toml:{line}: ")),
            "line {line} is not named\n{ended}"
        );
        assert_eq!(space.dump(), before, "{wrong}: the record changed");
    }
}

#[test]
fn wrong_words_on_the_command_line_are_refused() {
    let space = recorded();
    let before = space.dump();
    for (words, says) in [
        (&["run", "experiments/none.toml"][..], "experiments/none.toml"),
        (&["run", "experiments"], "experiments"),
        (&["run", "experiments/tiny.toml", "--set", "train.learning_rte=1"], "unknown key train.learning_rte"),
        (&["run", "experiments/tiny.toml", "--set", "train.steps"], "KEY=VALUE"),
        (&["run", "experiments/tiny.toml", "--set", "train.steps=many"], "train.steps"),
        (&["run", "experiments/tiny.toml", "--jobs", "0"], "0"),
        (&["run", "experiments/tiny.toml", "--until", "trian"], "trian"),
        (&["rnu"], "rnu"),
        (&["show", "run99"], "run99"),
        (&["show", "newest"], "newest"),
        (&["compare", "run1", "run99"], "run99"),
        (&["compare", "study:none"], "none"),
        (&["runs", "--where", "train.learning_rte>1"], "train.learning_rte"),
        (&["sql", "SELECT none FROM runs"], "none"),
        (&["sql", "DELETE FROM runs"], ""),
        (&["sql", "PRAGMA user_version = 3"], ""),
        (&["dag", "experiments/none.toml"], "experiments/none.toml"),
        (&["runs", "--db", "data/none.db"], "data/none.db"),
        (&["run", "experiments/tiny.toml", "--db", "none/experiments.db"], "none: no such folder"),
    ] {
        space.pipeline(words).complains(2, says);
        assert_eq!(space.dump(), before, "{words:?}");
    }
    let reserved = space.pipeline(&["run", "experiments/tiny.toml", "--db", "other.db-wal"]);
    reserved.complains(2, "names ending in -wal are reserved").hints("name another database");
    let a_run = space.pipeline(&["run", "run1"]);
    a_run.complains(2, "run1: no such experiment").hints("to recompute that run: pipeline reproduce run1");
    // The kernel answers EIO to whoever reads this from its beginning.
    space.pipeline(&["run", "/proc/self/mem"]).complains(1, "Input/output error");
    let no_folder = space.pipeline(&["run", "experiments/tiny.toml", "--db", "none/experiments.db"]);
    no_folder.complains(2, "none: no such folder").hints(&format!("mkdir -p {}", space.path("none").display()));
    assert!(!space.path("none").exists() && !space.path("data/none.db").exists());
}

#[test]
fn a_corpus_without_words_is_refused_before_anything_is_written() {
    for text in [String::new(), " \n\t \n\n  ".repeat(500)] {
        let space = TestSpace::new();
        space.write("data/sonnets.txt", &text);
        space.run("tiny", &[]).complains(2, "corpus.text");
        if space.path("experiments.db").exists() {
            assert_eq!(space.counts(), (0, 0, 0));
        }
        let space = recorded();
        let before = space.dump();
        space.write("data/sonnets.txt", &text);
        space.run("tiny", &[]).complains(2, "corpus.text");
        assert_eq!(space.dump(), before);
    }
}

#[test]
fn a_corpus_that_is_no_text_is_refused_with_its_line() {
    let space = TestSpace::new();
    let text = space.read("data/sonnets.txt").into_bytes();
    let at = 1 + text.iter().position(|byte| *byte == b'\n').unwrap();
    std::fs::write(space.path("data/sonnets.txt"), [&text[..at], b"bad \xff byte\n", &text[at..]].concat()).unwrap();
    space.run("tiny", &[]).complains(2, "line 2");
    space.assert_nothing_runs();
}

#[test]
fn a_batch_that_the_corpus_cannot_fill_is_refused_before_anything_is_written() {
    // By its bytes the corpus could fill it; by its tokens it can't.
    let space = TestSpace::new();
    space.write("data/sonnets.txt", &"everlastingly incomprehensible considerations\n".repeat(60));
    for words in
        [&["--set", "batch.size=100"][..], &["--set", "batch.size=[2,100]"], &["--set", "batch.size=100", "--dry-run"]]
    {
        let ended = space.run("tiny", words).complains(2, "batch.size").hints("batch.size");
        assert!(ended.stderr.contains("tokens"), "{ended}");
        if space.path("experiments.db").exists() {
            assert_eq!(space.counts(), (0, 0, 0), "{words:?}");
        }
    }
    space.run("tiny", &["--set", "batch.size=2", "--set", "train.steps=20"]).ok();
}

#[test]
fn what_is_no_experiment_is_refused_at_once() {
    let space = recorded();
    let before = space.dump();
    std::fs::File::create(space.path("huge.toml")).unwrap().set_len(3 << 30).unwrap();
    for (path, says) in [
        ("/dev/zero", "/dev/zero is neither a file nor a pipe"),
        ("/dev/null", "/dev/null is neither a file nor a pipe"),
        ("experiments", "experiments is a folder; allowed: a TOML file"),
        ("huge.toml", "huge.toml is larger than 8 MiB"),
    ] {
        for command in ["run", "dag", "lr-range"] {
            let ended = space.pipeline(&[command, path]).complains(2, says);
            assert!(ended.stderr.contains("hint: "), "{ended}");
            assert!(ended.seconds < 20.0, "{} s\n{ended}", ended.seconds);
        }
    }
    assert_eq!(space.dump(), before);
    // A pipe is as good as a file, as bash's <(…) has one.
    let program = space.command(&[]).get_program().to_owned();
    let script = "cat experiments/tiny.toml | \"$0\" run /dev/stdin --dry-run --until vocab";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]).arg(program).current_dir(space.path("."));
    let ended = Started::new(&mut command).end().ok();
    assert!(ended.stderr.contains("2 cached; nothing to compute"), "{ended}");
}

#[test]
fn paths_that_are_not_utf8_are_refused_with_their_bytes_or_work() {
    let space = recorded();
    let before = space.dump();
    let odd = |name: &[u8]| std::ffi::OsStr::from_bytes(name).to_owned();
    let run = |folder: &Path, words: &[&OsStr]| {
        let mut command = space.command(&[]);
        command.args(words).current_dir(folder);
        Started::new(&mut command).end()
    };
    let here = space.path(".");
    let [tiny, dry, db, set] = ["experiments/tiny.toml", "--dry-run", "--db", "--set"].map(OsStr::new);
    let store = "--store".as_ref();
    for (words, says) in [
        (&["run".as_ref(), tiny, db, &odd(b"x\xff.db")][..], "x\\xFF.db\": the path of a database must be valid UTF-8"),
        (&["runs".as_ref(), db, &odd(b"x\xff.db")], "x\\xFF.db\": the path of a database must be valid UTF-8"),
        (
            &["run".as_ref(), tiny, db, "new.db".as_ref(), store, &odd(b"s\xff")],
            "s\\xFF\": the store's path is not valid UTF-8",
        ),
        (
            &["run".as_ref(), &odd(b"odd\xff/experiments/tiny.toml"), dry],
            "\"odd\\xFF/experiments/tiny.toml\": path is not valid UTF-8",
        ),
        (&["run".as_ref(), &odd(b"none\xff.toml"), dry], "\"none\\xFF.toml\": path is not valid UTF-8"),
        (
            &["report".as_ref(), "run1".as_ref(), "-o".as_ref(), &odd(b"x.\xff")],
            "\"x.\\xFF\": a report is an HTML file",
        ),
        (&["run".as_ref(), tiny, set, &odd(b"name=\xff")], "UTF-8"),
    ] {
        let ended = run(&here, words).complains(2, says);
        assert!(ended.stdout.is_empty(), "{ended}");
    }
    assert_eq!(space.dump(), before);
    // In such a folder a database of its own can't be opened, and its corpus can't be recorded.
    let alone = TestSpace::new();
    let folder = alone.path(".").join(odd(b"odd\xff"));
    copy_folder(&alone.path("experiments"), &folder.join("experiments"));
    copy_folder(&alone.path("data"), &folder.join("data"));
    run(&folder, &["runs".as_ref()])
        .complains(2, "odd\\xFF/experiments.db\": the path of a database must be valid UTF-8")
        .hints("--db");
    let elsewhere = alone.path("new.db");
    run(&folder, &["run".as_ref(), tiny, db, elsewhere.as_os_str()])
        .complains(2, "odd\\xFF/data/sonnets.txt\": path is not valid UTF-8");
}

#[test]
fn sql_has_no_parameters() {
    let space = recorded();
    for name in [":a", "$a", "@a", "?", "?1"] {
        let ended = space.pipeline(&["sql", &format!("SELECT {name}")]);
        ended
            .complains(2, &format!("{name} is a query parameter, and no value can be given for it"))
            .hints("pipeline sql '");
    }
    space.pipeline(&["sql", "selct 1"]).complains(2, "selct is not a statement").hints("SELECT");
    let ended = space.pipeline(&["sql", "--format", "csv", "SELECT ':a?' AS a -- $b"]).ok();
    assert_eq!(ended.stdout, "a\n:a?\n");
}

#[test]
fn a_run_that_stopped_as_asked_is_not_called_interrupted() {
    let space = TestSpace::new();
    let ended = space.run("tiny", &["--until", "vocab"]).ok();
    assert!(ended.stdout.contains("stopped as requested"), "{ended}");
    for words in [&["runs"][..], &["show", "run1"]] {
        let ended = space.pipeline(words).ok();
        assert!(ended.stdout.contains("stopped at vocab") && !ended.stdout.contains("interrupted"), "{ended}");
    }
    // What SQL and --where call it has not changed.
    let ended = space.pipeline(&["sql", "--format", "csv", "SELECT DISTINCT status FROM run_summary"]).ok();
    assert_eq!(ended.stdout, "status\ninterrupted\n");
    let ended = space.pipeline(&["runs", "--where", "status=interrupted", "--json"]).ok();
    assert_eq!(ended.stdout.matches("\"status\": \"interrupted\"").count(), 2, "{ended}");
}

#[test]
fn a_study_leaves_points_out() {
    let space = TestSpace::new();
    let study = "[study]\ntrain.tied = [true, false]\ntrain.embedding = [16, 32]\n";
    let text = space.read("experiments/tiny.toml");
    let (head, _) = text.split_once("[study]").expect("tiny.toml has a study");
    space.write("experiments/grid.toml", &format!("{head}{study}"));
    let ended =
        space.run("grid", &[]).complains(2, "one of the study's 4 points: train.tied = true, train.embedding = 16");
    let hint = ended.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap_or_default();
    let (_, exclude) = hint.split_once("add to [study]: ").unwrap_or_else(|| panic!("{ended}"));
    space.write("experiments/grid.toml", &format!("{head}{study}{exclude}\n"));
    space.run("grid", &["--set", "train.steps=4"]).ok();
    assert_eq!(space.number("SELECT count(*) FROM runs WHERE status = 'finished'"), 3);
    // A recorded point is found again.
    let ended = space.pipeline(&["fork", "run2", "--at", "2", "--set", "train.learning_rate=0.1", "--dry-run"]).ok();
    assert!(ended.stdout.contains("would execute train"), "{ended}");
}
