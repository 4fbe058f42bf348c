//! Where a loss was not finite.

use identity::{Hole, RunId};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::{Record, Result, sql};

impl Record {
    /// Where the loss of a run was no number: its first two hundred stretches.
    pub fn holes(&mut self, run: RunId) -> Result<Vec<Hole>> {
        let hole = |row: SqliteRow| {
            Ok(Hole { first: row.try_get("first")?, last: row.try_get("last")?, kind: row.try_get("kind")? })
        };
        self.wait(async |connection| {
            sqlx::query(sql!("read_holes")).bind(run.0).try_map(hole).fetch_all(connection).await
        })
    }
}
