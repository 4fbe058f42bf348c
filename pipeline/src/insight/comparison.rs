//! What differs between runs, and what they have at equal steps.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::record::read::{Cell, Evaluation, Param, Sample};

/// Something that is not the same for all of some runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Differing {
    pub name: String,
    /// One for each run; `None` where the run has no such thing.
    pub values: Vec<Option<Cell>>,
}

/// The parameters that differ between `runs`. A parameter that only some runs have (a schedule's) differs.
pub fn differing(params: Vec<Param>, runs: &[i64]) -> Vec<Differing> {
    let mut by_name: BTreeMap<String, Vec<Option<Cell>>> = BTreeMap::new();
    for param in params {
        let Some(place) = runs.iter().position(|&run| run == param.run) else { continue };
        by_name.entry(param.name).or_insert_with(|| vec![None; runs.len()])[place] = Some(param.value);
    }
    by_name.into_iter().map(|(name, values)| Differing { name, values }).filter(Differing::differs).collect()
}

impl Differing {
    /// Whether some run has another value than the first.
    pub fn differs(&self) -> bool {
        self.values.windows(2).any(|pair| pair[0] != pair[1])
    }
}

/// The scores of one split at one checkpoint, for the runs that have one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scores {
    pub step: i64,
    pub split: String,
    pub runs: Vec<Option<Evaluation>>,
}

/// Scores at the checkpoints that at least two runs share, by step; valid before test.
pub fn scores(runs: &[Vec<Evaluation>]) -> Vec<Scores> {
    let keys: BTreeSet<(i64, std::cmp::Reverse<&str>)> =
        runs.iter().flatten().filter_map(|e| Some((e.step?, std::cmp::Reverse(e.split.as_str())))).collect();
    let row = |(step, split): (i64, std::cmp::Reverse<&str>)| {
        let of = |run: &Vec<Evaluation>| {
            // Where training scored a split too, the stage's own score counts.
            let mut found = run.iter().filter(|e| e.step == Some(step) && e.split == split.0).collect::<Vec<_>>();
            found.sort_by_key(|e| e.source != "evaluate");
            found.first().map(|e| (*e).clone())
        };
        Scores { step, split: split.0.to_owned(), runs: runs.iter().map(of).collect() }
    };
    let shared = |scores: &Scores| scores.runs.iter().flatten().count() > 1;
    keys.into_iter().map(row).filter(shared).collect()
}

/// Texts drawn alike from the same checkpoint of several runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Texts {
    pub step: i64,
    /// JSON, as the experiment says it.
    pub decode: String,
    pub prompt: String,
    pub runs: Vec<Option<Sample>>,
}

/// Texts at the checkpoints that at least two runs share, drawn in the same way, by step.
pub fn texts(runs: &[Vec<Sample>]) -> Vec<Texts> {
    let mut rows: Vec<Texts> = Vec::new();
    let mut places: BTreeMap<(i64, &str, &str), usize> = BTreeMap::new();
    for (place, samples) in runs.iter().enumerate() {
        for sample in samples {
            let Some(step) = sample.step else { continue };
            let row = *places.entry((step, &sample.decode, &sample.prompt)).or_insert_with(|| {
                let (decode, prompt) = (sample.decode.clone(), sample.prompt.clone());
                rows.push(Texts { step, decode, prompt, runs: vec![None; runs.len()] });
                rows.len() - 1
            });
            rows[row].runs[place] = Some(sample.clone());
        }
    }
    rows.retain(|texts| texts.runs.iter().flatten().count() > 1);
    // Stable: within a step, texts stay in the order in which the experiment lists them.
    rows.sort_by_key(|texts| texts.step);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(run: i64, name: &str, value: f64) -> Param {
        Param { run, name: name.into(), value: Cell::Real(value) }
    }

    #[test]
    fn only_what_differs() {
        let params =
            vec![param(1, "a", 1.0), param(2, "a", 1.0), param(1, "b", 1.0), param(2, "b", 2.0), param(2, "c", 1.0)];
        let found = differing(params, &[2, 1]);
        let names: Vec<&str> = found.iter().map(|differing| differing.name.as_str()).collect();
        assert_eq!(names, ["b", "c"]);
        assert_eq!(found[0].values, [Some(Cell::Real(2.0)), Some(Cell::Real(1.0))]);
        assert_eq!(found[1].values, [Some(Cell::Real(1.0)), None]);
    }

    #[test]
    fn scores_at_shared_checkpoints() {
        let score = |step: i64, split: &str| Evaluation {
            step: Some(step),
            split: split.into(),
            loss: Some(1.0),
            loss_kind: "finite".into(),
            perplexity: Some(1f64.exp()),
            tokens: 1,
            seconds: 0.0,
            source: "evaluate".into(),
        };
        let runs =
            [vec![score(0, "valid"), score(9, "valid"), score(9, "test")], vec![score(9, "test"), score(9, "valid")]];
        let found = scores(&runs);
        let rows: Vec<(i64, &str)> = found.iter().map(|row| (row.step, row.split.as_str())).collect();
        assert_eq!(rows, [(9, "valid"), (9, "test")]);
    }
}
