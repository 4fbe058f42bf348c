//! MLflow's database: all runs of all experiments in one SQLite file.
//!
//! The schema is that of `mlflow/store/tracking/dbmodels/models.py`. A NaN is the value 0 with `is_nan`; ±Inf is the
//! largest number there is, as `mlflow/store/tracking/sqlalchemy_store.py` writes it. The value is part of a metric's
//! key, so what is logged twice for a step is there twice: the newest counts. A step that wasn't told is 0.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, Row};

use crate::columns::LONGEST_NAME;
use crate::mlflow_files::{parameter, tag};
use crate::row::unreadable;
use crate::sqlite::{Opened, StoredRun, has, number, open, owned, refused, text};
use crate::{At, Names, ReadError, Report, Series, Sink, Span};

/// Whether a database is MLflow's.
pub fn is_it(connection: &Connection) -> bool {
    has(connection, "metrics", &["key", "value", "timestamp", "step", "is_nan", "run_uuid"])
        && has(connection, "runs", &["run_uuid", "lifecycle_stage", "experiment_id"])
}

/// Of which experiment a run is and what it is called. Runs that a user deleted are still there: they are left out.
const RUNS: &str = "
    SELECT r.run_uuid, e.name,
           coalesce(nullif((SELECT value FROM tags t WHERE t.run_uuid = r.run_uuid AND t.key = 'mlflow.runName'), ''),
                    r.name)
    FROM runs r LEFT JOIN experiments e ON e.experiment_id = r.experiment_id
    WHERE (?1 IS NULL OR r.run_uuid = ?1)
      AND coalesce(r.lifecycle_stage, '') <> 'deleted' AND coalesce(e.lifecycle_stage, '') <> 'deleted'
    ORDER BY r.start_time, r.run_uuid";

/// The runs, in the order in which they began.
///
/// # Errors
/// What the system refuses, or that it is not MLflow's.
pub fn runs(path: &Path) -> Result<Vec<StoredRun>, ReadError> {
    list(&open(path)?.connection, None)
}

/// All runs, or the one of an id.
fn list(connection: &Connection, id: Option<&str>) -> Result<Vec<StoredRun>, ReadError> {
    if !is_it(connection) {
        return Err(ReadError::Format("it is not MLflow's database".into()));
    }
    let mut statement = connection.prepare(RUNS).map_err(refused)?;
    let all = statement.query_map([id], |row| {
        Ok(StoredRun { id: owned(row, 0)?.unwrap_or_default(), experiment: owned(row, 1)?, name: owned(row, 2)? })
    });
    all.and_then(Iterator::collect).map_err(refused)
}

/// Reads a run by its id. Places are the row ids of `metrics`.
///
/// # Errors
/// What the system refuses, that it is not MLflow's, or has no such run.
pub fn read(path: &Path, run: &str, names: &mut Names, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let Opened { connection, stale } = open(path)?;
    let Some(known) = list(&connection, Some(run))?.pop() else {
        return Err(ReadError::Format(format!("it has no run {run}")));
    };
    if stale {
        unreadable(
            sink,
            0,
            "the newest rows may be missing: they are in a log beside the database that can't be read".into(),
        );
    }
    if let Some(name) = &known.name {
        sink.run_name(name);
    }
    if let Some(experiment) = known.experiment {
        sink.setting("mlflow.experiment", experiment.into());
    }
    let params = pairs(&connection, "params", run, |key, value| sink.setting(key, parameter(value)));
    let tags = pairs(&connection, "tags", run, |key, value| tag(sink, key, value));
    if let Some(error) = params.and(tags).err() {
        unreadable(sink, 0, format!("the run's settings can't be read: {error}"));
    }
    metrics(&connection, run, names, sink).map_err(refused)
}

/// Hands on the keys and values of a run.
fn pairs(
    connection: &Connection,
    table: &str,
    run: &str,
    mut take: impl FnMut(&str, &str),
) -> Result<(), rusqlite::Error> {
    if !has(connection, table, &["key", "value", "run_uuid"]) {
        return Ok(());
    }
    let mut statement =
        connection.prepare(&format!("SELECT key, value FROM {table} WHERE run_uuid = ?1 ORDER BY key"))?;
    let mut rows = statement.query([run])?;
    while let Some(row) = rows.next()? {
        if let (Some(key), Some(value)) = (text(row.get_ref(0)?), text(row.get_ref(1)?)) {
            take(key, value);
        }
    }
    Ok(())
}

/// A number that may yet be replaced by a newer one of its step.
#[derive(Clone, Copy)]
struct Point {
    row: u64,
    /// `None` where it wasn't told.
    step: Option<i64>,
    series: Series,
    value: f64,
}

fn metrics(connection: &Connection, run: &str, names: &mut Names, sink: &mut dyn Sink) -> Result<(), rusqlite::Error> {
    let untold = untold(connection, run)?;
    let mut statement = connection.prepare(
        "SELECT rowid, step, key, value, is_nan FROM metrics WHERE run_uuid = ?1 ORDER BY step, key, timestamp, rowid",
    )?;
    let mut rows = statement.query([run])?;
    let mut known: HashMap<String, (Series, bool)> = HashMap::new();
    let mut last: Option<Point> = None;
    let report = |point: Point, names: &Names, sink: &mut dyn Sink| {
        let at = At { step: point.step, ..At::default() };
        let numbers = [(point.series, point.value)];
        sink.report(names, &Report { place: point.row, at, numbers: &numbers, voids_later: false });
    };
    loop {
        let point = match rows.next() {
            Ok(None) => break,
            Ok(Some(row)) => point(row, &untold, names, &mut known)?,
            // A damaged page. What came before it is as good as ever.
            Err(error) => {
                let place = last.map_or(0, |last| last.row);
                unreadable(sink, place, format!("the rows behind this one can't be read: {error}"));
                break;
            }
        };
        let Some(point) = point else { continue };
        let before = last.replace(point);
        let replaced = |it: &Point| it.step.is_some() && (it.step, it.series) == (point.step, point.series);
        if let Some(before) = before.filter(|before| !replaced(before)) {
            report(before, names, sink);
        }
    }
    if let Some(last) = last {
        report(last, names, sink);
    }
    Ok(())
}

/// The metrics that were logged more than once and never with a step: 0 is in every row, and the order in time is all
/// there is.
fn untold(connection: &Connection, run: &str) -> Result<HashSet<String>, rusqlite::Error> {
    let mut statement = connection.prepare(
        "SELECT key FROM metrics WHERE run_uuid = ?1
         GROUP BY key HAVING count(*) > 1 AND min(step) = 0 AND max(step) = 0",
    )?;
    let mut rows = statement.query([run])?;
    let mut all = HashSet::new();
    while let Some(row) = rows.next()? {
        all.extend(owned(row, 0)?);
    }
    Ok(all)
}

fn point(
    row: &Row<'_>,
    untold: &HashSet<String>,
    names: &mut Names,
    known: &mut HashMap<String, (Series, bool)>,
) -> Result<Option<Point>, rusqlite::Error> {
    let Some(key) = text(row.get_ref(2)?) else { return Ok(None) };
    let (series, told) = match known.get(key) {
        Some(known) => *known,
        // As many names as rows are no names.
        None if known.len() >= 10_000 || key.len() > LONGEST_NAME => return Ok(None),
        None => {
            let (series, told) = (names.series(key, None, Span::Unknown), !untold.contains(key));
            known.insert(key.to_owned(), (series, told));
            (series, told)
        }
    };
    let value = match number(row.get_ref(3)?) {
        _ if number(row.get_ref(4)?).is_some_and(|is_nan| is_nan != 0.0) => f64::NAN,
        Some(value) if value.abs() == f64::MAX => f64::INFINITY.copysign(value),
        Some(value) => value,
        None => return Ok(None),
    };
    let row_id = row.get_ref(0)?.as_i64().unwrap_or_default();
    let step = row.get_ref(1)?.as_i64().ok().filter(|_| told);
    Ok(Some(Point { row: u64::try_from(row_id).unwrap_or_default(), step, series, value }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Collected;

    fn database(folder: &Path, rows: &str) -> std::path::PathBuf {
        let path = folder.join("mlflow.db");
        let schema = "
            CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT, lifecycle_stage TEXT);
            CREATE TABLE runs (run_uuid TEXT PRIMARY KEY, name TEXT, status TEXT, start_time BIGINT,
                lifecycle_stage TEXT, experiment_id INTEGER);
            CREATE TABLE metrics (key TEXT NOT NULL, value FLOAT NOT NULL, timestamp BIGINT NOT NULL,
                run_uuid TEXT NOT NULL, step BIGINT DEFAULT '0' NOT NULL, is_nan BOOLEAN DEFAULT '0' NOT NULL,
                PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan));
            CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
            CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
            INSERT INTO experiments VALUES (1, 'study', 'active'), (2, 'old', 'deleted');
            INSERT INTO runs VALUES ('b', 'second', 'RUNNING', 20, 'active', 1),
                ('a', 'first', 'FINISHED', 10, 'active', 1), ('c', 'third', 'FINISHED', 30, 'deleted', 1),
                ('d', 'fourth', 'FINISHED', 40, 'active', 2),
                ('e', '', 'FINISHED', 50, 'active', NULL);";
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(schema).unwrap();
        connection.execute_batch(rows).unwrap();
        path
    }

    fn collect(path: &Path, run: &str) -> (Collected, Result<(), ReadError>) {
        let (mut names, mut sink) = (Names::default(), Collected::default());
        let result = read(path, run, &mut names, &mut sink);
        (sink, result)
    }

    #[test]
    fn deleted_runs_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path(), "INSERT INTO tags VALUES ('mlflow.runName', 'renamed', 'b')");
        let run = |id: &str, experiment: Option<&str>, name: Option<&str>| StoredRun {
            id: id.into(),
            experiment: experiment.map(str::to_owned),
            name: name.map(str::to_owned),
        };
        assert_eq!(
            runs(&path).unwrap(),
            [run("a", Some("study"), Some("first")), run("b", Some("study"), Some("renamed")), run("e", None, None)]
        );
        assert!(matches!(collect(&path, "c").1, Err(ReadError::Format(_))));
    }

    #[test]
    fn numbers_in_the_order_of_their_steps() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(
            folder.path(),
            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES
                ('loss', 3, 100, 'a', 1, 0), ('loss', 0, 101, 'a', 2, 1),
                ('norm', 1.7976931348623157e308, 101, 'a', 2, 0), ('loss', 2, 99, 'a', 1, 0),
                ('norm', -1.7976931348623157e308, 102, 'a', 3, 0), ('loss', 1.5, 90, 'a', 0, 0),
                ('loss', 9, 100, 'b', 1, 0), ('loss', 4, 103, 'a', -1, 0);
             INSERT INTO params VALUES ('lr', '0.1', 'a'), ('layers', '2', 'a'), ('cell', 'lstm', 'a'),
                ('lr', '9', 'b');
             INSERT INTO tags VALUES ('team', 'red', 'a'), ('mlflow.user', 'someone', 'a')",
        );
        let (sink, result) = collect(&path, "a");
        result.unwrap();
        assert_eq!(
            sink.reports,
            ["8 s-1 loss=4", "6 s0 loss=1.5", "1 s1 loss=3", "2 s2 loss=NaN", "3 s2 norm=inf", "5 s3 norm=-inf"]
        );
        assert_eq!(
            sink.settings,
            ["mlflow.experiment=\"study\"", "cell=\"lstm\"", "layers=2", "lr=0.1", "tags/team=\"red\""]
        );
        assert_eq!((sink.run_names, sink.remarks), (vec!["first".to_owned()], vec![]));
    }

    #[test]
    fn a_metric_without_steps_is_in_the_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(
            folder.path(),
            "INSERT INTO metrics (key, value, timestamp, run_uuid) VALUES ('loss', 2, 101, 'a'), ('loss', 3, 100, 'a'),
                ('loss', 2, 102, 'a'), ('lr', 2, 102, 'a'), ('accuracy', 1, 5, 'b'), ('loss', 1, 4, 'b')",
        );
        assert_eq!(collect(&path, "a").0.reports, ["2 loss=3", "1 loss=2", "3 loss=2", "4 s0 lr=2"]);
        // What is said once at the end has a place of its own.
        assert_eq!(collect(&path, "b").0.reports, ["5 s0 accuracy=1", "6 s0 loss=1"]);
    }

    #[test]
    fn other_databases_are_refused_and_damaged_ones_read_as_far_as_they_go() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE metrics (key, value)").unwrap();
        assert!(matches!(runs(&other), Err(ReadError::Format(_))));
        let rows: String =
            (0..2000).map(|step| format!("INSERT INTO metrics VALUES ('loss', 1, {step}, 'a', {step}, 0);")).collect();
        let path = database(folder.path(), &format!("BEGIN; {rows} COMMIT"));
        let whole = std::fs::read(&path).unwrap();
        let cut = folder.path().join("cut.db");
        for length in (0..whole.len()).step_by(511) {
            std::fs::write(&cut, &whole[..length]).unwrap();
            let _ = collect(&cut, "a");
            let mut flipped = whole.clone();
            flipped[length] ^= 0x55;
            std::fs::write(&cut, &flipped).unwrap();
            let _ = collect(&cut, "a");
        }
    }
}
