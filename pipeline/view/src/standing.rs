//! Where a run's valid loss stands among its baselines, in words.

use std::collections::HashMap;

use crate::format;
use crate::models::{last, short};
use identity::{Cell, EvaluationRow, NgramLoss, Param, RunId};
use insight::standing::{Place, Standing, standing};

/// Where the last valid loss stands; `None` where it is not there, is not finite, or has no baselines beside it.
pub fn of(evaluations: &[EvaluationRow], ngrams: &[NgramLoss]) -> Option<Standing> {
    standing(last(evaluations, "valid")?.loss?, "valid", ngrams)
}

/// How a run's corpus is cut.
pub fn unit(params: &[Param], run: RunId) -> &str {
    match params.iter().find(|param| param.run == run && param.name == "tokenize.unit").map(|param| &param.value) {
        Some(Cell::Text(unit)) => unit,
        _ => "",
    }
}

/// The same of each of some runs.
pub fn units(params: &[Param], runs: &[RunId]) -> Vec<String> {
    let of = |param: &Param| match &param.value {
        Cell::Text(unit) if param.name == "tokenize.unit" => Some((param.run, unit.clone())),
        _ => None,
    };
    let mut found: HashMap<RunId, String> = params.iter().filter_map(of).collect();
    runs.iter().map(|run| found.remove(run).unwrap_or_default()).collect()
}

/// A standing in words, of a corpus cut by `unit`: `4.2939, is between a bigram model (4.36) and …`.
pub fn words(found: &Standing, unit: &str) -> String {
    let name = |model: &NgramLoss| {
        let loss = format!("{:.2}", model.loss);
        match model.model.as_str() {
            "uniform" => format!("an even guess (ln V {loss})"),
            "unigram" => format!("{} frequencies (unigram {loss})", if unit == "char" { "character" } else { "word" }),
            "bigram" => format!("a bigram model ({loss})"),
            other => format!("a Kneser–Ney {}-gram model ({} {loss})", model.n, short(other)),
        }
    };
    let said = match &found.place {
        Place::AsGoodAs(same) => format!("as good as {}", name(same)),
        Place::Between(worse, better) if worse.n > 0 => format!("between {} and {}", name(worse), name(better)),
        // That it is better than an even guess says little.
        Place::Between(_, better) | Place::WorseThan(better) => format!("worse than {}", name(better)),
        Place::BetterThan(worse) => format!("better than {}", name(worse)),
    };
    format!("{}, is {said}", format::float(found.loss))
}
