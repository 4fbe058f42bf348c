//! Summaries of the losses in blocks of consecutive steps, for curves of many steps and for finding the first step at
//! which two trajectories differ.

use identity::observations::Step;
use identity::{BLOCK, TrajectoryRow};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnection;

use super::{Record, Result, sql};

/// One row of the table `step_blocks`, to which steps can be added.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub(super) struct Block {
    pub steps: i64,
    pub finite: i64,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub sum: f64,
    pub first_nonfinite: Option<i64>,
    pub tokens: Option<i64>,
    pub chain: Vec<u8>,
    /// The last of its steps; while it has none, the last step before the block.
    pub last_step: i64,
    pub missing: i64,
}

/// The columns of a step that a block summarises.
#[derive(sqlx::FromRow)]
pub(super) struct BlockRow {
    pub step: i64,
    pub loss: Option<f64>,
    pub loss_kind: Option<String>,
    pub tokens: Option<i64>,
}

/// Adds new steps to the summaries of their blocks.
pub(super) async fn summarise(c: &mut SqliteConnection, trajectory: TrajectoryRow, steps: &[Step]) -> sqlx::Result<()> {
    let number = |step: &Step| step.step as i64 / BLOCK;
    for steps in steps.chunk_by(|a, b| number(a) == number(b)) {
        let (number, first) = (number(&steps[0]), steps[0].step as i64);
        let row: Option<Block> =
            sqlx::query_as(sql!("block")).bind(trajectory.0).bind(number).fetch_optional(&mut *c).await?;
        let mut block = match row {
            Some(block) => block,
            None => begin(c, trajectory, first).await?,
        };
        steps.iter().for_each(|step| block.add(step.step as i64, Some(step.loss.0), Some(step.tokens as i64)));
        put(c, trajectory, number, &block).await?;
    }
    Ok(())
}

impl Record {
    /// Recomputes the blocks of a trajectory after some of its steps were changed; no process may be writing to it.
    pub fn sum_up(&mut self, trajectory: TrajectoryRow) -> Result<()> {
        self.transaction(async |c| sum_up(c, trajectory).await)
    }
}

/// Sums up the steps of a trajectory again, within a transaction.
pub(super) async fn sum_up(c: &mut SqliteConnection, trajectory: TrajectoryRow) -> sqlx::Result<()> {
    let rows: Vec<BlockRow> = sqlx::query_as(sql!("block_rows")).bind(trajectory.0).fetch_all(&mut *c).await?;
    let Some(first) = rows.first() else { return Ok(()) };
    let mut next = begin(c, trajectory, first.step).await?;
    for rows in rows.chunk_by(|a, b| a.step / BLOCK == b.step / BLOCK) {
        let mut block = next;
        rows.iter().for_each(|row| block.add_row(row));
        put(c, trajectory, rows[0].step / BLOCK, &block).await?;
        next = Block::after(block.chain, block.last_step);
    }
    Ok(())
}

/// Writes a block, replacing an existing one.
pub(super) async fn put(
    c: &mut SqliteConnection,
    trajectory: TrajectoryRow,
    number: i64,
    block: &Block,
) -> sqlx::Result<()> {
    sqlx::query(sql!("put_block"))
        .bind(trajectory.0)
        .bind(number)
        .bind(block.steps)
        .bind(block.finite)
        .bind(block.minimum)
        .bind(block.maximum)
        .bind(block.sum)
        .bind(block.first_nonfinite)
        .bind(block.tokens)
        .bind(&block.chain)
        .bind(block.last_step)
        .bind(block.missing)
        .execute(c)
        .await
        .map(|_| ())
}

/// The block of step `own` of a trajectory, before that step is added. It already contains the parent's steps if a fork
/// begins within the block, and is empty otherwise.
pub(super) async fn begin(c: &mut SqliteConnection, trajectory: TrajectoryRow, own: i64) -> sqlx::Result<Block> {
    let number = own / BLOCK;
    let query = sqlx::query_as(sql!("block_before")).bind(trajectory.0).bind(number).bind(BLOCK);
    let before: Option<(Vec<u8>, i64)> = query.fetch_optional(&mut *c).await?;
    let mut block = before.map_or_else(Block::first, |(chain, last_step)| Block::after(chain, last_step));
    let first = number * BLOCK;
    if first < own {
        let query = sqlx::query_as(sql!("steps_before")).bind(trajectory.0).bind(first).bind(own);
        let rows: Vec<BlockRow> = query.fetch_all(&mut *c).await?;
        rows.iter().for_each(|row| block.add_row(row));
    }
    Ok(block)
}

/// The loss of a step; `None` if none was measured. The kind can be omitted if the loss is finite.
pub(super) fn loss_of(loss: Option<f64>, kind: Option<&str>) -> Option<f64> {
    loss.or_else(|| kind.map(float_of))
}

/// The loss for a kind other than `finite`.
fn float_of(kind: &str) -> f64 {
    match kind {
        "inf" => f64::INFINITY,
        "-inf" => f64::NEG_INFINITY,
        _ => f64::NAN,
    }
}

impl Block {
    /// A block without steps, at the beginning of a trajectory.
    pub(super) fn first() -> Self {
        Self::after(vec![0; 32], -1)
    }

    /// A block without steps that follows a block with this chain and last step.
    pub(super) fn after(chain: Vec<u8>, last_step: i64) -> Self {
        let (steps, finite, missing, sum) = (0, 0, 0, 0.0);
        let (minimum, maximum, first_nonfinite, tokens) = (None, None, None, None);
        Self { steps, finite, minimum, maximum, sum, first_nonfinite, tokens, chain, last_step, missing }
    }

    /// Adds a step as it was recorded.
    pub(super) fn add_row(&mut self, row: &BlockRow) {
        self.add(row.step, loss_of(row.loss, row.loss_kind.as_deref()), row.tokens);
    }

    /// Adds a step; the loss is `None` if none was measured.
    pub(super) fn add(&mut self, step: i64, loss: Option<f64>, tokens: Option<i64>) {
        self.steps += 1;
        if let Some(tokens) = tokens {
            self.tokens = Some(self.tokens.unwrap_or(0) + tokens);
        }
        match loss {
            Some(loss) if loss.is_finite() => {
                self.finite += 1;
                self.minimum = Some(self.minimum.map_or(loss, |m| m.min(loss)));
                self.maximum = Some(self.maximum.map_or(loss, |m| m.max(loss)));
                self.sum += loss;
            }
            Some(_) => {
                self.first_nonfinite.get_or_insert(step);
            }
            None => self.missing += 1,
        }
        self.link(step, loss);
        self.last_step = step;
    }

    /// Extends the chain of hashes by a step. A step that directly follows the previous one adds only its loss, so that
    /// trajectories without gaps have the same chains as in older versions; a step after a gap also adds its number.
    fn link(&mut self, step: i64, loss: Option<f64>) {
        let mut hash = Sha256::new();
        hash.update(&self.chain);
        if step != self.last_step + 1 {
            hash.update(b"step");
            hash.update(step.to_le_bytes());
        }
        match loss {
            // One bit pattern for every NaN, because the pattern depends on the processor.
            Some(loss) if loss.is_nan() => hash.update(f64::NAN.to_bits().to_le_bytes()),
            Some(loss) => hash.update(loss.to_bits().to_le_bytes()),
            None => hash.update(b"none"),
        }
        self.chain.clear();
        self.chain.extend_from_slice(&hash.finalize());
    }
}
