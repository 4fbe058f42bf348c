//! What was measured beside the loss, by step; and where a loss was no number.

use serde::Serialize;

use super::Bucket;
use crate::record::{Record, Result, sql};

/// Neighbouring steps without a finite value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Hole {
    pub first: i64,
    pub last: i64,
    /// `nan`, `inf`, `-inf`.
    pub kind: String,
}

impl Record {
    /// A column of the first `steps` steps of a trajectory, in about `rows` rows or more that lose no extreme.
    pub fn measured(&mut self, trajectory: i64, steps: i64, column: &str, rows: i64) -> Result<Vec<Bucket>> {
        let width = (steps / rows.max(1)).max(1);
        self.wait(async |connection| {
            let query = sqlx::query_as(sql!("read_measured")).bind(trajectory).bind(steps).bind(width).bind(column);
            query.fetch_all(connection).await
        })
    }

    /// Where the loss of a run was no number: its first two hundred stretches.
    pub fn holes(&mut self, run: i64) -> Result<Vec<Hole>> {
        self.wait(async |connection| sqlx::query_as(sql!("read_holes")).bind(run).fetch_all(connection).await)
    }
}
