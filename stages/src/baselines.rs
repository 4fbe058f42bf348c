//! The stage `baselines`: losses of n-gram models, with which a network's loss can be compared.
//!
//! Inputs: `vocab`, `train`, `valid`, `test` of `vocab`. Output: `baselines`, a JSON object of `types` (V), `order`,
//! `counted` (train tokens that the models were fitted on) and `losses`, a list of [`BaselineLoss`]es. Models, each
//! fitted on train and scored on every split:
//!
//! - *uniform*: 1 / V; its loss is ln V.
//! - *unigram*: relative frequencies in train. Types that don't occur in train, as special tokens may not, share the
//!   weight of one additional token.
//! - *bigram* and *kn3*, *kn4* or *kn5*: interpolated, modified Kneser–Ney models; see [`kneser_ney`].
//!
//! Each split is one stream, a line end is a token like any other, and every token but the first is scored. `evaluate`
//! does the same, so the losses are exactly comparable. A split of fewer than two tokens has no loss. On train, whose
//! n-grams they have memorised, the longer models score far better than any trained network could.
//!
//! Results are the same on every machine: sums follow the order of the sorted windows, and logarithms are libm's.
//! Memory is 8 bytes per token, or 16 if 4 tokens don't fit in 62 bits (order 5: from 32,768 types on), and about 100
//! per type.

mod kneser_ney;
mod sum;
#[cfg(test)]
mod tests;
mod windows;

use serde_json::json;

use crate::files::{Ids, count_types};
use crate::params::Baselines;
use crate::tokenize::SPLITS;
use crate::{Context, StageError, StageOutcome};
use identity::observations::BaselineLoss;
use sum::LogLikelihood;
use windows::{SplitStream, TokenCounts, TokenProgress, WindowPacking};

/// Fits the models on train and scores them.
///
/// # Errors
/// [`StageError::Format`] for an id outside the vocabulary; [`StageError::Io`] if a file can't be read or written.
pub fn run(params: &Baselines, context: &Context) -> Result<StageOutcome, StageError> {
    let types = count_types(context.input("vocab")?)?;
    let open = |name: &str| -> Result<SplitStream, StageError> {
        let ids = Ids::open(context.input(name)?)?;
        let tokens = if name == "train" { ids.len().min(params.tokens) } else { ids.len() };
        Ok(SplitStream { ids, tokens })
    };
    let splits = [open(SPLITS[0])?, open(SPLITS[1])?, open(SPLITS[2])?];
    let whole: u64 = splits.iter().map(|split| split.tokens).sum();
    let passes = if params.order > 1 { 4 } else { 1 };
    let mut progress = TokenProgress { context, done: 0, whole: whole * passes };
    let counts = windows::count(&splits, types, &mut progress)?;
    let mut models = vec![("uniform".to_owned(), 0, [libm::log(f64::from(types)); 3])];
    models.push(("unigram".to_owned(), 1, unigram(&counts)));
    if params.order > 1 {
        let layout = WindowPacking::new(params.order, types);
        let sums = if layout.fits::<u64>() {
            kneser_ney::score::<u64>(&splits, &counts, layout, &mut progress)?
        } else {
            kneser_ney::score::<u128>(&splits, &counts, layout, &mut progress)?
        };
        let [bigram, longest] = sums.map(|sums| sums.map(|sum| sum.mean()));
        models.push(("bigram".to_owned(), 2, bigram));
        if params.order > 2 {
            models.push((format!("kn{}", params.order), params.order, longest));
        }
    }
    let mut outcome = StageOutcome::default();
    for (place, (split, stream)) in SPLITS.iter().zip(&splits).enumerate().filter(|(_, (_, it))| it.tokens > 1) {
        outcome.baselines.extend(models.iter().map(|(model, order, losses)| BaselineLoss {
            split: (*split).to_owned(),
            model: model.clone(),
            order: *order,
            // With a single type, rounding can push a probability above 1.
            loss: losses[place].max(0.0),
            tokens: stream.tokens - 1,
        }));
    }
    let path = context.folder.join("baselines.json");
    let whole = json!({
        "types": types, "order": params.order, "counted": splits[0].tokens, "losses": outcome.baselines,
    });
    let text = serde_json::to_vec(&whole).map_err(|error| StageError::Bug(error.to_string()))?;
    std::fs::write(&path, text).map_err(StageError::io(&path))?;
    outcome.output("baselines", path);
    outcome.report = json!({ "types": types, "order": params.order, "counted": splits[0].tokens });
    Ok(outcome)
}

/// The loss of each split under the unigram model: the relative frequencies of train.
fn unigram(counts: &TokenCounts) -> [f64; 3] {
    let unseen = counts.train.iter().filter(|count| **count == 0).count() as f64;
    let total = counts.train.iter().sum::<u64>() as f64 + if unseen > 0.0 { 1.0 } else { 0.0 };
    let share = |count: u64| if count == 0 { 1.0 / unseen } else { count as f64 } / total;
    let logs: Vec<f64> = counts.train.iter().map(|count| libm::log(share(*count))).collect();
    [0, 1, 2].map(|split| {
        let mut sum = LogLikelihood::default();
        let scored = &counts.scored[split];
        scored.iter().zip(&logs).filter(|(n, _)| **n > 0).for_each(|(n, log)| sum.add(*n, log * *n as f64));
        sum.mean()
    })
}
