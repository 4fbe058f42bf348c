//! Losses by block: what curves of many steps and the search for the first differing bit read.

use identity::observations::Step;
use identity::{BLOCK, TrajectoryRow};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnection;

use super::{Record, Result, sql};

/// One row of `step_blocks` as it grows.
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
    /// The last of its steps, or the one before the block while it has none.
    pub last_step: i64,
    pub missing: i64,
}

/// What a block sums up of a step.
#[derive(sqlx::FromRow)]
pub(super) struct BlockRow {
    pub step: i64,
    pub loss: Option<f64>,
    pub loss_kind: Option<String>,
    pub tokens: Option<i64>,
}

/// Adds new steps to their blocks.
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
    /// Sums up the steps of a trajectory that nobody is writing again, after some of them were changed.
    pub fn sum_up(&mut self, trajectory: TrajectoryRow) -> Result<()> {
        self.transaction(async |c| {
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
        })
    }
}

/// Writes a block, in the place of the one that is there.
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

/// The block of a trajectory's step `own` before that step is added: the parent's steps, where a fork begins in its middle.
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

/// The loss of a step; `None` where none was measured. The kind may be left out where the loss is finite.
pub(super) fn loss_of(loss: Option<f64>, kind: Option<&str>) -> Option<f64> {
    loss.or_else(|| kind.map(float_of))
}

/// The loss that a kind other than `finite` stands for.
fn float_of(kind: &str) -> f64 {
    match kind {
        "inf" => f64::INFINITY,
        "-inf" => f64::NEG_INFINITY,
        _ => f64::NAN,
    }
}

impl Block {
    /// One without steps, at the beginning of a trajectory.
    pub(super) fn first() -> Self {
        Self::after(vec![0; 32], -1)
    }

    /// One without steps, behind a block whose chain and last step are those.
    pub(super) fn after(chain: Vec<u8>, last_step: i64) -> Self {
        let (steps, finite, missing, sum) = (0, 0, 0, 0.0);
        let (minimum, maximum, first_nonfinite, tokens) = (None, None, None, None);
        Self { steps, finite, minimum, maximum, sum, first_nonfinite, tokens, chain, last_step, missing }
    }

    /// Adds a step as it is recorded.
    pub(super) fn add_row(&mut self, row: &BlockRow) {
        self.add(row.step, loss_of(row.loss, row.loss_kind.as_deref()), row.tokens);
    }

    /// Adds a step; a loss is `None` where none was measured.
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

    /// Continues the chain. A step that follows the one before is its loss alone, which is all that dense trajectories, the
    /// older ones among them, ever hash; the others are told apart by what is hashed besides.
    fn link(&mut self, step: i64, loss: Option<f64>) {
        let mut hash = Sha256::new();
        hash.update(&self.chain);
        if step != self.last_step + 1 {
            hash.update(b"step");
            hash.update(step.to_le_bytes());
        }
        match loss {
            // One bit pattern for every NaN: which one arises depends on the processor.
            Some(loss) if loss.is_nan() => hash.update(f64::NAN.to_bits().to_le_bytes()),
            Some(loss) => hash.update(loss.to_bits().to_le_bytes()),
            None => hash.update(b"none"),
        }
        self.chain.clear();
        self.chain.extend_from_slice(&hash.finalize());
    }
}
