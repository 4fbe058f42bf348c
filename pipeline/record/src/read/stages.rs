//! Which executions served a run, their outputs, and where their logs are.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use identity::{How, RunId, Status};

use super::many::{as_json, each, list};
use super::nullable::Nullable;
use crate::{Record, Result, sql};

/// One stage of a run, with the execution that served it.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, sqlx::FromRow)]
pub struct StageRow {
    pub stage: String,
    pub item: String,
    pub step: Option<i64>,
    #[sqlx(try_from = "String")]
    pub how: How,
    pub execution: String,
    pub stage_key: String,
    #[sqlx(try_from = "String")]
    pub status: Status,
    pub seconds: Option<f64>,
    pub threads: Option<i64>,
    pub device: Option<String>,
    pub cpu_capability: Option<String>,
    pub libtorch: Option<String>,
    pub from_step: Option<i64>,
    pub to_step: Option<i64>,
    #[serde(serialize_with = "as_json")]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub report: Option<String>,
    pub error: Option<String>,
    #[serde(skip)]
    pub process: Option<String>,
    /// The first run that executed it.
    #[sqlx(try_from = "Nullable<i64>")]
    pub executed_by: Option<RunId>,
}

impl StageRow {
    /// The execution's report; null if there is none.
    pub fn facts(&self) -> Value {
        self.report.as_deref().and_then(|report| serde_json::from_str(report).ok()).unwrap_or(Value::Null)
    }
}

/// Where the log of one execution's worker is.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct LogPart {
    pub stage: String,
    pub item: String,
    /// A file in the store's folder `logs`.
    pub log: String,
    /// Its first byte.
    pub log_from: Option<i64>,
    /// The byte after its last; if absent, the part ends with the file.
    pub log_to: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct DigestRow {
    digest: String,
}

/// A JSON list, in which a statement returns several values in one row.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(transparent)]
pub struct List<T>(pub Vec<T>);

impl<T: DeserializeOwned> TryFrom<String> for List<T> {
    type Error = serde_json::Error;

    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        serde_json::from_str(&text).map(Self)
    }
}

/// An execution, with the runs that it served.
#[derive(Debug, JsonSchema, Serialize, sqlx::FromRow)]
pub struct Execution {
    pub stage: String,
    pub item: String,
    pub stage_key: String,
    #[sqlx(try_from = "String")]
    pub status: Status,
    pub seconds: Option<f64>,
    #[serde(skip)]
    pub process: Option<String>,
    #[sqlx(try_from = "String")]
    pub executed: List<RunId>,
    #[sqlx(try_from = "String")]
    pub cached: List<RunId>,
    /// The output objects: name and digest.
    #[sqlx(try_from = "String")]
    pub outputs: List<(String, String)>,
}

/// Outputs of stages: stage, item, name, digest.
pub type Outputs = Vec<(String, String, String, String)>;

impl Record {
    /// The stages of each of the given runs that are in `names`, in the order of `names`.
    pub fn stages_of(&mut self, runs: &[RunId], names: &[&str]) -> Result<Vec<Vec<StageRow>>> {
        let names = Value::from(names).to_string();
        self.wait(async |c| each(c, runs, sqlx::query_as(sql!("read_stages")).bind(list(runs)).bind(names)).await)
    }

    /// The digest of an output of one of a run's stages.
    pub fn output(&mut self, run: RunId, stage: &str, name: &str) -> Result<Option<String>> {
        self.wait(async |connection| {
            let query = sqlx::query_scalar(sql!("read_output")).bind(run.0).bind(stage).bind(name);
            query.fetch_optional(connection).await
        })
    }

    /// Like [`Self::output`], for each of the given runs.
    pub fn output_of(&mut self, runs: &[RunId], stage: &str, name: &str) -> Result<Vec<Option<String>>> {
        let found: Vec<Vec<DigestRow>> = self.wait(async |c| {
            let query = sqlx::query_as(sql!("read_output_of")).bind(list(runs)).bind(stage).bind(name);
            each(c, runs, query).await
        })?;
        Ok(found.into_iter().map(|of| of.into_iter().next().map(|it| it.digest)).collect())
    }

    /// The outputs of a run's stages.
    pub fn outputs(&mut self, run: RunId) -> Result<Outputs> {
        self.wait(async |connection| sqlx::query_as(sql!("read_outputs")).bind(run.0).fetch_all(connection).await)
    }

    /// How many executions served the given runs.
    pub fn count_executions(&mut self, runs: &[RunId]) -> Result<usize> {
        let count: i64 = self.wait(async |connection| {
            sqlx::query_scalar(sql!("count_executions_of")).bind(list(runs)).fetch_one(connection).await
        })?;
        Ok(count as usize)
    }

    /// The first `most` executions that served the given runs at some stages, in the order of the stages.
    pub fn executions(&mut self, runs: &[RunId], stages: &[&str], most: usize) -> Result<Vec<Execution>> {
        let stages = Value::from(stages).to_string();
        let mut found: Vec<Execution> = self.wait(async |connection| {
            let query = sqlx::query_as(sql!("read_executions_of")).bind(list(runs)).bind(stages).bind(most as i64);
            query.fetch_all(connection).await
        })?;
        let places: HashMap<RunId, usize> = runs.iter().copied().zip(0..).collect();
        for execution in &mut found {
            for served in [&mut execution.executed.0, &mut execution.cached.0] {
                served.sort_by_key(|run| places.get(run).copied());
            }
        }
        Ok(found)
    }

    /// Where the logs of a run's workers are.
    pub fn logs(&mut self, run: RunId) -> Result<Vec<LogPart>> {
        self.wait(async |connection| sqlx::query_as(sql!("read_logs")).bind(run.0).fetch_all(connection).await)
    }
}
