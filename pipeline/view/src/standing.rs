//! Says in words how a run's validation loss compares with its baselines.

use std::collections::HashMap;

use crate::format;
use crate::models::{last, short};
use identity::{Cell, EvaluationRow, NgramLoss, Param, RunId};
use insight::standing::{Place, Standing, standing};

/// How the last validation loss compares with the baselines; `None` if it is missing or not finite, or if there are no
/// baselines.
pub fn of(evaluations: &[EvaluationRow], ngrams: &[NgramLoss]) -> Option<Standing> {
    standing(last(evaluations, "valid")?.loss?, "valid", ngrams)
}

/// The unit of a run's tokens, `tokenize.unit`.
pub fn unit(params: &[Param], run: RunId) -> &str {
    match params.iter().find(|param| param.run == run && param.name == "tokenize.unit").map(|param| &param.value) {
        Some(Cell::Text(unit)) => unit,
        _ => "",
    }
}

/// The unit of each run's tokens.
pub fn units(params: &[Param], runs: &[RunId]) -> Vec<String> {
    let of = |param: &Param| match &param.value {
        Cell::Text(unit) if param.name == "tokenize.unit" => Some((param.run, unit.clone())),
        _ => None,
    };
    let mut found: HashMap<RunId, String> = params.iter().filter_map(of).collect();
    runs.iter().map(|run| found.remove(run).unwrap_or_default()).collect()
}

/// How a loss compares with the baselines, in words that follow "the last validation loss, ": `4.2939, is between the
/// unigram baseline (4.66) and …`. `unit` is the unit of the tokens.
pub fn words(found: &Standing, unit: &str) -> String {
    let name = |model: &NgramLoss| {
        let loss = format!("{:.2}", model.loss);
        match model.model.as_str() {
            "uniform" => format!("the uniform baseline (ln V {loss})"),
            "unigram" if unit == "char" => format!("the character unigram baseline ({loss})"),
            "unigram" => format!("the unigram baseline ({loss})"),
            "bigram" => format!("the bigram baseline ({loss})"),
            other => format!("the Kneser–Ney {}-gram baseline ({} {loss})", model.n, short(other)),
        }
    };
    let said = match &found.place {
        Place::AsGoodAs(same) => format!("on par with {}", name(same)),
        Place::Between(worse, better) if worse.n > 0 => format!("between {} and {}", name(worse), name(better)),
        // Being better than the uniform baseline says little.
        Place::Between(_, better) | Place::WorseThan(better) => format!("worse than {}", name(better)),
        Place::BetterThan(worse) => format!("better than {}", name(worse)),
    };
    format!("{}, is {said}", format::float(found.loss))
}
