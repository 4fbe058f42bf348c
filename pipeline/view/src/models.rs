//! The baselines that losses are compared with, and the evaluations of checkpoints.

use chart::axis::Baseline;
use identity::{EvaluationRow, NgramLoss};
use record::read::StageRow;

/// The split whose n-gram losses are drawn as horizontal lines in a plot: a held-out split if there is one, else train.
pub fn lines_on(ngrams: &[NgramLoss]) -> Option<&str> {
    ["valid", "test", "train"].into_iter().find(|split| ngrams.iter().any(|it| it.split == *split))
}

/// The baselines of a run: the losses of n-gram models, or, for a run from before the stage `baselines` existed, the
/// figures that the stage `vocab` reported.
pub fn baselines(stages: &[StageRow], ngrams: &[NgramLoss]) -> Vec<Baseline> {
    if let Some(split) = lines_on(ngrams) {
        // Models with longer contexts have memorised train, the text that they were counted on.
        let lines = ngrams.iter().filter(|it| it.split == split && (split != "train" || it.n <= 1));
        return lines.map(|it| Baseline { label: short(&it.model), value: it.loss }).collect();
    }
    let facts = stages.iter().find(|stage| stage.stage == "vocab").map(StageRow::facts).unwrap_or_default();
    [("ln V", "ln_types"), ("unigram", "unigram_entropy")]
        .into_iter()
        .filter_map(|(label, fact)| Some(Baseline { label: label.to_owned(), value: facts[fact].as_f64()? }))
        .collect()
}

/// The legend for the baselines in a plot, whose n-gram models were evaluated on `splits`.
pub fn baseline_words<'s>(lines: &[Baseline], splits: impl Iterator<Item = &'s str>) -> Option<String> {
    let mut splits: Vec<&str> = splits.collect();
    splits.sort_unstable();
    splits.dedup();
    let named: Vec<String> = lines.iter().map(Baseline::to_string).collect();
    (!splits.is_empty()).then(|| format!("┄ n-gram models on {}: {}", splits.join(" or "), named.join(", ")))
}

/// A short name for an n-gram model.
pub fn short(model: &str) -> String {
    match model {
        "uniform" => "ln V".to_owned(),
        model if model.starts_with("kn") => model.to_uppercase(),
        model => model.to_owned(),
    }
}

/// The evaluation of the last checkpoint on a split.
pub fn last<'e>(evaluations: &'e [EvaluationRow], split: &str) -> Option<&'e EvaluationRow> {
    evaluations.iter().rfind(|e| e.split == split && e.source == "evaluate")
}

/// The index of the evaluation with the lowest finite loss on a split.
pub fn best(evaluations: &[EvaluationRow], split: &str) -> Option<usize> {
    let finite = evaluations.iter().enumerate().filter(|(_, e)| e.split == split);
    finite.filter_map(|(at, e)| Some((at, e.loss?))).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at)
}
