//! Which objects the record refers to, and for whom.

use super::{Record, Result, sql};

/// A reference to an object.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Reference {
    /// The object's digest.
    pub digest: String,
    /// The stage that made it.
    pub stage: String,
    /// What it is to that stage: an output's name, `weights@100`, `state@100`.
    pub name: String,
    /// A run that it belongs to, where there is one.
    pub run: Option<i64>,
    /// The experiment's file of that run.
    pub experiment: Option<String>,
}

impl Record {
    /// Every reference to an object, one row for each run that has it.
    pub fn references(&mut self) -> Result<Vec<Reference>> {
        self.wait(async |c| sqlx::query_as(sql!("objects_references")).fetch_all(c).await)
    }
}
