//! Losses of a trajectory, in as few rows as show every spike.

use std::collections::HashMap;

use serde::Serialize;
use serde::ser::SerializeStruct as _;

use super::each;
use crate::record::{Record, Result, sql};

/// From this many steps on, curves are drawn from blocks: finer than any terminal's columns, and a thousandth of the rows.
const MANY_STEPS: i64 = 128 * BLOCK;

/// Steps of a block.
const BLOCK: i64 = 1024;

/// Neighbouring steps in one row.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Bucket {
    /// The first step.
    pub first: i64,
    /// How many.
    pub steps: i64,
    /// How many had a finite loss; what follows is over them.
    pub finite: i64,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub sum: f64,
    pub first_nonfinite: Option<i64>,
}

impl Bucket {
    /// The mean of its finite losses.
    pub fn mean(&self) -> Option<f64> {
        // A sum of losses near the largest float overflows; their mean does not.
        (self.finite > 0)
            .then(|| (self.sum / self.finite as f64).clamp(self.minimum.unwrap_or(0.0), self.maximum.unwrap_or(0.0)))
    }
}

/// With the mean in place of the sum, which is only a means to it.
impl Serialize for Bucket {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Bucket", 7)?;
        fields.serialize_field("first", &self.first)?;
        fields.serialize_field("steps", &self.steps)?;
        fields.serialize_field("finite", &self.finite)?;
        fields.serialize_field("minimum", &self.minimum)?;
        fields.serialize_field("maximum", &self.maximum)?;
        fields.serialize_field("mean", &self.mean())?;
        fields.serialize_field("first_nonfinite", &self.first_nonfinite)?;
        fields.end()
    }
}

/// The first step at which two trajectories have different losses.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct Difference {
    pub step: i64,
    pub loss_a: Option<f64>,
    pub kind_a: String,
    pub loss_b: Option<f64>,
    pub kind_b: String,
}

/// The losses of two trajectories at one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    pub step: i64,
    pub a: f64,
    pub b: f64,
}

/// What must be the same to the bit of a step that is computed again.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Numbers {
    pub step: i64,
    pub loss: Option<f64>,
    pub loss_kind: String,
    pub grad_norm: Option<f64>,
}

impl Numbers {
    /// Equal where every bit is.
    pub fn bits(&self) -> (i64, Option<u64>, &str, Option<u64>) {
        (self.step, self.loss.map(f64::to_bits), &self.loss_kind, self.grad_norm.map(f64::to_bits))
    }
}

impl std::fmt::Display for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |x: Option<f64>, else_: &str| x.map_or(else_.to_owned(), |x| format!("{x:?}"));
        write!(f, "loss {}, gradient norm {}", word(self.loss, &self.loss_kind), word(self.grad_norm, "not finite"))
    }
}

/// One optimiser step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct StepRow {
    pub step: i64,
    pub epoch: i64,
    pub loss: Option<f64>,
    pub loss_kind: String,
    pub learning_rate: f64,
    pub grad_norm: Option<f64>,
    pub clipped: bool,
    pub update_ratio: Option<f64>,
    pub overshoot: Option<f64>,
    pub logit_max: Option<f64>,
    pub entropy: Option<f64>,
    pub sharpness: Option<f64>,
    pub tokens: i64,
    pub seconds: f64,
    /// Names every measured column that was not finite: `grad_norm:inf`.
    pub nonfinite: Option<String>,
}

impl StepRow {
    /// What a column was in place of a number: `inf`. What has neither value nor kind was not measured.
    pub fn odd(&self, column: &str) -> Option<&str> {
        let named = self.nonfinite.as_deref().unwrap_or_default().split([',', ' ']);
        named.filter_map(|entry| entry.split_once(':')).find(|(name, _)| *name == column).map(|(_, kind)| kind)
    }
}

impl Record {
    /// The losses of the first `steps` steps of a trajectory, in about `rows` rows or more that lose no extreme.
    pub fn buckets(&mut self, trajectory: i64, steps: i64, rows: i64) -> Result<Vec<Bucket>> {
        let whole = if steps >= MANY_STEPS { steps / BLOCK * BLOCK } else { 0 };
        let width = if whole > 0 { BLOCK } else { (steps / rows.max(1)).max(1) };
        self.wait(async |connection| {
            let blocks = sqlx::query_as(sql!("read_blocks")).bind(trajectory).bind(whole);
            let mut buckets: Vec<Bucket> = blocks.fetch_all(&mut *connection).await?;
            let rest = sqlx::query_as(sql!("read_step_buckets")).bind(trajectory).bind(whole).bind(steps).bind(width);
            buckets.extend(rest.fetch_all(connection).await?);
            Ok(buckets)
        })
    }

    /// The same of several trajectories, each with its number of steps.
    pub fn buckets_of(&mut self, of: &[(Option<i64>, i64)], rows: i64) -> Result<Vec<Vec<Bucket>>> {
        let short = |(at, (trajectory, steps)): (usize, &(Option<i64>, i64))| {
            let trajectory = trajectory.filter(|_| *steps < MANY_STEPS)?;
            Some((at as i64, (trajectory, *steps, (*steps / rows.max(1)).max(1))))
        };
        let (places, asked): (Vec<i64>, Vec<(i64, i64, i64)>) = of.iter().enumerate().filter_map(short).unzip();
        let numbers: Vec<i64> = (0..places.len() as i64).collect();
        let asked = serde_json::json!(asked).to_string();
        let found =
            self.wait(async |c| each(c, &numbers, sqlx::query_as(sql!("read_buckets_of")).bind(asked)).await)?;
        let mut all = vec![Vec::new(); of.len()];
        for (place, buckets) in places.into_iter().zip(found) {
            all[place as usize] = buckets;
        }
        for (at, (trajectory, steps)) in of.iter().enumerate() {
            if let Some(trajectory) = trajectory.filter(|_| *steps >= MANY_STEPS) {
                all[at] = self.buckets(trajectory, *steps, rows)?;
            }
        }
        Ok(all)
    }

    /// The whole blocks among the first `steps` steps of a trajectory.
    pub fn blocks(&mut self, trajectory: i64, steps: i64) -> Result<Vec<Bucket>> {
        self.wait(async |connection| {
            sqlx::query_as(sql!("read_blocks")).bind(trajectory).bind(steps).fetch_all(connection).await
        })
    }

    /// The numbers of all steps of a run.
    pub fn numbers(&mut self, run: i64) -> Result<Vec<Numbers>> {
        self.wait(async |connection| sqlx::query_as(sql!("read_numbers")).bind(run).fetch_all(connection).await)
    }

    /// What some steps of a run took when they were computed.
    pub fn step_seconds(&mut self, run: i64, first: i64, last: i64) -> Result<f64> {
        self.wait(async |connection| {
            sqlx::query_scalar(sql!("step_seconds")).bind(run).bind(first).bind(last).fetch_one(connection).await
        })
    }

    /// Steps of some runs, each with its first and its last.
    pub fn steps_around(&mut self, spans: &[(i64, i64, i64)]) -> Result<HashMap<i64, Vec<StepRow>>> {
        let runs: Vec<i64> = spans.iter().map(|(run, ..)| *run).collect();
        let spans = serde_json::json!(spans).to_string();
        let found = self.wait(async |c| each(c, &runs, sqlx::query_as(sql!("read_steps_around")).bind(spans)).await)?;
        Ok(runs.into_iter().zip(found).collect())
    }

    /// One step of a run.
    pub fn step(&mut self, run: i64, step: i64) -> Result<Option<StepRow>> {
        self.wait(async |connection| {
            sqlx::query_as(sql!("read_step")).bind(run).bind(step).fetch_optional(connection).await
        })
    }
}
