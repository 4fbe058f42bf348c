//! Which objects the record refers to, and for whom.

use identity::{ObjectId, OutputName, RunId};

use super::read::Nullable;
use super::{Record, Result, sql};

/// A reference to an object.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Reference {
    /// The object's digest.
    pub digest: String,
    /// The stage that made it.
    pub stage: String,
    /// What it is to that stage: an output's name, `weights@100`, `state@100`.
    #[sqlx(try_from = "String")]
    pub name: OutputName,
    /// A run that it belongs to, where there is one.
    #[sqlx(try_from = "Nullable<i64>")]
    pub run: Option<RunId>,
    /// The experiment's file of that run.
    pub experiment: Option<String>,
    /// What the command line overrode in it: a JSON list of texts.
    pub overrides: Option<String>,
    /// Whether an accepted result or a run still wants it; else a newer execution took its place.
    pub needed: bool,
}

/// An execution, as far as what it may have left behind goes.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Trace {
    /// Its identity, which names its scratch folder.
    pub uid: String,
    pub stage: String,
    /// The log that it wrote to, in the store's folder of logs.
    pub log: Option<String>,
    /// The process that works on it, while it is said to be running.
    pub process: Option<String>,
    /// A run that it belongs to, where there is one.
    #[sqlx(try_from = "Nullable<i64>")]
    pub run: Option<RunId>,
}

impl Record {
    /// Every reference to an object, one row for each run that has it.
    pub fn references(&mut self) -> Result<Vec<Reference>> {
        self.wait(async |c| sqlx::query_as(sql!("objects_references")).fetch_all(c).await)
    }

    /// The size of each object as it was recorded, by digest.
    pub fn sizes(&mut self) -> Result<Vec<(String, i64)>> {
        self.wait(async |c| sqlx::query_as(sql!("objects_sizes")).fetch_all(c).await)
    }

    /// The recorded size of one object.
    pub fn size(&mut self, object: ObjectId) -> Result<Option<u64>> {
        self.wait(async |c| {
            let query = sqlx::query_scalar(sql!("objects_size")).bind(object.to_string());
            Ok(query.fetch_optional(c).await?.map(i64::unsigned_abs))
        })
    }

    /// Every execution.
    pub fn traces(&mut self) -> Result<Vec<Trace>> {
        self.wait(async |c| sqlx::query_as(sql!("objects_executions")).fetch_all(c).await)
    }

    /// Forgets the checkpoints' objects that are gone and that no run would make again: states, and weights of
    /// checkpoints that were only steps on the way.
    pub fn forget_checkpoints(&mut self, digests: &[&str]) -> Result<()> {
        self.transaction(async |c| {
            for digest in digests {
                sqlx::query(sql!("objects_forget_state")).bind(*digest).execute(&mut *c).await?;
                sqlx::query(sql!("objects_forget_weights")).bind(*digest).execute(&mut *c).await?;
            }
            Ok(())
        })
    }
}
