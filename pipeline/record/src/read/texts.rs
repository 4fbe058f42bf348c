//! Evaluations, baselines, samples and events of a run.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;

use identity::{EvaluationRow, NgramLoss, RunId, SampleRow};

use super::many::{each, each_plain, list, only};
use super::plain::plain;
use crate::{Record, Result, sql};

/// An event of a run.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, sqlx::FromRow)]
pub struct EventRow {
    pub step: Option<i64>,
    pub kind: String,
    pub message: String,
    pub created_at: String,
}

impl Record {
    /// A run's evaluations by step.
    pub fn evaluations(&mut self, run: RunId) -> Result<Vec<EvaluationRow>> {
        self.wait(async |c| sqlx::query_as(sql!("read_evaluations")).bind(run.0).fetch_all(c).await.map(plain))
    }

    /// The evaluations of each of the given runs.
    pub fn evaluations_of(&mut self, runs: &[RunId]) -> Result<Vec<Vec<EvaluationRow>>> {
        self.wait(async |c| each_plain(c, runs, sqlx::query_as(sql!("read_evaluations_of")).bind(list(runs))).await)
    }

    /// A run's baselines, by split and then from the simplest model on; empty until they are computed.
    pub fn ngrams(&mut self, run: RunId) -> Result<Vec<NgramLoss>> {
        self.ngrams_of(&[run]).map(only)
    }

    /// The baselines of each of the given runs.
    pub fn ngrams_of(&mut self, runs: &[RunId]) -> Result<Vec<Vec<NgramLoss>>> {
        self.wait(async |c| {
            let by: Vec<(i64, i64)> =
                sqlx::query_as(sql!("read_ngrams_by")).bind(list(runs)).fetch_all(&mut *c).await?;
            let mut executions: Vec<i64> = by.iter().map(|(_, execution)| *execution).collect();
            executions.sort_unstable();
            executions.dedup();
            // Runs with the same corpus share them.
            let query = sqlx::query_as(sql!("read_ngrams")).bind(list(&executions));
            let found = each_plain::<NgramLoss, _>(c, &executions, query).await?;
            let found: HashMap<i64, Vec<NgramLoss>> = executions.into_iter().zip(found).collect();
            let by: HashMap<i64, i64> = by.into_iter().collect();
            let of = |run: &RunId| by.get(&run.0).and_then(|execution| found.get(execution)).cloned();
            Ok(runs.iter().map(|run| of(run).unwrap_or_default()).collect())
        })
    }

    /// A run's samples, by step and position.
    pub fn samples(&mut self, run: RunId) -> Result<Vec<SampleRow>> {
        self.samples_of(&[run]).map(only)
    }

    /// The samples of each of the given runs.
    pub fn samples_of(&mut self, runs: &[RunId]) -> Result<Vec<Vec<SampleRow>>> {
        self.wait(async |c| each_plain(c, runs, sqlx::query_as(sql!("read_samples")).bind(list(runs))).await)
    }

    /// The events of each of the given runs.
    pub fn events_of(&mut self, runs: &[RunId]) -> Result<Vec<Vec<EventRow>>> {
        self.wait(async |c| each(c, runs, sqlx::query_as(sql!("read_events_of")).bind(list(runs))).await)
    }

    /// A run's events by step.
    pub fn events(&mut self, run: RunId) -> Result<Vec<EventRow>> {
        self.wait(async |connection| sqlx::query_as(sql!("read_events")).bind(run.0).fetch_all(connection).await)
    }
}
