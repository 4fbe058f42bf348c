//! Which objects the record refers to, and for which stages and runs.

use identity::{ObjectId, OutputName, RunId};

use super::read::Nullable;
use super::{Record, Result, sql};

/// A reference to an object.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Reference {
    /// The object's digest.
    pub digest: String,
    /// The stage that produced it.
    pub stage: String,
    /// Its name in that stage: an output's name, `weights@100`, `state@100`.
    #[sqlx(try_from = "String")]
    pub name: OutputName,
    /// A run that it belongs to, if any.
    #[sqlx(try_from = "Nullable<i64>")]
    pub run: Option<RunId>,
    /// The path of that run's experiment.
    pub experiment: Option<String>,
    /// The `--set` arguments of that experiment: a JSON list of strings.
    pub overrides: Option<String>,
    /// Whether an accepted result or a run still needs it; if not, a newer execution has replaced it.
    pub needed: bool,
}

/// An execution, with what it may have left behind.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Trace {
    /// Its identifier, which names its scratch folder.
    pub uid: String,
    pub stage: String,
    /// The log that it wrote to, in the store's folder of logs.
    pub log: Option<String>,
    /// The process that works on it, while its status is `running`.
    pub process: Option<String>,
    /// A run that it belongs to, if any.
    #[sqlx(try_from = "Nullable<i64>")]
    pub run: Option<RunId>,
}

impl Record {
    /// Every reference to an object, one row for each run that has the reference.
    pub fn references(&mut self) -> Result<Vec<Reference>> {
        self.wait(async |c| sqlx::query_as(sql!("objects_references")).fetch_all(c).await)
    }

    /// The recorded size of each object, by digest.
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

    /// Deletes references to missing checkpoint objects that no run would recompute: states, and the weights of
    /// intermediate checkpoints.
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
