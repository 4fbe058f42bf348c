//! What runs were forked from, and what is needed to fork one.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use identity::RunId;

use super::many::{each, list, only};
use super::nullable::Nullable;
use crate::{Record, Result, sql};

/// A fork in the lineage of a run's trajectory.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, sqlx::FromRow)]
pub struct Forked {
    /// The step of the checkpoint from which the fork begins; this is also the fork's own first step.
    pub step: i64,
    /// The first run that shows the parent.
    #[sqlx(try_from = "Nullable<i64>")]
    pub parent: Option<RunId>,
}

/// A trajectory from which a fork can begin.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct ForkOrigin {
    pub identity: String,
    /// JSON list of `[name, value]`, the hashed fields.
    pub fields: String,
    /// Its own first step.
    pub first: i64,
    /// The step after its last.
    pub steps: i64,
    /// The first run that shows it.
    #[sqlx(try_from = "i64")]
    pub run: RunId,
    /// JSON object of that run's parameters, by dotted name.
    pub point: String,
}

impl ForkOrigin {
    /// The parameters of the run.
    pub fn params(&self) -> Map<String, Value> {
        serde_json::from_str(&self.point).unwrap_or_default()
    }
}

/// The trajectory that a run shows.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Trained {
    pub identity: String,
    /// The number of threads, fixed when it began.
    pub threads: u32,
    /// The vector extensions, fixed when it began.
    pub cpu_capability: String,
}

/// A run's experiment as recorded.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RecordedRow {
    pub experiment_path: String,
    pub toml: String,
    /// JSON list of the `--set` arguments.
    pub overrides: String,
    /// The working directory of the program that created the run, if recorded.
    pub directory: Option<String>,
    /// JSON object of the swept parameters at this run's point.
    pub point: Option<String>,
}

#[derive(sqlx::FromRow)]
struct InputRow {
    name: String,
    digest: String,
}

impl Record {
    /// The forks in the lineage of a run's trajectory, the latest first.
    pub fn forks(&mut self, run: RunId) -> Result<Vec<Forked>> {
        self.forks_of(&[run]).map(only)
    }

    /// The forks in the lineage of each of the given runs.
    pub fn forks_of(&mut self, runs: &[RunId]) -> Result<Vec<Vec<Forked>>> {
        self.wait(async |c| each(c, runs, sqlx::query_as(sql!("read_forks")).bind(list(runs))).await)
    }

    /// The trajectory with the given identity.
    pub fn origin(&mut self, identity: &str) -> Result<Option<ForkOrigin>> {
        self.wait(async |connection| {
            sqlx::query_as(sql!("read_origin")).bind(identity).fetch_optional(connection).await
        })
    }

    /// The trajectory that a run shows, if its training has begun.
    pub fn trained(&mut self, run: RunId) -> Result<Option<Trained>> {
        self.wait(async |connection| sqlx::query_as(sql!("read_trained")).bind(run.0).fetch_optional(connection).await)
    }

    /// The identity of the trajectory that computed a checkpoint of `trajectory`: itself, or one it was forked from.
    pub fn holder(&mut self, trajectory: i64, checkpoint: i64) -> Result<Option<String>> {
        self.wait(async |connection| {
            let query = sqlx::query_scalar(sql!("read_holder")).bind(trajectory).bind(checkpoint);
            query.fetch_optional(connection).await
        })
    }

    /// The experiment of a run, if it has one.
    pub fn recorded(&mut self, run: RunId) -> Result<Option<RecordedRow>> {
        self.wait(async |connection| sqlx::query_as(sql!("read_recorded")).bind(run.0).fetch_optional(connection).await)
    }

    /// The paths and texts of the experiments of the given runs, each once.
    pub fn experiments_of(&mut self, runs: &[RunId]) -> Result<Vec<(String, String)>> {
        self.wait(async |c| sqlx::query_as(sql!("read_experiments_of")).bind(list(runs)).fetch_all(c).await)
    }

    /// The names and digests of the inputs of one of a run's stages.
    pub fn inputs(&mut self, run: RunId, stage: &str) -> Result<Vec<(String, String)>> {
        self.inputs_of(&[run], stage).map(only)
    }

    /// Like [`Self::inputs`], for each of the given runs.
    pub fn inputs_of(&mut self, runs: &[RunId], stage: &str) -> Result<Vec<Vec<(String, String)>>> {
        let found: Vec<Vec<InputRow>> =
            self.wait(async |c| each(c, runs, sqlx::query_as(sql!("read_inputs")).bind(list(runs)).bind(stage)).await)?;
        Ok(found.into_iter().map(|of| of.into_iter().map(|it| (it.name, it.digest)).collect()).collect())
    }
}
