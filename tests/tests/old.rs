//! Databases that older programs wrote, one for each version of the schema: tests/old/README.md.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;
use tests::record::{Row, ask};
use tests::{Cell, TestSpace, repository};

/// What a view said when its program had written the database.
struct View {
    name: String,
    columns: Vec<String>,
    rows: Vec<Row>,
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cell::Integer(whole),
            None => Cell::Real(number.as_f64().unwrap().to_bits()),
        },
        Value::String(text) => Cell::Text(text.clone()),
        Value::Object(blob) => {
            let digits = blob["blob"].as_str().unwrap();
            let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
            Cell::Blob((0..digits.len()).step_by(2).map(byte).collect())
        }
        other => panic!("no cell: {other}"),
    }
}

/// Reads views.jsonl: a line that names a view and its columns, then a line for each of its rows.
fn views(folder: &Path) -> Vec<View> {
    let text = std::fs::read_to_string(folder.join("views.jsonl")).unwrap();
    let mut views: Vec<View> = Vec::new();
    for line in text.lines() {
        match serde_json::from_str(line).unwrap() {
            Value::Array(row) => views.last_mut().unwrap().rows.push(row.iter().map(cell).collect()),
            head => views.push(View {
                name: head["view"].as_str().unwrap().to_owned(),
                columns: serde_json::from_value(head["columns"].clone()).unwrap(),
                rows: Vec::new(),
            }),
        }
    }
    views.iter_mut().for_each(|view| view.rows.sort());
    views
}

fn open(folder: &Path) -> TestSpace {
    let space = TestSpace::new();
    let packed = std::fs::File::open(folder.join("experiments.db.gz")).unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    std::fs::write(space.path("experiments.db"), bytes).unwrap();
    space
}

/// Checks that the record is sound. Its store was not kept, and that is all there may be to say.
#[track_caller]
fn assert_sound(space: &TestSpace, version: i64) {
    let ended = space.pipeline(&["verify"]).complains(2, "no such store, but the record refers to ");
    assert_eq!(ended.stdout.lines().count(), 1, "version {version}: {ended}");
    assert!(ended.stdout.ends_with(" steps, no damage found\n"), "version {version}: {ended}");
    assert_eq!(space.texts("PRAGMA integrity_check"), ["ok"], "version {version}");
}

#[test]
fn a_database_of_each_version_is_brought_up_to_date_and_says_what_it_said() {
    let mut newest = BTreeSet::new();
    let mut versions = BTreeSet::new();
    for entry in std::fs::read_dir(repository().join("tests/old")).unwrap().flatten() {
        let folder = entry.path();
        if !folder.is_dir() {
            continue;
        }
        let version: i64 = entry.file_name().to_str().unwrap().parse().unwrap();
        let space = open(&folder);
        assert_eq!(space.number("PRAGMA user_version"), version);
        versions.insert(version);

        // The first command brings it up to date. It judges no run, which would write new verdicts.
        assert_sound(&space, version);
        newest.insert(space.number("PRAGMA user_version"));
        let views = views(&folder);
        assert!(views.iter().filter(|view| !view.rows.is_empty()).count() >= 8, "version {version} says little");
        for View { name, columns, rows } in views {
            let columns: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
            let query = format!("SELECT {} FROM {name}", columns.join(", "));
            let mut found = ask(&space.path("experiments.db"), &query)
                .unwrap_or_else(|error| panic!("version {version}: {query}: {error}"));
            found.sort();
            let differs = found.iter().zip(&rows).find(|(found, before)| found != before);
            assert!(
                found == rows,
                "version {version}: {name} had {} rows, now {}: {differs:?}",
                rows.len(),
                found.len()
            );
        }

        for words in [
            &["runs"][..],
            &["show", "run1"],
            &["show", "run2"],
            &["show", "run3"],
            &["compare", "run1", "run2"],
            &["diagnose", "run1"],
            &["diagnose", "run2"],
            &["diagnose", "run3"],
        ] {
            let ended = space.pipeline(words).ok();
            assert!(ended.stdout.contains("run1") || words[0] != "runs", "version {version}: {ended}");
        }
        let diverged = "SELECT run FROM run_verdicts WHERE verdict = 'diverged'";
        assert_eq!(space.rows(diverged), [[Cell::Integer(2)]], "version {version}");
        assert_sound(&space, version);
    }
    assert_eq!(newest.len(), 1, "all are of one version afterwards");
    let all: BTreeSet<i64> = (1..=versions.iter().copied().max().unwrap()).collect();
    assert_eq!(versions, all, "a database is missing");
    assert!(newest >= versions.iter().copied().max().into_iter().collect());
}
