//! Where a loss was not finite.

use identity::{Hole, RunId};

use super::plain::plain;
use crate::{Record, Result, sql};

impl Record {
    /// The first 200 stretches of steps at which the loss of a run was not finite.
    pub fn holes(&mut self, run: RunId) -> Result<Vec<Hole>> {
        self.wait(async |c| sqlx::query_as(sql!("read_holes")).bind(run.0).fetch_all(c).await.map(plain))
    }
}
