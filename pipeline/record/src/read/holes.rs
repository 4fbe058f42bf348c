//! Where a loss was not finite.

use identity::{Hole, RunId};

use super::plain::plain;
use crate::{Record, Result, sql};

impl Record {
    /// Where the loss of a run was no number: its first two hundred stretches.
    pub fn holes(&mut self, run: RunId) -> Result<Vec<Hole>> {
        self.wait(async |c| sqlx::query_as(sql!("read_holes")).bind(run.0).fetch_all(c).await.map(plain))
    }
}
