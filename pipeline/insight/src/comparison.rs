//! What differs between runs, and what they have at equal steps.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::Serialize;

use crate::explanation::Explains;
use identity::{Cell, EvaluationRow, Param, RunId, SampleRow, text_as_json};

/// Something that is not the same for all of some runs.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Differing {
    pub name: String,
    /// One for each run; `None` where the run has no such thing.
    pub values: Vec<Option<Cell>>,
    /// Of two runs that part: whether this can have made them do so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explains: Option<Explains>,
}

/// The parameters that differ between `runs`. A parameter that only some runs have (a schedule's) differs.
pub fn differing(params: &[Param], runs: &[RunId]) -> Vec<Differing> {
    let places: HashMap<RunId, usize> = runs.iter().zip(0..).map(|(run, place)| (*run, place)).collect();
    let mut by_name: BTreeMap<&str, Vec<Option<&Cell>>> = BTreeMap::new();
    for param in params {
        let Some(&place) = places.get(&param.run) else { continue };
        by_name.entry(&param.name).or_insert_with(|| vec![None; runs.len()])[place] = Some(&param.value);
    }
    // A stage's seed that is the run's own says nothing that `seed` does not say.
    let seed = by_name.get("seed").cloned();
    by_name.retain(|name, values| !name.ends_with(".seed") || Some(&*values) != seed.as_ref());
    by_name
        .into_iter()
        .filter(|(_, values)| values.windows(2).any(|pair| pair[0] != pair[1]))
        .map(|(name, values)| Differing {
            name: name.to_owned(),
            values: values.into_iter().map(Option::<&Cell>::cloned).collect(),
            explains: None,
        })
        .collect()
}

impl Differing {
    /// Whether some run has another value than the first.
    pub fn differs(&self) -> bool {
        self.values.windows(2).any(|pair| pair[0] != pair[1])
    }
}

/// The scores of one split at one checkpoint, for the runs that have one.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Scores {
    pub step: i64,
    pub split: String,
    pub runs: Vec<Option<EvaluationRow>>,
}

/// Scores at the checkpoints that at least two runs share, and at the last of each run, by step; valid before test.
pub fn scores(runs: &[Vec<EvaluationRow>]) -> Vec<Scores> {
    let keys: BTreeSet<(i64, std::cmp::Reverse<&str>)> =
        runs.iter().flatten().filter_map(|e| Some((e.step?, std::cmp::Reverse(e.split.as_str())))).collect();
    let row = |(step, split): (i64, std::cmp::Reverse<&str>)| {
        let of = |run: &Vec<EvaluationRow>| {
            // Where training scored a split too, the stage's own score counts.
            let mut found = run.iter().filter(|e| e.step == Some(step) && e.split == split.0).collect::<Vec<_>>();
            found.sort_by_key(|e| e.source != "evaluate");
            found.first().map(|e| (*e).clone())
        };
        Scores { step, split: split.0.to_owned(), runs: runs.iter().map(of).collect() }
    };
    let last =
        |run: &[EvaluationRow], split: &str| run.iter().filter(|e| e.split == split).filter_map(|e| e.step).max();
    let told = |scores: &Scores| {
        scores.runs.iter().flatten().count() > 1 || runs.iter().any(|run| last(run, &scores.split) == Some(scores.step))
    };
    keys.into_iter().map(row).filter(told).collect()
}

/// Texts drawn alike from checkpoints of several runs.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Texts {
    /// The checkpoint; `None` where it is each run's last.
    pub step: Option<i64>,
    /// JSON, as the experiment says it.
    #[serde(serialize_with = "text_as_json")]
    #[schemars(with = "serde_json::Value")]
    pub decode: String,
    pub prompt: String,
    pub runs: Vec<Option<SampleRow>>,
}

/// Texts at the checkpoints that at least two runs share, drawn in the same way, by step; and behind them, of each run
/// that did not end at the last of these, those of its own last.
pub fn texts(runs: &[Vec<SampleRow>]) -> Vec<Texts> {
    let ends: Vec<Option<i64>> = runs.iter().map(|run| run.iter().filter_map(|sample| sample.step).max()).collect();
    let mut rows = joined(runs, |_, sample| sample.step.map(Some));
    rows.retain(|texts| texts.runs.iter().flatten().count() > 1);
    // Stable: within a step, texts stay in the order in which the experiment lists them.
    rows.sort_by_key(|texts| texts.step);
    let shared = rows.last().and_then(|texts| texts.step);
    let elsewhere = |place: usize| ends[place].is_some() && ends[place] != shared;
    rows.extend(joined(runs, |place, sample| (elsewhere(place) && sample.step == ends[place]).then_some(None)));
    rows
}

/// The texts that are drawn in the same way, and that belong to the same row by `row`, beside each other.
fn joined(runs: &[Vec<SampleRow>], row: impl Fn(usize, &SampleRow) -> Option<Option<i64>>) -> Vec<Texts> {
    let mut rows: Vec<Texts> = Vec::new();
    let mut places: BTreeMap<(Option<i64>, &str, &str), usize> = BTreeMap::new();
    for (place, samples) in runs.iter().enumerate() {
        for sample in samples {
            let Some(step) = row(place, sample) else { continue };
            let at = *places.entry((step, &sample.decode, &sample.prompt)).or_insert_with(|| {
                let (decode, prompt) = (sample.decode.clone(), sample.prompt.clone());
                rows.push(Texts { step, decode, prompt, runs: vec![None; runs.len()] });
                rows.len() - 1
            });
            rows[at].runs[place] = Some(sample.clone());
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(run: RunId, name: &str, value: f64) -> Param {
        Param { run, name: name.into(), value: Cell::Real(value) }
    }

    #[test]
    fn only_what_differs() {
        let params = vec![
            param(RunId(1), "a", 1.0),
            param(RunId(2), "a", 1.0),
            param(RunId(1), "b", 1.0),
            param(RunId(2), "b", 2.0),
            param(RunId(2), "c", 1.0),
        ];
        let found = differing(&params, &[RunId(2), RunId(1)]);
        let names: Vec<&str> = found.iter().map(|differing| differing.name.as_str()).collect();
        assert_eq!(names, ["b", "c"]);
        assert_eq!(found[0].values, [Some(Cell::Real(2.0)), Some(Cell::Real(1.0))]);
        assert_eq!(found[1].values, [Some(Cell::Real(1.0)), None]);
    }

    #[test]
    fn scores_at_shared_checkpoints() {
        let score = |step: i64, split: &str| EvaluationRow {
            step: Some(step),
            split: split.into(),
            loss: Some(1.0),
            loss_kind: identity::LossKind::Finite,
            perplexity: Some(1f64.exp()),
            tokens: Some(1),
            seconds: Some(0.0),
            source: "evaluate".into(),
        };
        let runs =
            [vec![score(0, "valid"), score(9, "valid"), score(9, "test")], vec![score(9, "test"), score(9, "valid")]];
        let rows = |runs: &[Vec<EvaluationRow>]| -> Vec<(i64, String)> {
            scores(runs).into_iter().map(|row| (row.step, row.split)).collect()
        };
        assert_eq!(rows(&runs), [(9, "valid".to_owned()), (9, "test".to_owned())]);
        // A run that ended elsewhere: its last score is told all the same.
        let runs = [runs[0].clone(), vec![score(0, "valid"), score(3, "valid"), score(5, "valid")]];
        let expected = [(0, "valid"), (5, "valid"), (9, "valid"), (9, "test")];
        assert_eq!(rows(&runs), expected.map(|(step, split)| (step, split.to_owned())));
    }
}
