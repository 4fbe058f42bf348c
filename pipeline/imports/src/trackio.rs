//! trackio's database: the runs of one project in one SQLite file.
//!
//! A row of `metrics` is one call of `trackio.log`, its numbers as JSON (`trackio/sqlite_storage.py`), in which NaN
//! and ±Inf are texts. Older versions know a run by its name alone. A run that was resumed keeps the rows of both
//! attempts, in the order in which they were logged.

use std::path::Path;

use rusqlite::Connection;
use serde::de::DeserializeSeed;
use serde_json::Value;

use crate::columns::span;
use crate::json::{Leaf, Leaves, quoted, value};
use crate::records::Records;
use crate::row::unreadable;
use crate::sqlite::{Opened, StoredRun, has, open, owned, refused, text};
use crate::{Names, ReadError, Sink};

/// Whether a database is trackio's.
pub fn is_it(connection: &Connection) -> bool {
    has(connection, "metrics", &["id", "timestamp", "run_name", "step", "metrics"])
}

/// What tells one run from another.
fn run_column(connection: &Connection, table: &str) -> &'static str {
    if has(connection, table, &["run_id"]) { "run_id" } else { "run_name" }
}

/// The runs, in the order in which they began.
///
/// # Errors
/// What the system refuses, or that it is not trackio's.
pub fn runs(path: &Path) -> Result<Vec<StoredRun>, ReadError> {
    let Opened { connection, .. } = open(path)?;
    if !is_it(&connection) {
        return Err(ReadError::Format("it is not trackio's database".into()));
    }
    let project = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let column = run_column(&connection, "metrics");
    let all = format!("SELECT {column}, max(run_name) FROM metrics GROUP BY {column} ORDER BY min(id)");
    let mut statement = connection.prepare(&all).map_err(refused)?;
    let all = statement.query_map([], |row| {
        Ok(StoredRun { id: owned(row, 0)?.unwrap_or_default(), experiment: project.clone(), name: owned(row, 1)? })
    });
    all.and_then(Iterator::collect).map_err(refused)
}

/// Reads a run by its id. Places are the ids of `metrics`.
///
/// # Errors
/// What the system refuses, that it is not trackio's, or has no such run.
pub fn read(path: &Path, run: &str, names: &mut Names, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let Opened { connection, stale } = open(path)?;
    if !is_it(&connection) {
        return Err(ReadError::Format("it is not trackio's database".into()));
    }
    let name = format!("SELECT count(*), max(run_name) FROM metrics WHERE {} = ?1", run_column(&connection, "metrics"));
    let (rows, name) = connection
        .query_row(&name, [run], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?)))
        .map_err(refused)?;
    if rows == 0 {
        return Err(ReadError::Format(format!("it has no run {run}")));
    }
    if stale {
        unreadable(
            sink,
            0,
            "the newest rows may be missing: they are in a log beside the database that can't be read".into(),
        );
    }
    if let Some(name) = &name {
        sink.run_name(name);
    }
    if let Err(error) = config(&connection, run, sink) {
        unreadable(sink, 0, format!("the run's settings can't be read: {error}"));
    }
    metrics(&connection, run, names, sink).map_err(refused)
}

fn config(connection: &Connection, run: &str, sink: &mut dyn Sink) -> Result<(), rusqlite::Error> {
    if !has(connection, "configs", &["config", "run_name"]) {
        return Ok(());
    }
    let column = run_column(connection, "configs");
    let mut statement = connection.prepare(&format!("SELECT config FROM configs WHERE {column} = ?1 ORDER BY id"))?;
    let mut rows = statement.query([run])?;
    while let Some(row) = rows.next()? {
        let mut take = |path: &str, leaf: Leaf<'_>| {
            let value = match leaf {
                // What trackio adds of its own: `_Username`, `_Created`.
                _ if path.starts_with('_') => return,
                Leaf::Number(number) => value(number),
                Leaf::Integer(number) => Value::from(number),
                Leaf::Text(text) => Value::from(text),
                Leaf::Bool(flag) => Value::from(flag),
                Leaf::Other => return,
            };
            sink.setting(path, value);
        };
        if let Some(config) = text(row.get_ref(0)?) {
            // One that can't be read has said nothing.
            let _ = parse(config, &mut take);
        }
    }
    Ok(())
}

/// Hands on the scalars of an object.
fn parse(json: &str, take: &mut impl FnMut(&str, Leaf<'_>)) -> Result<(), serde_json::Error> {
    let (mut path, mut scratch) = (String::new(), Vec::new());
    let mut parser = serde_json::Deserializer::from_slice(quoted(json.as_bytes(), &mut scratch));
    Leaves { path: &mut path, take }.deserialize(&mut parser)?;
    parser.end()
}

fn metrics(connection: &Connection, run: &str, names: &mut Names, sink: &mut dyn Sink) -> Result<(), rusqlite::Error> {
    let column = run_column(connection, "metrics");
    let mut statement =
        connection.prepare(&format!("SELECT id, step, metrics FROM metrics WHERE {column} = ?1 ORDER BY id"))?;
    let mut rows = statement.query([run])?;
    let mut records = Records::new(span);
    let mut others = (0_u64, 0);
    let mut place = 0;
    loop {
        let row = match rows.next() {
            Ok(None) => break,
            Ok(Some(row)) => row,
            Err(error) => {
                unreadable(sink, place, format!("the rows behind this one can't be read: {error}"));
                break;
            }
        };
        place = row.get_ref(0)?.as_i64().ok().and_then(|id| u64::try_from(id).ok()).unwrap_or_default();
        records.begin();
        if let Ok(step) = row.get_ref(1)?.as_i64() {
            records.count_step(step);
        }
        let parsed = text(row.get_ref(2)?).map(|json| parse(json, &mut |path, leaf| records.take(path, leaf)));
        match parsed {
            Some(Ok(())) => records.report(place, None, names, sink),
            _ => others = (others.0 + 1, if others.0 == 0 { place } else { others.1 }),
        }
    }
    if others.0 > 0 {
        unreadable(sink, others.1, format!("{} rows, of which this is the first, have no JSON", others.0));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Collected;

    fn collect(path: &Path, run: &str) -> (Collected, Result<(), ReadError>) {
        let (mut names, mut sink) = (Names::default(), Collected::default());
        let result = read(path, run, &mut names, &mut sink);
        (sink, result)
    }

    #[test]
    fn runs_rows_and_settings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("poems.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                r#"PRAGMA journal_mode = WAL;
                CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT, timestamp TEXT, run_name TEXT,
                    step INTEGER, metrics TEXT);
                CREATE TABLE configs (id INTEGER PRIMARY KEY, run_id TEXT, run_name TEXT, config TEXT, created_at TEXT);
                INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES
                    ('r1', '', 'first', 0, '{"train": {"loss": 3.5}, "epoch": 0.5}'),
                    ('r2', '', 'second', 0, '{"loss": 1}'),
                    ('r1', '', 'first', 1,
                        CAST('{"loss": "NaN", "norm": "-Infinity", "note": "x", "step": 7}' AS BLOB)),
                    ('r1', '', 'first', 2, '{"loss": '),
                    ('r1', '', 'first', 1, '{"loss": 2}');
                INSERT INTO configs VALUES (1, 'r1', 'first',
                    '{"lr": 0.1, "model": {"layers": 2}, "_Username": "someone"}', '')"#,
            )
            .unwrap();
        let ids: Vec<(String, Option<String>)> =
            runs(&path).unwrap().into_iter().map(|run| (run.id, run.name)).collect();
        assert_eq!(ids, [("r1".into(), Some("first".into())), ("r2".into(), Some("second".into()))]);
        let (sink, result) = collect(&path, "r1");
        result.unwrap();
        assert_eq!(sink.reports, ["1 s0 e0.5 train/loss=3.5", "3 s1 loss=NaN norm=-inf step=7", "5 s1 loss=2"]);
        assert_eq!(sink.settings, ["lr=0.1", "model/layers=2"]);
        assert_eq!(sink.remarks, ["4: 1 rows, of which this is the first, have no JSON"]);
        assert!(matches!(collect(&path, "r3").1, Err(ReadError::Format(_))));
        connection.execute_batch("ALTER TABLE metrics DROP COLUMN run_id").unwrap();
        assert_eq!(collect(&path, "second").0.reports, ["2 s0 loss=1"]);
    }
}
