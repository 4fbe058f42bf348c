//! What differs between runs, and their scores and samples at the same steps.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::Serialize;

use crate::explanation::Explains;
use identity::{Cell, EvaluationRow, Param, RunId, SampleRow, text_as_json};

/// Something, such as a parameter, that differs between runs.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Differing {
    pub name: String,
    /// One value for each run; `None` if the run does not have it.
    pub values: Vec<Option<Cell>>,
    /// For two runs whose losses differ: whether this can explain the first difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explains: Option<Explains>,
}

/// The parameters that differ between `runs`. A parameter that only some runs have, such as one of a schedule, counts
/// as differing.
pub fn differing(params: &[Param], runs: &[RunId]) -> Vec<Differing> {
    let places: HashMap<RunId, usize> = runs.iter().zip(0..).map(|(run, place)| (*run, place)).collect();
    let mut by_name: BTreeMap<&str, Vec<Option<&Cell>>> = BTreeMap::new();
    for param in params {
        let Some(&place) = places.get(&param.run) else { continue };
        by_name.entry(&param.name).or_insert_with(|| vec![None; runs.len()])[place] = Some(&param.value);
    }
    // A stage's seed that equals `seed` in every run would only repeat it.
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
    /// Whether the runs' values differ.
    pub fn differs(&self) -> bool {
        self.values.windows(2).any(|pair| pair[0] != pair[1])
    }
}

/// The evaluations of several runs at one checkpoint and on one split.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Scores {
    pub step: i64,
    pub split: String,
    pub runs: Vec<Option<EvaluationRow>>,
}

/// Evaluations at the checkpoints that at least two runs have in common, and at the last checkpoint of each run, sorted
/// by step; valid comes before test.
pub fn scores(runs: &[Vec<EvaluationRow>]) -> Vec<Scores> {
    let keys: BTreeSet<(i64, std::cmp::Reverse<&str>)> =
        runs.iter().flatten().filter_map(|e| Some((e.step?, std::cmp::Reverse(e.split.as_str())))).collect();
    let row = |(step, split): (i64, std::cmp::Reverse<&str>)| {
        let of = |run: &Vec<EvaluationRow>| {
            // If a split was also evaluated during training, the result of the stage `evaluate` takes precedence.
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

/// Samples drawn in the same way from checkpoints of several runs.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Texts {
    /// The step of the checkpoint; `None` if the samples are from the last checkpoint of each run.
    pub step: Option<i64>,
    /// The decoding settings as JSON, as in the experiment.
    #[serde(serialize_with = "text_as_json")]
    #[schemars(with = "serde_json::Value")]
    pub decode: String,
    pub prompt: String,
    pub runs: Vec<Option<SampleRow>>,
}

/// Samples drawn in the same way from the checkpoints that at least two runs have in common, sorted by step. They are
/// followed by the samples from the last checkpoint of each run that ended at a different step.
pub fn texts(runs: &[Vec<SampleRow>]) -> Vec<Texts> {
    let ends: Vec<Option<i64>> = runs.iter().map(|run| run.iter().filter_map(|sample| sample.step).max()).collect();
    let mut rows = joined(runs, |_, sample| sample.step.map(Some));
    rows.retain(|texts| texts.runs.iter().flatten().count() > 1);
    // The sort is stable: within a step, samples keep the order in which the experiment lists them.
    rows.sort_by_key(|texts| texts.step);
    let shared = rows.last().and_then(|texts| texts.step);
    let elsewhere = |place: usize| ends[place].is_some() && ends[place] != shared;
    rows.extend(joined(runs, |place, sample| (elsewhere(place) && sample.step == ends[place]).then_some(None)));
    rows
}

/// Groups the samples that were drawn in the same way and for which `row` returns the same step. Samples for which it
/// returns `None` are left out. `row` is given the index of the run and the sample.
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
    fn only_differing_parameters_are_listed() {
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
    fn scores_are_listed_at_shared_and_last_checkpoints() {
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
        // The last evaluation of a run that ended at another step is listed too.
        let runs = [runs[0].clone(), vec![score(0, "valid"), score(3, "valid"), score(5, "valid")]];
        let expected = [(0, "valid"), (5, "valid"), (9, "valid"), (9, "test")];
        assert_eq!(rows(&runs), expected.map(|(step, split)| (step, split.to_owned())));
    }
}
