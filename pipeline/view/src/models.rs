//! What a loss can be held against: models that count; and the scores of checkpoints.

use chart::axis::Baseline;
use identity::{EvaluationRow, NgramLoss};
use record::read::StageRow;

/// The split on which models give a plot its lines: one that they have not learned from, or else train.
pub fn lines_on(ngrams: &[NgramLoss]) -> Option<&str> {
    ["valid", "test", "train"].into_iter().find(|split| ngrams.iter().any(|it| it.split == *split))
}

/// What a loss of a run can be held against: models that count; or, of a run from before there were such models, what the
/// stage `vocab` reported.
pub fn baselines(stages: &[StageRow], ngrams: &[NgramLoss]) -> Vec<Baseline> {
    if let Some(split) = lines_on(ngrams) {
        // What a longer model has seen it knows by heart: of train only the shortest say something.
        let lines = ngrams.iter().filter(|it| it.split == split && (split != "train" || it.n <= 1));
        return lines.map(|it| Baseline { label: short(&it.model), value: it.loss }).collect();
    }
    let facts = stages.iter().find(|stage| stage.stage == "vocab").map(StageRow::facts).unwrap_or_default();
    [("ln V", "ln_types"), ("unigram", "unigram_entropy")]
        .into_iter()
        .filter_map(|(label, fact)| Some(Baseline { label: label.to_owned(), value: facts[fact].as_f64()? }))
        .collect()
}

/// What the lines of a plot are, of runs whose models were scored on `splits`.
pub fn baseline_words<'s>(lines: &[Baseline], splits: impl Iterator<Item = &'s str>) -> Option<String> {
    let mut splits: Vec<&str> = splits.collect();
    splits.sort_unstable();
    splits.dedup();
    let named: Vec<String> = lines.iter().map(Baseline::to_string).collect();
    (!splits.is_empty()).then(|| format!("┄ n-gram models on {}: {}", splits.join(" or "), named.join(", ")))
}

/// A model that counts, in a word.
pub fn short(model: &str) -> String {
    match model {
        "uniform" => "ln V".to_owned(),
        model if model.starts_with("kn") => model.to_uppercase(),
        model => model.to_owned(),
    }
}

/// The score of the last checkpoint on a split.
pub fn last<'e>(evaluations: &'e [EvaluationRow], split: &str) -> Option<&'e EvaluationRow> {
    evaluations.iter().rfind(|e| e.split == split && e.source == "evaluate")
}

/// The place of the best score of a split, among scores that are finite.
pub fn best(evaluations: &[EvaluationRow], split: &str) -> Option<usize> {
    let finite = evaluations.iter().enumerate().filter(|(_, e)| e.split == split);
    finite.filter_map(|(at, e)| Some((at, e.loss?))).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at)
}
