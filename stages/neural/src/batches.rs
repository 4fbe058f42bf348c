//! The windows that a plan cuts from a corpus.

use crate::failure::{Result, ensure};
use std::path::Path;

use stages::files::Ids;
use stages::plan::BatchPlan;

/// A batch plan and its corpus.
#[derive(Debug)]
pub(crate) struct BatchReader {
    /// Where each row of each step lies in the corpus.
    pub(crate) plan: BatchPlan,
    ids: Ids,
    vocab: usize,
}

impl BatchReader {
    /// Opens a plan and the corpus that it was made for.
    ///
    /// # Errors
    /// If either can't be read, or if they don't belong together.
    pub(crate) fn open(plan: &Path, ids: &Path, vocab: usize) -> Result<Self> {
        let (plan, ids) = (BatchPlan::load(plan)?, Ids::open(ids)?);
        ensure!(plan.version == 1, "the batch plan has version {}, but this worker reads version 1", plan.version);
        ensure!(
            plan.tokens == ids.len(),
            "the batch plan is for {} tokens, but the corpus has {}",
            plan.tokens,
            ids.len()
        );
        ensure!(plan.size > 0 && plan.unroll > 0, "the batch plan has no rows or no columns");
        ensure!(plan.steps_per_epoch() > 0, "the corpus has too few tokens for one batch");
        Ok(Self { plan, ids, vocab })
    }

    /// A window of the plan: the inputs [T, B], and the targets, which are one token later in the corpus. Both are ids,
    /// time-major.
    ///
    /// # Errors
    /// If the corpus can't be read, or has a token outside the vocabulary.
    pub(crate) fn read(&self, window: u64) -> Result<(Vec<u32>, Vec<u32>)> {
        let (b, t) = (usize::try_from(self.plan.size)?, usize::try_from(self.plan.unroll)?);
        let (mut inputs, mut targets) = (vec![0u32; t * b], vec![0u32; t * b]);
        let mut tokens = Vec::with_capacity(t + 1);
        for (row, offset) in self.plan.offsets(window).into_iter().enumerate() {
            tokens.clear();
            self.ids.read(offset, t + 1, &mut tokens)?;
            check(&tokens, self.vocab)?;
            for i in 0..t {
                inputs[i * b + row] = tokens[i];
                targets[i * b + row] = tokens[i + 1];
            }
        }
        Ok((inputs, targets))
    }
}

/// Fails if a token is outside the vocabulary: the model has no row for it.
pub(crate) fn check(tokens: &[u32], vocab: usize) -> Result<()> {
    match tokens.iter().find(|&&token| token as usize >= vocab) {
        None => Ok(()),
        Some(token) => Err(format!("the corpus contains token {token}, but the vocabulary has {vocab} types").into()),
    }
}
