//! Which executions served a run, what they made, and where their logs are.

use serde::Serialize;
use serde_json::Value;

use super::{as_json, each, list, only};
use crate::record::{Record, Result, sql};

/// One stage of a run, with the execution that served it.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct StageRow {
    pub stage: String,
    pub item: String,
    pub step: Option<i64>,
    pub how: String,
    pub execution: String,
    pub stage_key: String,
    pub status: String,
    pub seconds: Option<f64>,
    pub threads: Option<i64>,
    pub device: Option<String>,
    pub cpu_capability: Option<String>,
    pub libtorch: Option<String>,
    pub from_step: Option<i64>,
    pub to_step: Option<i64>,
    #[serde(serialize_with = "as_json")]
    pub report: Option<String>,
    pub error: Option<String>,
    #[serde(skip)]
    pub process: Option<String>,
    /// The first run that executed it.
    pub executed_by: Option<i64>,
}

impl StageRow {
    /// The execution's small facts; null where there are none.
    pub fn facts(&self) -> Value {
        self.report.as_deref().and_then(|report| serde_json::from_str(report).ok()).unwrap_or(Value::Null)
    }
}

/// Where the output of one execution's worker is.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct LogPart {
    pub stage: String,
    pub item: String,
    /// A file in the store's folder `logs`.
    pub log: String,
    /// Its first byte.
    pub log_from: Option<i64>,
    /// The byte after its last; the file's end where absent.
    pub log_to: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct DigestRow {
    digest: String,
}

#[derive(sqlx::FromRow)]
struct OutputRow {
    stage: String,
    item: String,
    name: String,
    digest: String,
}

/// Outputs of stages: stage, item, name, digest.
pub type Outputs = Vec<(String, String, String, String)>;

impl Record {
    /// The stages of each of some runs, in the order that `order` gives them.
    pub fn stages_of(&mut self, runs: &[i64], order: &[&str]) -> Result<Vec<Vec<StageRow>>> {
        let order = Value::from(order).to_string();
        self.wait(async |c| each(c, runs, sqlx::query_as(sql!("read_stages")).bind(list(runs)).bind(order)).await)
    }

    /// The digest of an output of one of a run's stages.
    pub fn output(&mut self, run: i64, stage: &str, name: &str) -> Result<Option<String>> {
        self.wait(async |connection| {
            let query = sqlx::query_scalar(sql!("read_output")).bind(run).bind(stage).bind(name);
            query.fetch_optional(connection).await
        })
    }

    /// The same of each of some runs.
    pub fn output_of(&mut self, runs: &[i64], stage: &str, name: &str) -> Result<Vec<Option<String>>> {
        let found: Vec<Vec<DigestRow>> = self.wait(async |c| {
            let query = sqlx::query_as(sql!("read_output_of")).bind(list(runs)).bind(stage).bind(name);
            each(c, runs, query).await
        })?;
        Ok(found.into_iter().map(|of| of.into_iter().next().map(|it| it.digest)).collect())
    }

    /// The outputs of a run's stages.
    pub fn outputs(&mut self, run: i64) -> Result<Outputs> {
        self.outputs_of(&[run]).map(only)
    }

    /// The outputs of each of some runs.
    pub fn outputs_of(&mut self, runs: &[i64]) -> Result<Vec<Outputs>> {
        let found: Vec<Vec<OutputRow>> =
            self.wait(async |c| each(c, runs, sqlx::query_as(sql!("read_outputs")).bind(list(runs))).await)?;
        let plain = |it: OutputRow| (it.stage, it.item, it.name, it.digest);
        Ok(found.into_iter().map(|of| of.into_iter().map(plain).collect()).collect())
    }

    /// Where a run's workers wrote.
    pub fn logs(&mut self, run: i64) -> Result<Vec<LogPart>> {
        self.wait(async |connection| sqlx::query_as(sql!("read_logs")).bind(run).fetch_all(connection).await)
    }
}
