//! The stage `baselines`: the losses of models that count, which a network's can be held against.
//!
//! Inputs: `vocab`, `train`, `valid`, `test` of `vocab`. Output: `baselines`, a JSON object of `types` (V), `order`,
//! `counted` (tokens of train that the models rest on) and `losses`, a list of [`BaselineLoss`]es. Models, each fitted on
//! train and scored on every split:
//!
//! - *uniform*: 1 / V; its loss is ln V.
//! - *unigram*: each type's share of train. Types that train does not hold (the specials may be such) share the weight of
//!   one token more.
//! - *bigram* and *kn3*, *kn4* or *kn5*: interpolated, modified Kneser–Ney models, of which [`kneser_ney`] says more.
//!
//! A split is one stream, in which a line's end is a token like any other, and every token but the first is scored, as
//! `evaluate` does it: so losses can be held against each other to the last digit. A split of fewer than two tokens has
//! none. On train, which they have counted, the longer models are far better than anything that learns can be.
//!
//! Nothing depends on the machine: sums are taken in the order of the sorted windows, logarithms are libm's. Memory is 8
//! bytes for each token, or 16 where 4 tokens don't fit in 62 bits (order 5: from 32,768 types on), and about 100 for each
//! type.

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
/// [`StageError::Format`] for an id that is not in the vocabulary; [`StageError::Io`] when a file can't be read or written.
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
            // Of a single type, rounding may leave a probability above 1.
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

/// The loss of each split under the shares of types in train.
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
