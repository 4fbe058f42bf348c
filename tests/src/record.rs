//! The record, read past the program's own code.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use crate::TestSpace;

/// One value of a row, to be compared to the bit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// The bits of a float.
    Real(u64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Cell {
    /// The float, where it is one.
    pub fn real(&self) -> Option<f64> {
        if let Self::Real(bits) = self { Some(f64::from_bits(*bits)) } else { None }
    }
}

/// A row.
pub type Row = Vec<Cell>;

/// Holds a database as another program would that is in the middle of writing.
///
/// # Panics
/// When it can't be had.
pub fn hold(database: &Path) -> Connection {
    let connection = Connection::open(database).expect("a database");
    connection.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
    connection
}

/// Asks a database.
///
/// # Errors
/// What SQLite says.
pub fn ask(database: &Path, query: &str) -> rusqlite::Result<Vec<Row>> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(std::time::Duration::from_secs(30))?;
    // Closing the last connection would otherwise fold the log in, which is the program's to do.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let mut statement = connection.prepare(query)?;
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        (0..columns)
            .map(|i| {
                Ok(match row.get::<_, Value>(i)? {
                    Value::Null => Cell::Null,
                    Value::Integer(number) => Cell::Integer(number),
                    Value::Real(number) => Cell::Real(number.to_bits()),
                    Value::Text(text) => Cell::Text(text),
                    Value::Blob(bytes) => Cell::Blob(bytes),
                })
            })
            .collect()
    })?;
    rows.collect()
}

/// Every table with its rows.
///
/// # Errors
/// What SQLite says.
pub fn dump(database: &Path) -> rusqlite::Result<BTreeMap<String, Vec<Row>>> {
    let tables = ask(database, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let mut dump = BTreeMap::new();
    for table in tables {
        let Some(Cell::Text(table)) = table.into_iter().next() else { continue };
        let mut rows = ask(database, &format!("SELECT * FROM \"{table}\""))?;
        rows.sort();
        dump.insert(table, rows);
    }
    Ok(dump)
}

impl TestSpace {
    /// Asks the record.
    #[track_caller]
    pub fn rows(&self, query: &str) -> Vec<Row> {
        ask(&self.path("experiments.db"), query).unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// One whole number.
    #[track_caller]
    pub fn number(&self, query: &str) -> i64 {
        match self.rows(query).first().and_then(|row| row.first()) {
            Some(Cell::Integer(number)) => *number,
            other => panic!("{query}: {other:?}"),
        }
    }

    /// A column of texts.
    #[track_caller]
    pub fn texts(&self, query: &str) -> Vec<String> {
        let text = |row: Row| match row.into_iter().next() {
            Some(Cell::Text(text)) => text,
            other => panic!("{query}: {other:?}"),
        };
        self.rows(query).into_iter().map(text).collect()
    }

    /// Every table with its rows; empty where there is no record yet.
    #[track_caller]
    pub fn dump(&self) -> BTreeMap<String, Vec<Row>> {
        let database = self.path("experiments.db");
        if !database.exists() {
            return BTreeMap::new();
        }
        dump(&database).expect("the record is sound")
    }

    /// The rows that a user counts: runs, executions, studies.
    pub fn counts(&self) -> (i64, i64, i64) {
        let count = |table| self.number(&format!("SELECT count(*) FROM {table}"));
        (count("runs"), count("executions"), count("studies"))
    }

    /// The highest execution, to tell later ones.
    pub fn last_execution(&self) -> i64 {
        self.number("SELECT coalesce(max(id), 0) FROM executions")
    }

    /// The stages that were executed after an execution, each once, in alphabetical order.
    pub fn stages_since(&self, execution: i64) -> Vec<String> {
        self.texts(&format!("SELECT DISTINCT stage FROM executions WHERE id > {execution} ORDER BY stage"))
    }

    /// What must be the same, to the bit, of two computations of one experiment: each run's steps, its kept weights,
    /// its evaluations and its samples, and nothing of when and how they came about.
    pub fn bits(&self) -> BTreeMap<&'static str, Vec<Row>> {
        [
            ("runs", "SELECT id, status, steps, run_key FROM runs ORDER BY id"),
            (
                "steps",
                "SELECT run, step, epoch, loss, loss_kind, learning_rate, grad_norm, clipped, update_ratio, overshoot, logit_max,
                        entropy, sharpness, tokens, nonfinite FROM run_steps ORDER BY run, step",
            ),
            (
                "weights",
                "SELECT r.id, o.name, o.digest FROM runs r
                 JOIN run_stages s ON s.run_id = r.id AND s.stage = 'train'
                 JOIN execution_outputs o ON o.execution_id = s.execution_id ORDER BY 1, 2",
            ),
            ("evaluations", "SELECT run, step, split, loss, loss_kind, tokens FROM run_evaluations ORDER BY 1, 2, 3"),
            ("baselines", "SELECT run, split, model, n, loss, tokens FROM run_baselines ORDER BY 1, 2, 4"),
            ("samples", "SELECT run, step, position, text, why_empty FROM run_samples ORDER BY 1, 2, 3"),
            (
                "blocks",
                "SELECT r.id, b.block, b.steps, b.finite, b.minimum, b.maximum, b.first_nonfinite, b.chain
                        FROM runs r JOIN step_blocks b ON b.trajectory_id = r.trajectory_id ORDER BY 1, 2",
            ),
            ("events", "SELECT run, step, kind FROM run_events ORDER BY 1, 2, 3"),
        ]
        .into_iter()
        .map(|(name, query)| (name, self.rows(query)))
        .collect()
    }

    /// Checks that the bits are those of another space.
    #[track_caller]
    pub fn assert_bits(&self, expected: &BTreeMap<&'static str, Vec<Row>>, when: &str) {
        for (what, rows) in self.bits() {
            let expected = &expected[what];
            let differs = rows.iter().zip(expected).find(|(a, b)| a != b);
            assert!(
                rows == *expected,
                "{when}: {what} differ, {} rows and {}: {differs:?}",
                rows.len(),
                expected.len()
            );
        }
    }

    /// Checks that nothing is shown as running.
    #[track_caller]
    pub fn assert_nothing_runs(&self) {
        for table in ["runs", "executions"] {
            assert_eq!(self.number(&format!("SELECT count(*) FROM {table} WHERE status = 'running'")), 0, "{table}");
        }
    }
}
