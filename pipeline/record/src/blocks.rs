//! Losses by block: what curves of many steps and the search for the first differing bit read.

use identity::TrajectoryRow;
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnection;
use stages::protocol::Step;

use super::sql;

/// Steps of one row of `step_blocks`.
pub(super) const BLOCK: u64 = 1024;

/// One row of `step_blocks` as it grows.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub(super) struct Block {
    pub steps: i64,
    pub finite: i64,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub sum: f64,
    pub first_nonfinite: Option<i64>,
    pub tokens: i64,
    pub chain: Vec<u8>,
}

/// Adds new steps to their blocks.
pub(super) async fn summarise(c: &mut SqliteConnection, trajectory: TrajectoryRow, steps: &[Step]) -> sqlx::Result<()> {
    for steps in steps.chunk_by(|a, b| a.step / BLOCK == b.step / BLOCK) {
        let number = steps[0].step / BLOCK;
        let row: Option<Block> =
            sqlx::query_as(sql!("block")).bind(trajectory.0).bind(number as i64).fetch_optional(&mut *c).await?;
        let mut block = match row {
            Some(block) => block,
            None => begin(c, trajectory, steps[0].step).await?,
        };
        steps.iter().for_each(|step| block.add(step.step as i64, step.loss.0, step.tokens as i64));
        put(c, trajectory, number as i64, &block).await?;
    }
    Ok(())
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
        .execute(c)
        .await
        .map(|_| ())
}

/// The block of a trajectory's step `own` before that step is added: the parent's steps, where a fork begins in its middle.
pub(super) async fn begin(c: &mut SqliteConnection, trajectory: TrajectoryRow, own: u64) -> sqlx::Result<Block> {
    let number = own / BLOCK;
    let query = sqlx::query_scalar(sql!("chain_before")).bind(trajectory.0).bind(number as i64 - 1);
    let chain: Option<Vec<u8>> = query.fetch_optional(&mut *c).await?;
    let mut block = Block::after(chain.unwrap_or_else(|| vec![0; 32]));
    for (step, loss, kind, tokens) in before(c, trajectory, number * BLOCK, own).await? {
        block.add(step, loss.unwrap_or_else(|| float_of(&kind)), tokens);
    }
    Ok(block)
}

/// The steps of a block before its first own one: those of the parent, where a fork begins in the middle.
async fn before(
    c: &mut SqliteConnection,
    trajectory: TrajectoryRow,
    first: u64,
    own: u64,
) -> sqlx::Result<Vec<(i64, Option<f64>, String, i64)>> {
    if first == own {
        return Ok(Vec::new());
    }
    let query = sqlx::query_as(sql!("block_before")).bind(trajectory.0).bind(first as i64).bind(own as i64);
    query.fetch_all(c).await
}

/// The loss that a kind other than `finite` stands for.
pub(super) fn float_of(kind: &str) -> f64 {
    match kind {
        "inf" => f64::INFINITY,
        "-inf" => f64::NEG_INFINITY,
        _ => f64::NAN,
    }
}

impl Block {
    /// One without steps, behind a block whose chain is that.
    pub(super) fn after(chain: Vec<u8>) -> Self {
        Self { steps: 0, finite: 0, minimum: None, maximum: None, sum: 0.0, first_nonfinite: None, tokens: 0, chain }
    }

    pub(super) fn add(&mut self, step: i64, loss: f64, tokens: i64) {
        self.steps += 1;
        self.tokens += tokens;
        if loss.is_finite() {
            self.finite += 1;
            self.minimum = Some(self.minimum.map_or(loss, |m| m.min(loss)));
            self.maximum = Some(self.maximum.map_or(loss, |m| m.max(loss)));
            self.sum += loss;
        } else {
            self.first_nonfinite.get_or_insert(step);
        }
        let mut hash = Sha256::new();
        hash.update(&self.chain);
        // One bit pattern for every NaN: which one arises depends on the processor.
        let bits = if loss.is_nan() { f64::NAN.to_bits() } else { loss.to_bits() };
        hash.update(bits.to_le_bytes());
        self.chain.clear();
        self.chain.extend_from_slice(&hash.finalize());
    }
}
