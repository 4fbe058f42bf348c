//! Two trajectories step by step: where they first differ, and the steps around a step.

use identity::{LossPair, StepRow};

use super::losses::LossDifference;
use super::plain::plain;
use crate::{Record, Result, sql};

#[derive(sqlx::FromRow)]
struct PairRow {
    step: i64,
    loss_a: Option<f64>,
    kind_a: Option<String>,
    loss_b: Option<f64>,
    kind_b: Option<String>,
}

/// The loss of a row; the kind is given only if it is not finite.
fn loss(loss: Option<f64>, kind: Option<&str>) -> f64 {
    match kind {
        Some("inf") => f64::INFINITY,
        Some("-inf") => f64::NEG_INFINITY,
        _ => loss.unwrap_or(f64::NAN),
    }
}

impl From<PairRow> for LossPair {
    fn from(row: PairRow) -> Self {
        Self { step: row.step, a: loss(row.loss_a, row.kind_a.as_deref()), b: loss(row.loss_b, row.kind_b.as_deref()) }
    }
}

impl Record {
    /// The first step below `steps` that two trajectories have in common and at which their losses differ in any bit.
    pub fn first_difference(&mut self, a: i64, b: i64, steps: i64) -> Result<Option<LossDifference>> {
        if a == b {
            return Ok(None);
        }
        self.wait(async |connection| {
            let equal = sqlx::query_scalar(sql!("read_equal_until")).bind(a).bind(b);
            let equal: i64 = equal.fetch_one(&mut *connection).await?;
            // The block after the last equal one contains a difference, or is the last that both have.
            let difference = sqlx::query_as(sql!("read_first_difference")).bind(a).bind(b).bind(equal).bind(steps);
            difference.fetch_optional(connection).await
        })
    }

    /// The losses of two trajectories at the steps in `from..to` that both have.
    pub fn pairs(&mut self, a: i64, b: i64, from: i64, to: i64) -> Result<Vec<LossPair>> {
        self.wait(async |connection| {
            let query = sqlx::query_as(sql!("read_pairs")).bind(a).bind(b).bind(from).bind(to);
            let rows: Vec<PairRow> = query.fetch_all(connection).await?;
            Ok(rows.into_iter().map(LossPair::from).collect())
        })
    }

    /// The first step in `from..to` at which the losses of two trajectories differ by more than `least` and by more
    /// than `share` of either, or are of different kinds.
    pub fn first_apart(
        &mut self,
        (a, b): (i64, i64),
        (from, to): (i64, i64),
        least: f64,
        share: f64,
    ) -> Result<Option<LossPair>> {
        self.wait(async |connection| {
            let query = sqlx::query_as(sql!("read_first_apart")).bind(a).bind(b).bind(from).bind(to);
            let row: Option<PairRow> = query.bind(least).bind(share).fetch_optional(connection).await?;
            Ok(row.map(LossPair::from))
        })
    }

    /// The first step in `from..to` at which the learning rates of two trajectories differ by more than `tolerance`,
    /// each divided by its reference rate, `part_a` or `part_b`.
    pub fn rates_part(
        &mut self,
        (a, part_a): (i64, f64),
        (b, part_b): (i64, f64),
        (from, to): (i64, i64),
        tolerance: f64,
    ) -> Result<Option<i64>> {
        self.wait(async |connection| {
            let query = sqlx::query_scalar(sql!("read_rates_part")).bind(a).bind(b).bind(from).bind(to);
            query.bind(part_a).bind(part_b).bind(tolerance).fetch_one(connection).await
        })
    }

    /// Whether a gradient of a trajectory was clipped in the steps `from..to`.
    pub fn is_clipped(&mut self, trajectory: i64, from: i64, to: i64) -> Result<bool> {
        self.wait(async |connection| {
            let query = sqlx::query_scalar(sql!("read_is_clipped")).bind(trajectory).bind(from).bind(to);
            query.fetch_one(connection).await
        })
    }

    /// The number of steps that two trajectories share because one is a fork of the other, or both of the same one.
    pub fn shared_steps(&mut self, a: i64, b: i64) -> Result<i64> {
        self.wait(async |connection| {
            sqlx::query_scalar(sql!("read_shared_steps")).bind(a).bind(b).fetch_one(connection).await
        })
    }

    /// The steps in `from..to` of a trajectory that are next to `centre` or were probed.
    pub fn steps_near(&mut self, trajectory: i64, (from, to): (i64, i64), centre: i64) -> Result<Vec<StepRow>> {
        self.wait(async |connection| {
            let query = sqlx::query_as(sql!("read_near")).bind(trajectory).bind(from).bind(to).bind(centre);
            query.fetch_all(connection).await.map(plain)
        })
    }
}
