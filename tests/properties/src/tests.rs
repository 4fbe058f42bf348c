//! Every property, over the whole corpus and over what proptest makes of it.

use std::path::{Path, PathBuf};

use identity::observations::{Event, Measured};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use serde_json::{Value, json};
use stages::protocol::{Done, Order, Reply, Request, Segment, read_frame, write_frame};

use crate::{TARGETS, Target};

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(name)
}

/// The inputs of a target's folder.
fn inputs(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(corpus(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut inputs: Vec<(PathBuf, Vec<u8>)> =
        entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    inputs.sort();
    inputs
}

/// One change to some bytes: at a place, so many of them give way to others.
type Change = (Index, usize, Vec<u8>);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let words: Vec<Vec<u8>> = [
        "",
        "\n",
        "\"",
        "'",
        "[",
        "]",
        "{",
        "}",
        "=",
        ".",
        ",",
        "-",
        "@",
        ":",
        ";",
        "--",
        "/*",
        "*/",
        "\0",
        "\u{1b}[2J",
        "é",
        "\u{feff}",
        "1e999",
        "-1",
        "0",
        "99999999999999999999",
        "nan",
        "inf",
        "[[",
        "study",
        "run",
        "latest",
        "\"\"\"",
    ]
    .iter()
    .map(|word| word.as_bytes().to_vec())
    .collect();
    let numbers = select(vec![0u32, 1, 0xff, 0x7fff_ffff, 0xffff_ffff, 1 << 26]).prop_map(|n| n.to_le_bytes().to_vec());
    let piece = prop_oneof![3 => select(words), 1 => numbers, 2 => vec(any::<u8>(), 0..4)];
    vec((any::<Index>(), 0usize..6, piece), 0..6)
}

fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (place, removed, put) in changes {
        let at = place.index(bytes.len() + 1);
        let end = (at + removed).min(bytes.len());
        bytes.splice(at..end, put.iter().copied());
    }
    bytes
}

/// Without a file of its own for failures: what fails belongs into the corpus, as it was shrunk.
fn runner(cases: u32) -> TestRunner {
    let persistence: Option<Box<FileFailurePersistence>> = None;
    let failure_persistence = persistence.map(|it| it as _);
    TestRunner::new(Config { cases, failure_persistence, ..Config::default() })
}

/// A property holds of its corpus, of changed inputs of it, and of any bytes.
fn hold(name: &str) {
    let (_, target): (_, Target) = TARGETS.into_iter().find(|(target, _)| *target == name).unwrap();
    let inputs = inputs(name);
    assert!(inputs.len() >= 20, "{name} has few inputs");
    for (path, bytes) in &inputs {
        let held = std::panic::catch_unwind(|| target(bytes));
        assert!(held.is_ok(), "{}", path.display());
    }
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300);
    let entries: Vec<Vec<u8>> = inputs.into_iter().map(|(_, bytes)| bytes).collect();
    let any_input = prop_oneof![
        9 => (select(entries), changes()).prop_map(|(bytes, changes)| changed(&bytes, &changes)),
        1 => vec(any::<u8>(), 0..200),
    ];
    let run = |bytes: Vec<u8>| {
        target(&bytes);
        Ok(())
    };
    if let Err(failure) = runner(cases).run(&any_input, run) {
        panic!("{name}: {failure}");
    }
}

#[test]
fn experiments_are_read_or_refused() {
    hold("experiment");
}

#[test]
fn sets_are_read_or_refused() {
    hold("set");
}

#[test]
fn frames_are_read_or_refused_however_they_are_cut() {
    hold("frames");
}

#[test]
fn types_are_read_or_refused() {
    hold("types");
}

#[test]
fn ids_are_read_or_refused() {
    hold("ids");
}

#[test]
fn plans_are_read_or_refused() {
    hold("plan");
}

#[test]
fn tensors_are_read_or_refused() {
    hold("tensors");
}

#[test]
fn selectors_name_runs_or_are_refused() {
    hold("selector");
}

#[test]
fn queries_change_nothing() {
    hold("sql");
}

#[test]
fn every_target_has_a_corpus_and_a_fuzzer() {
    let mut folders: Vec<String> = std::fs::read_dir(corpus("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let mut names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    assert_eq!(folders, names);
    let manifest = std::fs::read_to_string(corpus("../fuzz/Cargo.toml")).unwrap();
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} has no fuzzer");
    }
}

/// Any float, to the bit, NaN aside: one NaN is as good as another.
fn measured() -> impl Strategy<Value = Measured> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("a number", |x| !x.is_nan()).prop_map(Measured)
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("a number", |x| x.is_finite()).prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(".*", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn requests() -> impl Strategy<Value = Request> {
    let looks = vec((any::<u64>(), measured()), 0..4);
    let segment = (any::<[u64; 4]>(), proptest::option::of(".*"), vec(any::<u64>(), 0..4), looks, any::<Option<u64>>());
    let segment =
        segment.prop_map(|([from, to, length, checkpoint_seconds], path, checkpoints, looks, inspect)| Segment {
            from,
            to,
            length,
            weights: path.clone().map(Into::into),
            state: path.map(Into::into),
            checkpoints,
            looks,
            checkpoint_seconds,
            inspect,
        });
    let inputs = proptest::collection::btree_map(".*", ".*".prop_map(PathBuf::from), 0..3);
    let order = (any::<u64>(), ".*", json(), inputs, any::<u32>(), proptest::option::of(segment));
    let order = order.prop_map(|(id, stage, params, inputs, threads, segment)| {
        Request::Order(Box::new(Order { id, stage, params, inputs, folder: "f".into(), threads, segment }))
    });
    let threads = any::<(u64, u32)>().prop_map(|(order, threads)| Request::Threads { order, threads });
    prop_oneof![Just(Request::Stop), order, threads]
}

fn replies() -> impl Strategy<Value = Reply> {
    let event = (any::<Option<u64>>(), ".*", ".*");
    let event = event.prop_map(|(step, kind, message)| Reply::Event(Event { step, kind, message }));
    let done = (any::<u64>(), any::<Option<u64>>(), any::<bool>(), json());
    let done = done.prop_map(|(order, reached, stopped, report)| {
        Reply::Done(Done { order, reached, stopped, peak_memory: order / 2, report })
    });
    let failed = (any::<u64>(), ".*", any::<Option<i32>>());
    let failed = failed.prop_map(|(order, message, os_error)| Reply::Failed { order, message, os_error });
    prop_oneof![event, done, failed]
}

/// Messages come back from a stream as they were sent, and a stream that is cut short anywhere gives those before the
/// cut and then, within a frame, an error.
fn come_back<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(
    messages: &[T],
    cut: Index,
) -> Result<(), TestCaseError> {
    let (mut bytes, mut ends) = (Vec::new(), vec![0]);
    for message in messages {
        write_frame(&mut bytes, message).unwrap();
        ends.push(bytes.len());
    }
    let cut = cut.index(bytes.len() + 1);
    let mut stream = &bytes[..cut];
    for (message, end) in messages.iter().zip(&ends[1..]) {
        match read_frame::<T>(&mut stream) {
            Ok(Some(read)) => prop_assert!(*end <= cut && read == *message, "{read:?} was {message:?}"),
            Ok(None) => prop_assert!(ends.contains(&cut) && cut < *end),
            Err(_) => prop_assert!(!ends.contains(&cut) && cut < *end),
        }
        if *end > cut {
            break;
        }
    }
    Ok(())
}

#[test]
fn messages_come_back_to_the_bit_and_a_cut_is_noticed() {
    runner(300).run(&(vec(requests(), 0..4), any::<Index>()), |(messages, cut)| come_back(&messages, cut)).unwrap();
    runner(300).run(&(vec(replies(), 0..4), any::<Index>()), |(messages, cut)| come_back(&messages, cut)).unwrap();
}
