//! What changed since a reader last asked.
//!
//! Triggers in the schema give every run, study or trajectory that a transaction changes a new revision. A reader's
//! cursor consists of the record's [`uid`](Record::uid), which a copy does not share, and the last revision that the
//! reader has seen.

use serde::Serialize;

use identity::RunId;

use super::read::Nullable;
use super::{Record, Result, sql};

/// A run or a study that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Change {
    /// The revision of its last change. Runs that show the same trajectory can have the same revision.
    pub revision: i64,
    /// `run` or `study`: its own row changed; `trajectory`: steps were added to the trajectory that the run shows;
    /// `replaced`: steps of that trajectory were changed or deleted.
    pub kind: String,
    #[sqlx(try_from = "Nullable<i64>")]
    pub run: Option<RunId>,
    pub study: Option<i64>,
    /// For `replaced`: the first step that may have changed since it was read.
    pub from_step: Option<i64>,
}

impl Record {
    /// The identifier of this record, which its copies do not share.
    pub fn uid(&mut self) -> Result<String> {
        self.wait(async |c| sqlx::query_scalar(sql!("uid")).fetch_one(c).await)
    }

    /// The revision of the last change.
    pub fn revision(&mut self) -> Result<i64> {
        self.wait(async |c| sqlx::query_scalar(sql!("revision")).fetch_one(c).await)
    }

    /// What changed since a revision, in the order of the revisions; each row once, however often it changed.
    pub fn changes_since(&mut self, revision: i64) -> Result<Vec<Change>> {
        self.wait(async |c| sqlx::query_as(sql!("changes_since")).bind(revision).fetch_all(c).await)
    }
}
