//! Input that is wrong is refused in one line, and nothing that was recorded changes.

use tests::TestSpace;

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
        (&["run", "experiments/tiny.toml", "--db", "none/experiments.db"], "none/"),
    ] {
        space.pipeline(words).complains(2, says);
        assert_eq!(space.dump(), before, "{words:?}");
    }
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
