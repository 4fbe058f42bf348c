//! Scoring a split, for the stage `evaluate` and for the rules that look at the validation loss during training.

use std::sync::atomic::{AtomicBool, Ordering};

use stages::files::Ids;
use tch::{Kind, Tensor};

use crate::batches::check;
use crate::failure::{Result, ensure};
use crate::layers;
use crate::model::Model;
use crate::real::Real;
use crate::softmax::Softmax;

/// The number of tokens that are run at once. It bounds memory (20 MB of logits for 10,000 types), and changes results
/// only by rounding.
pub(crate) const CHUNK: usize = 512;

/// The loss of a split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Score {
    /// Token-weighted mean negative log-likelihood in nats.
    pub(crate) loss: f64,
    /// Targets scored: every token but the first.
    pub(crate) tokens: u64,
}

/// Scores a split as one stream from a zero state (Zaremba et al. 2014: the state is carried through the whole split,
/// and every token but the first counts). Returns `None` if `stop` was set meanwhile. `threads` is called before each
/// chunk and returns the number of threads for it.
///
/// # Errors
/// If the split can't be read, has fewer than two tokens, or does not fit the model.
pub(crate) fn score(
    model: &Model,
    ids: &Ids,
    threads: &mut dyn FnMut() -> usize,
    stop: &AtomicBool,
    progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Option<Score>> {
    score_in_chunks(model, ids, CHUNK, threads, stop, progress)
}

/// [`score`] with another chunk length.
pub(crate) fn score_in_chunks(
    model: &Model,
    ids: &Ids,
    chunk: usize,
    threads: &mut dyn FnMut() -> usize,
    stop: &AtomicBool,
    progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Option<Score>> {
    match model.kind() {
        Kind::Double => score_in::<f64>(model, ids, chunk, threads, stop, progress),
        _ => score_in::<f32>(model, ids, chunk, threads, stop, progress),
    }
}

fn score_in<T: Real>(
    model: &Model,
    ids: &Ids,
    chunk: usize,
    threads: &mut dyn FnMut() -> usize,
    stop: &AtomicBool,
    progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Option<Score>> {
    let mut softmax = Softmax::<T>::new(1);
    let mut carry = model.zero_carry(1)?;
    in_chunks((ids, model.shape.vocab), chunk, stop, progress, |inputs, targets| {
        let whole = |_: usize, _: &Tensor| Ok(None);
        let threads = threads();
        softmax.use_threads(threads);
        let (y, _) = layers::forward::<T>(model, inputs.to_vec(), &mut carry, whole, threads)?; // [T, H]
        softmax.score(model, &y, targets)
    })
}

/// Scores a split in windows of `chunk` tokens. `losses` is given a window's inputs and targets and returns the sum of
/// the targets' losses; it carries the hidden state from one window to the next.
pub(crate) fn in_chunks(
    (ids, vocab): (&Ids, usize),
    chunk: usize,
    stop: &AtomicBool,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
    mut losses: impl FnMut(&[u32], &[u32]) -> Result<f64>,
) -> Result<Option<Score>> {
    ensure!(ids.len() >= 2, "a split needs at least 2 tokens to be scored, but this one has {}", ids.len());
    let tokens = ids.len() - 1;
    let (mut sum, mut done) = (0.0f64, 0u64);
    let mut window = Vec::with_capacity(chunk + 1);
    while done < tokens {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let t = usize::try_from(tokens - done)?.min(chunk);
        window.clear();
        ids.read(done, t + 1, &mut window)?;
        check(&window, vocab)?;
        sum += losses(&window[..t], &window[1..])?;
        done += t as u64;
        progress(done, tokens)?;
    }
    Ok(Some(Score { loss: sum / tokens as f64, tokens }))
}
