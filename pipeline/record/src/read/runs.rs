//! Runs, their parameters, and the studies that they belong to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use identity::verdict::Kind;
use identity::{Cell, LossKind, Param, RunId, Status, Word};

use super::many::{as_json, each, list, many};
use super::nullable::Nullable;
use crate::{Record, Result, sql};

/// A row of `run_summary`. A loss that is NULL with a kind other than `finite` is NaN or infinite.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, sqlx::FromRow)]
pub struct RunSummary {
    #[sqlx(try_from = "i64")]
    pub run: RunId,
    /// `None` for a run without an experiment.
    pub experiment: Option<String>,
    /// The swept parameters: JSON in the record, an object when printed.
    #[serde(serialize_with = "as_json")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub point: Option<String>,
    #[sqlx(try_from = "String")]
    pub status: Status,
    pub seed: Option<i64>,
    pub learning_rate: Option<f64>,
    pub steps: i64,
    pub last_loss: Option<f64>,
    #[sqlx(try_from = "Nullable<String>")]
    pub last_loss_kind: Option<LossKind>,
    pub best_loss: Option<f64>,
    pub valid_perplexity: Option<f64>,
    #[sqlx(try_from = "Nullable<String>")]
    pub valid_loss_kind: Option<LossKind>,
    pub test_perplexity: Option<f64>,
    #[sqlx(try_from = "Nullable<String>")]
    pub test_loss_kind: Option<LossKind>,
    pub seconds: f64,
    pub nonfinite_steps: i64,
    pub first_nonfinite_step: Option<i64>,
    pub error: Option<String>,
    pub created_at: String,
    /// The latest verdict, as one word.
    #[sqlx(try_from = "Nullable<String>")]
    pub verdict: Option<Word<Kind>>,
    /// What an imported run is called.
    pub imported: Option<String>,
    /// The process that works on it, if any.
    #[serde(skip)]
    pub process: Option<String>,
    /// If it was interrupted between executions: the last stage that it reached.
    #[sqlx(default)]
    #[serde(skip)]
    pub stopped_at: Option<String>,
}

impl RunSummary {
    /// The name of its experiment, or of an imported run.
    pub fn origin(&self) -> Option<&str> {
        self.experiment.as_deref().or(self.imported.as_deref())
    }

    /// Its status as shown in a table.
    pub fn standing(&self) -> String {
        self.stopped_at.as_ref().map_or_else(|| self.status.to_string(), |stage| format!("stopped at {stage}"))
    }

    /// The name of the run: `run42`.
    pub fn name(&self) -> String {
        self.run.to_string()
    }

    /// The swept parameters.
    pub fn swept(&self) -> Map<String, Value> {
        self.point.as_deref().and_then(|point| serde_json::from_str(point).ok()).unwrap_or_default()
    }
}

/// What the screen of one run shows besides its summary.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, sqlx::FromRow)]
pub struct Detail {
    pub uid: String,
    #[serde(skip)]
    pub trajectory_id: Option<i64>,
    /// The number of steps of its trajectory that it shows.
    #[serde(skip)]
    pub steps: i64,
    pub length: Option<i64>,
    pub finished_at: Option<String>,
    pub host: String,
    pub program_version: String,
    pub git_commit: Option<String>,
    pub git_dirty: Option<bool>,
    pub experiment_path: Option<String>,
    #[serde(serialize_with = "as_json")]
    #[schemars(with = "Option<Vec<String>>")]
    pub overrides: Option<String>,
}

/// A study; several can have the same name.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Study {
    pub id: i64,
    pub name: String,
    pub runs: i64,
}

impl Record {
    /// All run numbers, ascending.
    pub fn run_numbers(&mut self) -> Result<Vec<RunId>> {
        let found: Vec<i64> =
            self.wait(async |connection| sqlx::query_scalar(sql!("read_run_numbers")).fetch_all(connection).await)?;
        Ok(found.into_iter().map(RunId).collect())
    }

    /// The given runs, or all, ascending.
    pub fn summaries(&mut self, runs: Option<&[RunId]>) -> Result<Vec<RunSummary>> {
        let runs = runs.map(list);
        self.wait(async |connection| many(sqlx::query_as(sql!("read_runs")).bind(runs).fetch_all(connection)).await)
    }

    /// Interrupted runs that ended between executions, and the last stage of `order` that each reached.
    pub fn stopped(&mut self, order: &[&str]) -> Result<Vec<(RunId, String)>> {
        let order = Value::from(order).to_string();
        let found: Vec<(i64, String)> =
            self.wait(async |connection| sqlx::query_as(sql!("read_stopped")).bind(order).fetch_all(connection).await)?;
        Ok(found.into_iter().map(|(run, stage)| (RunId(run), stage)).collect())
    }

    /// The details of a run.
    pub fn detail(&mut self, run: RunId) -> Result<Detail> {
        Ok(self.details(&[run])?.remove(0))
    }

    /// The details of each of the given runs, which must exist.
    pub fn details(&mut self, runs: &[RunId]) -> Result<Vec<Detail>> {
        self.wait(async |c| {
            let found = each(c, runs, sqlx::query_as(sql!("read_details")).bind(list(runs))).await?;
            found.into_iter().map(|mut of| of.pop().ok_or(sqlx::Error::RowNotFound)).collect()
        })
    }

    /// The parameters of the given runs, by name and then run.
    pub fn params(&mut self, runs: &[RunId]) -> Result<Vec<Param>> {
        let listed = list(runs);
        self.wait(async |connection| {
            let query = sqlx::query_as::<_, (i64, String)>(sql!("read_params")).bind(listed);
            let mut by_name: BTreeMap<String, Vec<(RunId, Cell)>> = BTreeMap::new();
            for (run, point) in query.fetch_all(connection).await? {
                let point: Map<String, Value> =
                    serde_json::from_str(&point).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
                for (name, value) in point {
                    by_name.entry(name).or_default().push((RunId(run), Cell::from(value)));
                }
            }
            let all = by_name.into_iter().flat_map(|(name, values)| {
                values.into_iter().map(move |(run, value)| Param { run, name: name.clone(), value })
            });
            Ok(all.collect())
        })
    }

    /// All studies, newest first.
    pub fn studies(&mut self) -> Result<Vec<Study>> {
        self.wait(async |connection| sqlx::query_as(sql!("read_studies")).fetch_all(connection).await)
    }

    /// A study's runs in grid order.
    pub fn study_runs(&mut self, study: i64) -> Result<Vec<RunId>> {
        let found: Vec<i64> = self.wait(async |connection| {
            sqlx::query_scalar(sql!("read_study_runs")).bind(study).fetch_all(connection).await
        })?;
        Ok(found.into_iter().map(RunId).collect())
    }
}
