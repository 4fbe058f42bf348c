//! Answers in each format, and refused queries.

use super::*;
use crate::ui::watch::Terminal;
use fixture::Fixture;
use session::{Reader, judge};

fn said(query: &str, format: RowFormat) -> Result<String, String> {
    let fixture = Fixture::new();
    let mut out = Vec::new();
    answer(&mut fixture.record(), query, format, &mut out)
        .map_err(|failure| format!("{} | {}", failure.message, failure.hint))?;
    Ok(String::from_utf8(out).unwrap())
}

const VALUES: &str = "SELECT 1 AS a, 0.1 AS b, NULL AS c, x'00ff' AS d, 'a,\"b\"' AS e, 9e999 AS f, 2.0 AS g";

#[test]
fn values_in_each_format() {
    assert_eq!(
        said(VALUES, RowFormat::Table).unwrap(),
        "a    b  c  d     e        f    g\n1  0.1     00ff  a,\"b\"  inf  2.0\n"
    );
    assert_eq!(said(VALUES, RowFormat::Csv).unwrap(), "a,b,c,d,e,f,g\n1,0.1,,00ff,\"a,\"\"b\"\"\",inf,2.0\n");
    let json = "[\n  {\"a\": 1, \"b\": 0.1, \"c\": null, \"d\": \"00ff\", \"e\": \"a,\\\"b\\\"\", \"f\": \"inf\", \"g\": 2.0}\n]\n";
    assert_eq!(said(VALUES, RowFormat::Json).unwrap(), json);
    assert_eq!(said("SELECT run FROM run_summary WHERE run > 99", RowFormat::Json).unwrap(), "[]\n");
    assert_eq!(said("SELECT run, status FROM run_summary WHERE run > 99", RowFormat::Csv).unwrap(), "run,status\n");
    // A view's columns have no types, and the values of one column may have different types.
    let mixed =
        "SELECT value FROM run_params WHERE run = 1 AND name IN ('train.tied', 'train.clip_norm', 'train.optimizer')";
    assert_eq!(said(mixed, RowFormat::Csv).unwrap(), "value\n1.25\nsgd\n0\n");
}

#[test]
fn an_error_is_one_line_with_a_hint() {
    let wrong = |query: &str| said(query, RowFormat::Table).unwrap_err();
    assert_eq!(
        wrong("SELECT learning_rte FROM run_summary"),
        "no such column: learning_rte | did you mean learning_rate?"
    );
    assert_eq!(
        wrong("SELECT * FROM run_summary WHERE run = run1"),
        "no such column: run1 | in SQL a run is a number: run = 1"
    );
    assert_eq!(wrong("SELECT * FROM run_sumary"), "no such table: run_sumary | did you mean run_summary?");
    assert_eq!(
        wrong("SELEC 1"),
        "SELEC is not a statement; allowed: SELECT, WITH, VALUES, EXPLAIN and PRAGMA | did you mean SELECT?"
    );
    assert_eq!(
        wrong("delete from runs"),
        "the database is opened read-only, so DELETE is refused; allowed: SELECT, WITH, VALUES, EXPLAIN and PRAGMA | `pipeline sql` only reads; to write, run sqlite3 on a copy of the database"
    );
    assert_eq!(
        wrong("SELECT 1; SELECT 2"),
        "only one statement is allowed; another starts at `SELECT 2` | run each separately: pipeline sql '…'; pipeline sql '…'"
    );
    for name in [":a", "$a", "@a", "?", "?1"] {
        assert_eq!(
            wrong(&format!("SELECT ':x', {name}")),
            format!(
                "{name} is a query parameter, and no value can be given for it | put the value in the query: pipeline sql 'SELECT * FROM run_steps WHERE run = 1'"
            )
        );
    }
    assert_eq!(said("SELECT ':x?' AS \"@a\" -- $b", RowFormat::Csv).unwrap(), "@a\n:x?\n");
    assert!(wrong("SELECT 1\0 + 1").starts_with("the query contains a NUL character"));
    assert_eq!(wrong("SELECT (1"), "incomplete input | ");
    assert!(
        wrong("WITH a AS (SELECT 1) DELETE FROM runs").contains("readonly"),
        "{}",
        wrong("WITH a AS (SELECT 1) DELETE FROM runs")
    );
}

/// Adversarial queries, which `tests/properties` runs too.
#[test]
fn every_format_is_well_formed_for_adversarial_queries() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/sql");
    let fixture = Fixture::new();
    let mut record = fixture.record();
    let mut answered = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(query) = std::fs::read_to_string(&path) else { continue };
        // This query never ends.
        if path.ends_with("recursive.sql") {
            continue;
        }
        let mut said = |format| {
            let mut out = Vec::new();
            answer(&mut record, &query, format, &mut out).ok().map(|()| String::from_utf8(out).unwrap())
        };
        let [table, csv, json] = [RowFormat::Table, RowFormat::Csv, RowFormat::Json].map(&mut said);
        let (Some(table), Some(csv), Some(json)) = (&table, &csv, &json) else {
            assert_eq!((table, csv, json), (None, None, None), "{}", path.display());
            continue;
        };
        let rows: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
        let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(csv.as_bytes());
        assert_eq!(reader.records().map(Result::unwrap).count(), rows.len(), "{}", path.display());
        assert!(!table.chars().any(|c| c != '\n' && stages::plain::acts(c)), "{}: {table:?}", path.display());
        answered += 1;
    }
    assert!(answered > 40);
}

/// docs/sql.md, which ships with every release.
const DOCS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/sql.md"));

#[test]
fn every_documented_query_is_answered() {
    let fixture = Fixture::new();
    fixture.sparse_run(9, 200);
    let paths = Paths { db: fixture.db.clone(), named: true, store: None };
    judge::refresh(&mut Reader::open(&paths, Terminal).unwrap(), None).unwrap();
    let mut record = fixture.record();
    let queries: Vec<&str> = DOCS.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(queries.len(), 27);
    for query in queries {
        let mut out = Vec::new();
        answer(&mut record, query, RowFormat::Csv, &mut out).unwrap_or_else(|failure| panic!("{query}{failure}"));
        let rows = String::from_utf8(out).unwrap().lines().count() - 1;
        assert!(rows > 0, "no rows: {query}");
    }
}

#[test]
fn every_view_and_its_columns_are_documented() {
    let relations = Fixture::new().record().relations().unwrap();
    for view in relations.iter().filter(|relation| relation.kind == "view") {
        let (_, part) = DOCS.split_once(&format!("### `{}`\n", view.name)).unwrap_or_else(|| panic!("{}", view.name));
        let part = part.split("\n#").next().unwrap();
        let columns = part.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let wanted: Vec<&str> = view.columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(columns.collect::<Vec<_>>(), wanted, "{}", view.name);
    }
    for table in relations.iter().filter(|relation| relation.kind == "table") {
        assert!(DOCS.contains(&format!("`{}`", table.name)), "{} is not documented", table.name);
    }
}

#[test]
fn the_schema_names_every_view() {
    let text = schema(&Fixture::new().record().relations().unwrap(), RowFormat::Table, Look::PLAIN);
    for view in ["run_summary", "run_steps", "run_params", "run_lineage", "study_by_learning_rate"] {
        assert!(text.contains(&format!("\n  {view}\n")), "{text}");
    }
}
