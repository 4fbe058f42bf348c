//! Steps of a run, and the first difference between two trajectories.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;

use identity::{LossKind, RunId, StepRow};

use super::many::each_plain;
use super::plain::Row;
use crate::{Record, Result, sql};

/// The first step at which two trajectories have different losses.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, sqlx::FromRow)]
pub struct LossDifference {
    pub step: i64,
    pub loss_a: Option<f64>,
    #[sqlx(try_from = "String")]
    pub kind_a: LossKind,
    pub loss_b: Option<f64>,
    #[sqlx(try_from = "String")]
    pub kind_b: LossKind,
}

/// The numbers of a step that must be the same to the bit when it is recomputed.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Numbers {
    pub step: i64,
    pub loss: Option<f64>,
    #[sqlx(try_from = "String")]
    pub loss_kind: LossKind,
    pub grad_norm: Option<f64>,
}

impl Numbers {
    /// The numbers as bits, for an exact comparison.
    pub fn bits(&self) -> (i64, Option<u64>, LossKind, Option<u64>) {
        (self.step, self.loss.map(f64::to_bits), self.loss_kind, self.grad_norm.map(f64::to_bits))
    }
}

impl std::fmt::Display for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |x: Option<f64>, else_: &str| x.map_or(else_.to_owned(), |x| format!("{x:?}"));
        write!(
            f,
            "loss {}, gradient norm {}",
            word(self.loss, self.loss_kind.as_str()),
            word(self.grad_norm, "not finite")
        )
    }
}

impl Record {
    /// The numbers of all steps of a run.
    pub fn numbers(&mut self, run: RunId) -> Result<Vec<Numbers>> {
        self.wait(async |connection| sqlx::query_as(sql!("read_numbers")).bind(run.0).fetch_all(connection).await)
    }

    /// The time that computing the steps `first..=last` of a run took, in seconds.
    pub fn step_seconds(&mut self, run: RunId, first: i64, last: i64) -> Result<f64> {
        self.wait(async |connection| {
            sqlx::query_scalar(sql!("step_seconds")).bind(run.0).bind(first).bind(last).fetch_one(connection).await
        })
    }

    /// The steps from the first to the last of each `(run, first, last)`.
    pub fn steps_around(&mut self, spans: &[(RunId, i64, i64)]) -> Result<HashMap<RunId, Vec<StepRow>>> {
        let runs: Vec<RunId> = spans.iter().map(|(run, ..)| *run).collect();
        let spans = serde_json::json!(spans).to_string();
        let found =
            self.wait(async |c| each_plain(c, &runs, sqlx::query_as(sql!("read_steps_around")).bind(spans)).await)?;
        Ok(runs.into_iter().zip(found).collect())
    }

    /// One step of a run.
    pub fn step(&mut self, run: RunId, step: i64) -> Result<Option<StepRow>> {
        self.wait(async |connection| {
            let query = sqlx::query_as(sql!("read_step")).bind(run.0).bind(step);
            Ok(query.fetch_optional(connection).await?.map(|Row(step)| step))
        })
    }
}
