//! Tests of the whole stage.

use super::*;
use crate::files::Types;
use crate::params::{Split, Unit};
use crate::testing::{Space, ids, output};

fn params(unit: Unit, eos: &str, split: Option<(f64, f64)>) -> Tokenize {
    let split = split.map(|(valid, test)| Split { valid, test });
    Tokenize { unit, lowercase: false, eos: eos.into(), split }
}

fn texts(outcome: &StageOutcome, split: &str) -> Vec<String> {
    let types = Types::load(output(outcome, "types")).unwrap();
    ids(outcome, split).iter().map(|id| types.types[*id as usize].clone()).collect()
}

fn complaint(params: &Tokenize, space: &Space) -> (String, String) {
    match run(params, &space.context).unwrap_err() {
        StageError::Input { key, message, .. } => (key, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn three_files_share_their_types() {
    let space = Space::new().with("train", "b a b\n\nc\r\nlast").with("valid", "a d").with("test", "e\n");
    let outcome = run(&params(Unit::Whitespace, "<eos>", None), &space.context).unwrap();
    let types = Types::load(output(&outcome, "types")).unwrap();
    assert_eq!(types.types, ["b", "a", "<eos>", "c", "last", "d", "e"]);
    assert_eq!(types.counts, [2, 1, 4, 1, 1, 0, 0]);
    assert_eq!(ids(&outcome, "train"), [0, 1, 0, 2, 2, 3, 2, 4, 2]);
    assert_eq!(ids(&outcome, "valid"), [1, 5, 2]);
    assert_eq!(
        outcome.report,
        json!({
            "tokens": { "train": 9, "valid": 3, "test": 2 },
            "types": { "train": 5, "valid": 3, "test": 2 },
            "bytes": 19, "lines": 6,
        })
    );
    assert_eq!(space.context.progress.load(std::sync::atomic::Ordering::Relaxed), 1000);
}

#[test]
fn outputs_are_empty_without_valid_and_test() {
    let space = Space::new().with("train", "x\n");
    let outcome = run(&params(Unit::Char, "", None), &space.context).unwrap();
    assert_eq!(texts(&outcome, "train"), ["x", "\n"]);
    assert!(ids(&outcome, "valid").is_empty() && ids(&outcome, "test").is_empty());
}

#[test]
fn a_text_is_cut_where_lines_start() {
    let space = Space::new().with("text", "a a\nb b\nc c\nd d\ne e");
    let cut = |valid, test, block| {
        let params = params(Unit::Whitespace, "", Some((valid, test)));
        let outcome = run_in_blocks(&params, &space.context, block).unwrap();
        SPLITS.map(|split| texts(&outcome, split).concat())
    };
    for block in [4, 5, 100] {
        assert_eq!(cut(0.2, 0.2, block), ["aabbcc", "dd", "ee"]);
        assert_eq!(cut(0.3, 0.2, block), ["aabbcc", "dd", "ee"]);
        assert_eq!(cut(0.0, 0.0, block), ["aabbccddee", "", ""]);
        assert_eq!(cut(0.0, 0.5, block), ["aabbcc", "", "ddee"]);
    }
}

#[test]
fn any_block_size_gives_the_same_files() {
    let text = "Ünï—cödé, “quotes” 中文…\r\nΣίσυφος 😀\u{200d}x \u{3000} tail\r\r\n\r".repeat(40);
    let space = Space::new().with("text", &text);
    for unit in [Unit::Whitespace, Unit::Word, Unit::Char] {
        for eos in ["", "<eos>"] {
            let mut params = params(unit, eos, Some((0.2, 0.1)));
            for lowercase in [false, true] {
                params.lowercase = lowercase;
                let all = |block| {
                    let outcome = run_in_blocks(&params, &space.context, block).unwrap();
                    let files = outcome.outputs.iter().map(|output| std::fs::read(&output.path).unwrap());
                    (files.collect::<Vec<_>>(), outcome.report)
                };
                let expected = all(BLOCK);
                for block in [4, 5, 6, 7, 64] {
                    assert!(all(block) == expected, "{params:?} in blocks of {block}");
                }
            }
        }
    }
}

#[test]
fn errors_name_the_key_of_the_bad_text() {
    let word = params(Unit::Word, "<eos>", None);
    let split = |valid, test| params(Unit::Word, "<eos>", Some((valid, test)));
    let empty = Space::new().with("train", "");
    assert_eq!(complaint(&word, &empty), ("corpus.train".into(), "corpus.train contains no tokens".into()));
    let empty = Space::new().with("train", "x").with("test", "");
    assert_eq!(complaint(&word, &empty).0, "corpus.test");
    let empty = Space::new().with("text", "");
    assert_eq!(complaint(&split(0.1, 0.1), &empty), ("corpus.text".into(), "corpus.text contains no tokens".into()));
    let one_line = Space::new().with("text", "one line only");
    assert_eq!(complaint(&split(0.1, 0.1), &one_line).0, "corpus.split");
    assert!(complaint(&split(0.5, 0.5), &one_line).1.contains("below 1"));
    let latin = Space::new().with("valid", b"caf\xe9").with("train", "x");
    assert!(complaint(&word, &latin).1.starts_with("corpus.valid is not UTF-8: line 1, byte offset 3"));
}

#[test]
fn a_request_to_stop_ends_the_stage() {
    let space = Space::new().with("train", "x");
    space.context.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = run(&params(Unit::Word, "<eos>", None), &space.context).unwrap_err();
    assert!(matches!(error, StageError::Cancelled(_)));
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let marked = "\u{feff}First line\nsecond \u{feff}line\n";
    let plain = "First line\nsecond \u{feff}line\n";
    for unit in [Unit::Whitespace, Unit::Word, Unit::Char] {
        let of = |text: &str| {
            let space = Space::new().with("train", text).with("valid", text);
            let outcome = run(&params(unit, "<eos>", None), &space.context).unwrap();
            (texts(&outcome, "train"), texts(&outcome, "valid"))
        };
        assert_eq!(of(marked), of(plain));
    }
    let space = Space::new().with("text", "\u{feff}a\nb\nc\n");
    let outcome = run(&params(Unit::Char, "", Some((0.3, 0.0))), &space.context).unwrap();
    assert_eq!(texts(&outcome, "train").concat(), "a\nb\n");
}
