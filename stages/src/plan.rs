//! The batch plan: the position of each row of each step in the corpus.
//!
//! The stage `batch` writes a plan as a small JSON object; everything about batches (offsets, epochs, coverage,
//! overlap, dropped tokens) is a pure function of it.

use std::ops::Range;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StageError;
use crate::params::{LONGEST_WINDOW, Layout, MOST_ROWS};
use crate::random::Stream;

/// The position of each row of each step in the corpus.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchPlan {
    /// Format version, 1.
    pub version: u32,
    /// How windows are laid out in the corpus.
    pub layout: Layout,
    /// Rows per batch (B).
    pub size: u64,
    /// Tokens per window (T).
    pub unroll: u64,
    /// Tokens of train.
    pub tokens: u64,
    /// Seed for the order of shuffled windows; 0 for layouts that draw nothing.
    pub seed: u64,
}

impl BatchPlan {
    /// Reads a plan; refuses one that the stage `batch` would not write.
    pub fn load(path: &Path) -> Result<Self, StageError> {
        let text = std::fs::read(path).map_err(StageError::io(path))?;
        let plan: Self = serde_json::from_slice(&text).map_err(|error| StageError::format(path, error.to_string()))?;
        let (size, unroll, tokens) = (plan.size, plan.unroll, plan.tokens);
        let shaped = (1..=MOST_ROWS).contains(&size) && (1..=LONGEST_WINDOW).contains(&unroll);
        // The other functions divide by the shape and multiply numbers of tokens. A file of ids has at most
        // u64::MAX / 4.
        if shaped && (Self::fewest_tokens(plan.layout, size, unroll)..=u64::MAX / 4).contains(&tokens) {
            return Ok(plan);
        }
        Err(StageError::format(path, format!("a batch of {size} × {unroll} does not fit into {tokens} tokens")))
    }

    /// The minimum number of tokens for one batch: each window needs one token more than it has inputs.
    pub fn fewest_tokens(layout: Layout, size: u64, unroll: u64) -> u64 {
        match layout {
            Layout::Streams => size * (unroll + 1),
            Layout::Shuffled => size * unroll + 1,
            Layout::Sliding => size + unroll,
        }
    }

    /// Steps per epoch; at least 1 for a plan that `batch` accepted.
    pub fn steps_per_epoch(&self) -> u64 {
        match self.layout {
            Layout::Streams => (self.stream_length().saturating_sub(1)) / self.unroll,
            Layout::Shuffled => self.windows() / self.size,
            Layout::Sliding => (self.tokens + 1).saturating_sub(self.size + self.unroll),
        }
    }

    /// The epoch that `step` belongs to, from 0.
    pub fn epoch(&self, step: u64) -> u64 {
        step / self.steps_per_epoch().max(1)
    }

    /// Whether the hidden state is reset before `step`: at the start of an epoch, and for every shuffled window.
    pub fn resets_state(&self, step: u64) -> bool {
        self.layout == Layout::Shuffled || step.is_multiple_of(self.steps_per_epoch().max(1))
    }

    /// Targets per step, B · T.
    pub fn tokens_per_step(&self) -> u64 {
        self.size * self.unroll
    }

    /// The corpus offset of each row's first input at `step`; the targets start one token later.
    pub fn offsets(&self, step: u64) -> Vec<u64> {
        let within = step % self.steps_per_epoch().max(1);
        let rows = 0..self.size;
        match self.layout {
            Layout::Streams => rows.map(|row| row * self.stream_length() + within * self.unroll).collect(),
            Layout::Shuffled => {
                let order = Stream::new(self.seed, &format!("shuffle epoch {}", self.epoch(step)));
                rows.map(|row| self.shuffled(&order, within * self.size + row) * self.unroll).collect()
            }
            Layout::Sliding => rows.map(|row| within + row).collect(),
        }
    }

    /// The number of tokens that are not a target in any epoch. The first token, which can't be one, is not counted.
    pub fn dropped_tokens(&self) -> u64 {
        let used = match self.layout {
            Layout::Streams => self.size * self.steps_per_epoch() * self.unroll,
            // Each epoch leaves out different windows, so only the tokens after the last window are never used.
            Layout::Shuffled => self.windows() * self.unroll,
            Layout::Sliding => self.tokens.saturating_sub(1),
        };
        self.tokens.saturating_sub(1).saturating_sub(used)
    }

    /// Number of distinct corpus positions among the inputs of steps `0..steps`.
    pub fn covered(&self, steps: u64) -> u64 {
        if steps == 0 {
            return 0;
        }
        let per_epoch = self.steps_per_epoch();
        match self.layout {
            Layout::Streams => steps.min(per_epoch) * self.tokens_per_step(),
            // Later epochs read some of the windows that earlier ones left out. These are less than a batch, and are
            // not counted.
            Layout::Shuffled => steps.min(per_epoch) * self.tokens_per_step(),
            Layout::Sliding => steps.min(per_epoch) + self.size + self.unroll - 2,
        }
    }

    /// The fraction of `step`'s distinct input positions that the previous step also read, in [0, 1]; 0 for step 0. A
    /// training step reads `windows` windows of this plan.
    pub fn overlap(&self, step: u64, windows: u64) -> f64 {
        if step == 0 {
            return 0.0;
        }
        let (now, before) = (self.inputs(step, windows), self.inputs(step - 1, windows));
        let (mut shared, mut i, mut j) = (0, 0, 0);
        while let (Some(a), Some(b)) = (now.get(i), before.get(j)) {
            shared += a.end.min(b.end).saturating_sub(a.start.max(b.start));
            if a.end < b.end { i += 1 } else { j += 1 }
        }
        shared as f64 / now.iter().map(|run| run.end - run.start).sum::<u64>() as f64
    }

    /// The distinct input positions of `step` as ascending ranges that don't touch. A list of positions could have 2³⁶
    /// entries; of ranges there are at most B per window.
    fn inputs(&self, step: u64, windows: u64) -> Vec<Range<u64>> {
        let of_step = step * windows..(step + 1) * windows;
        let mut offsets: Vec<u64> = of_step.flat_map(|window| self.offsets(window)).collect();
        offsets.sort_unstable();
        let mut runs: Vec<Range<u64>> = Vec::new();
        for offset in offsets {
            match runs.last_mut() {
                Some(last) if offset <= last.end => last.end = offset + self.unroll,
                _ => runs.push(offset..offset + self.unroll),
            }
        }
        runs
    }

    /// Tokens of one parallel stream.
    fn stream_length(&self) -> u64 {
        self.tokens / self.size
    }

    /// Number of disjoint windows whose targets are all in the corpus.
    fn windows(&self) -> u64 {
        self.tokens.saturating_sub(1) / self.unroll
    }

    /// The window at `place` in an epoch's order, which is a permutation of all windows, computed without a table.
    ///
    /// The permutation is a four-round Feistel network over the next even power of two. It is repeated until the result
    /// is in range (Black and Rogaway 2002, "Ciphers with arbitrary finite domains"), fewer than four times on average.
    fn shuffled(&self, order: &Stream, place: u64) -> u64 {
        let n = self.windows();
        let half = (64 - n.saturating_sub(1).leading_zeros()).div_ceil(2).max(1);
        let mask = (1u64 << half) - 1;
        let mut x = place;
        loop {
            let (mut left, mut right) = (x >> half, x & mask);
            for round in 0..4u64 {
                let mixed = order.bits((round << 32) | right) & mask;
                (left, right) = (right, left ^ mixed);
            }
            x = (left << half) | right;
            if x < n {
                return x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(layout: Layout, size: u64, unroll: u64, tokens: u64) -> BatchPlan {
        BatchPlan { version: 1, layout, size, unroll, tokens, seed: 5 }
    }

    #[test]
    fn a_plan_that_batch_would_not_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        let load = |plan: &BatchPlan| {
            std::fs::write(&path, serde_json::to_vec(plan).unwrap()).unwrap();
            BatchPlan::load(&path)
        };
        for layout in [Layout::Streams, Layout::Shuffled, Layout::Sliding] {
            let fewest = BatchPlan::fewest_tokens(layout, 4, 3);
            let least = plan(layout, 4, 3, fewest);
            assert_eq!(load(&least).unwrap(), least);
            for (size, unroll, tokens) in
                [(4, 3, fewest - 1), (0, 3, 100), (4, 0, 100), (u64::MAX, 3, 100), (4, u64::MAX, 100), (4, 3, u64::MAX)]
            {
                let refused = load(&plan(layout, size, unroll, tokens)).unwrap_err().to_string();
                assert!(refused.contains("does not fit"), "{refused}");
            }
        }
    }

    #[test]
    fn streams_cover_each_position_once_per_epoch() {
        let plan = plan(Layout::Streams, 4, 3, 103);
        assert_eq!(plan.steps_per_epoch(), 8);
        let mut seen = std::collections::BTreeSet::new();
        for step in 0..8 {
            for row in 0..4 {
                for offset in plan.offsets(step)[row]..plan.offsets(step)[row] + 3 {
                    assert!(seen.insert(offset), "offset {offset} twice");
                    assert!(offset + 1 < 103);
                }
            }
        }
        assert_eq!(seen.len() as u64, plan.covered(8));
        assert_eq!(plan.dropped_tokens(), 102 - 96);
        assert_eq!(plan.overlap(1, 1), 0.0);
        assert!(plan.resets_state(8) && !plan.resets_state(1));
    }

    #[test]
    fn shuffled_windows_are_a_permutation_that_changes_with_the_epoch() {
        let plan = plan(Layout::Shuffled, 5, 7, 1000);
        // 28 steps of 5 windows; 2 of the 142 are left out.
        let order = |epoch: u64| -> Vec<u64> {
            (epoch * 28..(epoch + 1) * 28).flat_map(|step| plan.offsets(step)).map(|offset| offset / 7).collect()
        };
        let mut sorted = order(0);
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 140);
        assert!(sorted.iter().all(|window| *window < 142));
        assert_ne!(order(0), order(1));
    }

    #[test]
    fn the_order_of_windows_changes_only_with_the_plans_version() {
        // The order is not in the plan's bytes but computed from them. A change of the order must raise the version in
        // the plan (batch.rs), or training would resume from an older checkpoint in a different order.
        let plan = plan(Layout::Shuffled, 5, 7, 1000);
        let windows: Vec<u64> = [0, 1, 28].iter().flat_map(|step| plan.offsets(*step)).map(|at| at / 7).collect();
        assert_eq!(windows, [58, 93, 8, 97, 130, 140, 11, 49, 133, 76, 13, 9, 31, 11, 140]);
    }

    #[test]
    fn the_sliding_window_moves_one_token_per_step() {
        // 500 steps of 64 adjacent rows read only 565 tokens, targets included (unroll 2).
        let plan = plan(Layout::Sliding, 64, 2, 929_589);
        assert_eq!(plan.offsets(100)[0], 100);
        assert_eq!(plan.offsets(0)[63], 63);
        assert_eq!(plan.covered(500), 564);
        assert!(plan.overlap(100, 1) > 0.98);
        // Two windows per step: all but two tokens of a step were in the previous one.
        let (held, shared) = (plan.size + plan.unroll, plan.size + plan.unroll - 2);
        assert_eq!(plan.overlap(50, 2), shared as f64 / held as f64);
        assert_eq!(plan.overlap(1, plan.steps_per_epoch()), 1.0);
    }

    #[test]
    fn covered_agrees_with_counting() {
        for layout in [Layout::Streams, Layout::Shuffled, Layout::Sliding] {
            let plan = plan(layout, 3, 4, 90);
            for steps in 0..plan.steps_per_epoch() {
                let seen: std::collections::BTreeSet<u64> =
                    (0..steps).flat_map(|step| plan.offsets(step)).flat_map(|offset| offset..offset + 4).collect();
                assert_eq!(plan.covered(steps), seen.len() as u64, "{layout:?} after {steps}");
            }
        }
    }

    #[test]
    fn overlap_agrees_with_counting() {
        for layout in [Layout::Streams, Layout::Shuffled, Layout::Sliding] {
            for (size, unroll, tokens) in [(3, 4, 90), (1, 5, 17), (7, 1, 30), (4, 9, 45)] {
                let plan = plan(layout, size, unroll, tokens);
                let positions = |step: u64| -> std::collections::BTreeSet<u64> {
                    plan.offsets(step).into_iter().flat_map(|offset| offset..offset + unroll).collect()
                };
                for step in 1..2 * plan.steps_per_epoch() {
                    let (now, before) = (positions(step), positions(step - 1));
                    let expected = now.intersection(&before).count() as f64 / now.len() as f64;
                    assert_eq!(plan.overlap(step, 1), expected, "{layout:?} {size} × {unroll} at {step}");
                }
            }
        }
    }
}
