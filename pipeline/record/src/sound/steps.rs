//! Compares blocks with the steps that they summarise.

use identity::{BLOCK, RunId, TrajectoryRow};
use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteConnection;

use super::{Damage, Examined, Rebuilt};
use crate::blocks::{Block, begin, loss_of};
use crate::sql;

/// The number of steps between two progress reports.
const BETWEEN: u64 = 10_000;

/// A trajectory's own steps.
struct Own {
    first: i64,
    run: Option<RunId>,
    /// Whether gaps between them are damage.
    dense: bool,
    /// Its first block, which already contains the parent's steps.
    begun: Option<Block>,
}

#[derive(sqlx::FromRow)]
struct StoredBlock {
    trajectory_id: i64,
    block: i64,
    #[sqlx(flatten)]
    stored: Block,
}

/// The block that is being recomputed from its steps.
struct Current {
    trajectory: i64,
    number: i64,
    block: Block,
    /// Whether a loss is zero: SQLite does not keep the sign of zero, so the block's chain proves nothing.
    zero: bool,
}

/// Compares every block with its steps.
pub(super) async fn compare(
    c: &mut SqliteConnection,
    found: &mut Examined,
    mut told: impl FnMut(u64, u64),
) -> sqlx::Result<()> {
    let mut stored: BTreeMap<(i64, i64), Block> = BTreeMap::new();
    for row in sqlx::query_as::<_, StoredBlock>(sql!("sound_blocks")).fetch_all(&mut *c).await? {
        stored.insert((row.trajectory_id, row.block), row.stored);
    }
    let mut all = BTreeMap::new();
    for (id, first, run, dense) in
        sqlx::query_as::<_, (i64, i64, Option<i64>, bool)>(sql!("sound_trajectories")).fetch_all(&mut *c).await?
    {
        let begun = if first > 0 { Some(begin(c, TrajectoryRow(id), first).await?) } else { None };
        all.insert(id, Own { first, run: run.map(RunId), dense, begun });
    }
    let whole = stored.values().map(|block| block.steps.unsigned_abs()).sum::<u64>();
    let mut work = BlockCheck { all, stored, faults: Vec::new(), current: None };
    let mut rows =
        sqlx::query_as::<_, (i64, i64, Option<f64>, Option<String>, Option<i64>)>(sql!("sound_steps")).fetch(c);
    while let Some((trajectory, step, loss, kind, tokens)) = rows.try_next().await? {
        work.add(trajectory, step, loss_of(loss, kind.as_deref()), tokens);
        found.steps += 1;
        if found.steps.is_multiple_of(BETWEEN) {
            told(BETWEEN, whole);
        }
    }
    work.close();
    work.rest();
    found.faults.append(&mut work.faults);
    Ok(())
}

struct BlockCheck {
    all: BTreeMap<i64, Own>,
    /// Blocks for which no step has been found yet.
    stored: BTreeMap<(i64, i64), Block>,
    faults: Vec<Damage>,
    current: Option<Current>,
}

impl BlockCheck {
    fn add(&mut self, trajectory: i64, step: i64, loss: Option<f64>, tokens: Option<i64>) {
        let number = step.div_euclid(BLOCK);
        let same = |it: &Current| it.trajectory == trajectory && it.number == number;
        if !self.current.as_ref().is_some_and(same) {
            let before = self.close().filter(|(of, ..)| *of == trajectory);
            let block = match before {
                Some((_, last, (chain, last_step))) => {
                    if number > last + 1 && !self.stored.contains_key(&(trajectory, last + 1)) {
                        self.missing(trajectory, (last + 1) * BLOCK, number * BLOCK - 1);
                    }
                    Block::after(chain, last_step)
                }
                None => self.first(trajectory, number),
            };
            self.current = Some(Current { trajectory, number, block, zero: false });
        }
        if let Some(current) = &mut self.current {
            current.zero |= loss == Some(0.0);
            current.block.add(step, loss, tokens);
        }
    }

    /// Begins the first block of a trajectory that has a recorded step.
    fn first(&mut self, trajectory: i64, number: i64) -> Block {
        let own = self.all.get_mut(&trajectory);
        let (first, begun) = own.map_or((0, None), |own| (own.first, own.begun.take()));
        let begins = first.div_euclid(BLOCK);
        if number > begins && !self.stored.contains_key(&(trajectory, begins)) {
            self.missing(trajectory, first, number * BLOCK - 1);
        }
        // The chain continues from the stored block before this one or, without one, from the parent's.
        let before = self.stored.range((trajectory, i64::MIN)..(trajectory, number)).next_back();
        match (begun, before) {
            (Some(begun), _) if number == begins => begun,
            (_, Some((_, before))) => Block::after(before.chain.clone(), before.last_step),
            (Some(begun), None) => begun,
            (None, None) => Block::first(),
        }
    }

    /// Compares the current block with the stored one. Returns its trajectory and number, and the chain and the step
    /// after which the next block begins.
    fn close(&mut self) -> Option<(i64, i64, (Vec<u8>, i64))> {
        let Current { trajectory, number, block, zero } = self.current.take()?;
        let Some(stored) = self.stored.remove(&(trajectory, number)) else {
            let next = (block.chain.clone(), block.last_step);
            self.block(trajectory, number, "missing".to_owned(), block);
            return Some((trajectory, number, next));
        };
        let chain = stored.chain == block.chain;
        let figures: Vec<&str> = [
            ("steps", stored.steps == block.steps),
            ("finite", stored.finite == block.finite),
            ("minimum", stored.minimum == block.minimum),
            ("maximum", stored.maximum == block.maximum),
            ("sum", stored.sum == block.sum),
            ("first_nonfinite", stored.first_nonfinite == block.first_nonfinite),
            ("last_step", stored.last_step == block.last_step),
            ("missing", stored.missing == block.missing),
        ]
        .into_iter()
        .filter(|(_, same)| !same)
        .map(|(name, _)| name)
        .collect();
        let tokens = stored.tokens == block.tokens;
        let sound = if chain || figures.is_empty() && !zero { &block } else { &stored };
        let next = (sound.chain.clone(), sound.last_step);
        match (chain, figures.is_empty()) {
            (_, true) if (chain || zero) && tokens => {}
            // A matching chain proves every loss and their order; if only the chain differs, the chain is damaged.
            (true, false) => self.block(trajectory, number, figures.join(", "), block),
            (false, true) if !zero && tokens => self.block(trajectory, number, "chain".to_owned(), block),
            (_, true) => {
                let [now, then] = [block.tokens, stored.tokens].map(|tokens| tokens.unwrap_or(0));
                let what = format!("have {now} tokens, but {then} were recorded");
                self.steps(trajectory, number, &stored, what);
            }
            (false, false) if block.steps < stored.steps => {
                let what = format!("are incomplete: {} of {} are recorded", block.steps, stored.steps);
                self.steps(trajectory, number, &stored, what);
            }
            (false, false) => {
                let what = "have losses that do not match their stored summary".to_owned();
                self.steps(trajectory, number, &stored, what);
            }
        }
        Some((trajectory, number, next))
    }

    /// Reports blocks without a single step.
    fn rest(&mut self) {
        for ((trajectory, number), stored) in std::mem::take(&mut self.stored) {
            let what = format!("are missing: 0 of {} are recorded", stored.steps);
            self.steps(trajectory, number, &stored, what);
        }
    }

    fn run(&self, trajectory: i64) -> Option<RunId> {
        self.all.get(&trajectory).and_then(|own| own.run)
    }

    fn name(&self, trajectory: i64) -> String {
        self.run(trajectory).map_or_else(|| format!("trajectory {trajectory}"), |run| run.to_string())
    }

    /// Reports missing steps, unless the trajectory may have gaps.
    fn missing(&mut self, trajectory: i64, first: i64, last: i64) {
        if self.all.get(&trajectory).is_some_and(|own| !own.dense) {
            return;
        }
        let (of, run) = (format!("{}, steps {first} to {last}", self.name(trajectory)), self.run(trajectory));
        self.faults.push(Damage::Steps { of, run, what: "are missing".to_owned() });
    }

    fn steps(&mut self, trajectory: i64, number: i64, stored: &Block, what: String) {
        let (of, run) = (self.span(trajectory, number, stored.last_step), self.run(trajectory));
        self.faults.push(Damage::Steps { of, run, what });
    }

    fn block(&mut self, trajectory: i64, number: i64, what: String, block: Block) {
        let of = self.span(trajectory, number, block.last_step);
        self.faults.push(Damage::Block { of, what, rebuilt: Rebuilt { trajectory, number, block } });
    }

    /// `run7, steps 1024 to 2047`.
    fn span(&self, trajectory: i64, number: i64, last_step: i64) -> String {
        let first = number.saturating_mul(BLOCK);
        // A damaged block may have any last step.
        let last = last_step.clamp(first, first.saturating_add(BLOCK - 1));
        format!("{}, steps {first} to {last}", self.name(trajectory))
    }
}
