//! Where a loss was not finite.

use serde::Serialize;

use crate::{Record, Result, sql};

/// Neighbouring steps without a finite value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Hole {
    pub first: i64,
    pub last: i64,
    /// `nan`, `inf`, `-inf`.
    pub kind: String,
}

impl Record {
    /// Where the loss of a run was no number: its first two hundred stretches.
    pub fn holes(&mut self, run: i64) -> Result<Vec<Hole>> {
        self.wait(async |connection| sqlx::query_as(sql!("read_holes")).bind(run).fetch_all(connection).await)
    }
}
