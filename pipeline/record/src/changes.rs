//! What changed since somebody looked last.
//!
//! Every transaction that writes moves what it changed to a new revision; triggers of the schema see to that. A cursor is the
//! record's [`uid`](Record::uid), which a copy does not share, and a revision.

use serde::Serialize;

use identity::RunId;

use super::read::Nullable;
use super::{Record, Result, sql};

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Change {
    /// The revision of its last change. A run that shows a trajectory has that of the trajectory, as others may.
    pub revision: i64,
    /// `run` or `study`: itself; `trajectory`: one that the run shows was added to; `replaced`: steps of one that the run shows
    /// were changed or deleted.
    pub kind: String,
    #[sqlx(try_from = "Nullable<i64>")]
    pub run: Option<RunId>,
    pub study: Option<i64>,
    /// Of `replaced`: the first step that may be another than when it was read.
    pub from_step: Option<i64>,
}

impl Record {
    /// What tells this record from others, copies of it among them.
    pub fn uid(&mut self) -> Result<String> {
        self.wait(async |c| sqlx::query_scalar(sql!("uid")).fetch_one(c).await)
    }

    /// The revision of the last change.
    pub fn revision(&mut self) -> Result<i64> {
        self.wait(async |c| sqlx::query_scalar(sql!("revision")).fetch_one(c).await)
    }

    /// What changed since a revision, by revision: each thing once, however often it did.
    pub fn changes_since(&mut self, revision: i64) -> Result<Vec<Change>> {
        self.wait(async |c| sqlx::query_as(sql!("changes_since")).bind(revision).fetch_all(c).await)
    }
}
