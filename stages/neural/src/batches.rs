//! The windows that a plan cuts from a corpus, as tensors.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use stages::files::Ids;
use stages::plan::Plan;
use tch::Tensor;

/// A plan with its corpus.
#[derive(Debug)]
pub(crate) struct Batches {
    /// Where each row of each step lies.
    pub(crate) plan: Plan,
    ids: Ids,
    vocab: usize,
}

impl Batches {
    /// Opens a plan and the corpus it was made for.
    ///
    /// # Errors
    /// When either can't be read, or they do not belong together.
    pub(crate) fn open(plan: &Path, ids: &Path, vocab: usize) -> Result<Self> {
        let (plan, ids) = (Plan::load(plan)?, Ids::open(ids)?);
        ensure!(plan.version == 1, "the batch plan has version {}, and this worker reads 1", plan.version);
        ensure!(
            plan.tokens == ids.len(),
            "the batch plan is for {} tokens, and the corpus has {}",
            plan.tokens,
            ids.len()
        );
        ensure!(plan.size > 0 && plan.unroll > 0, "the batch plan has no rows or no columns");
        ensure!(plan.steps_per_epoch() > 0, "the corpus has too few tokens for one batch");
        Ok(Self { plan, ids, vocab })
    }

    /// The batch of `step`: inputs [T, B], and the targets one token later, in the same order.
    ///
    /// # Errors
    /// When the corpus can't be read, or has a token outside the vocabulary.
    pub(crate) fn read(&self, step: u64) -> Result<(Tensor, Vec<u32>)> {
        let (b, t) = (usize::try_from(self.plan.size)?, usize::try_from(self.plan.unroll)?);
        let mut x = vec![0i64; t * b];
        let mut targets = vec![0u32; t * b];
        let mut window = Vec::with_capacity(t + 1);
        for (row, offset) in self.plan.offsets(step).into_iter().enumerate() {
            window.clear();
            self.ids.read(offset, t + 1, &mut window)?;
            check(&window, self.vocab)?;
            for i in 0..t {
                x[i * b + row] = i64::from(window[i]);
                targets[i * b + row] = window[i + 1];
            }
        }
        Ok((Tensor::f_from_slice(&x)?.f_reshape([i64::try_from(t)?, i64::try_from(b)?])?, targets))
    }
}

/// Refuses a token that the model has no row for.
///
/// # Errors
/// When there is one.
pub(crate) fn check(tokens: &[u32], vocab: usize) -> Result<()> {
    match tokens.iter().find(|&&token| token as usize >= vocab) {
        None => Ok(()),
        Some(token) => bail!("the corpus holds token {token}, and the vocabulary has {vocab} types"),
    }
}
