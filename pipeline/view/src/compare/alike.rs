//! What runs have in common beside their parameters, and what not.

use crate::format::count;
use crate::models::baselines;
use chart::axis::Baseline;
use identity::{Cell, NgramLoss, RunId};
use insight::comparison::Differing;
use record::Record;
use record::read::{Detail, Forked, RunSummary, StageRow};

/// The same parameters, but what a run was forked from as `run42 at step 300`: a trajectory's digits tell nobody anything.
///
/// # Errors
/// Those of the record.
pub fn with_forks(record: &mut Record, parameters: Vec<Differing>, runs: &[RunId]) -> record::Result<Vec<Differing>> {
    let (forks, mut parameters): (Vec<Differing>, Vec<Differing>) =
        parameters.into_iter().partition(|row| row.name == FORK || row.name.starts_with(&format!("{FORK}.")));
    if forks.is_empty() {
        return Ok(parameters);
    }
    let mut values = Vec::new();
    for (place, lineage) in record.forks_of(runs)?.iter().enumerate() {
        let is_fork = forks.iter().any(|row| row.values[place].is_some());
        let nearest = lineage.first().filter(|_| is_fork).map(origin);
        values.push(nearest.map(Cell::Text));
    }
    let place = parameters.partition_point(|row| row.name.as_str() < FORK);
    parameters.insert(place, Differing { name: FORK.to_owned(), values, explains: None });
    Ok(parameters)
}

/// The key that makes a run a fork.
const FORK: &str = "train.fork";

/// Why the runs' losses can't be held against each other, where they can't.
///
/// # Errors
/// Those of the record.
pub fn incomparable(record: &mut Record, runs: &[RunId]) -> record::Result<Option<&'static str>> {
    for (name, words) in [
        ("vocab", "the runs have other vocabularies: their losses and perplexities can't be held against each other"),
        ("valid", "the runs are scored on other valid texts: their perplexities can't be held against each other"),
    ] {
        let digests: Vec<String> = record.output_of(runs, "vocab", name)?.into_iter().flatten().collect();
        if digests.windows(2).any(|pair| pair[0] != pair[1]) {
            return Ok(Some(words));
        }
    }
    Ok(None)
}

/// The texts behind one path that are not the same. Where the paths differ, these say it.
///
/// # Errors
/// Those of the record.
pub fn texts(record: &mut Record, parameters: &[Differing], runs: &[RunId]) -> record::Result<Vec<Differing>> {
    let mut rows: Vec<Differing> = Vec::new();
    for (place, inputs) in record.inputs_of(runs, "tokenize")?.into_iter().enumerate() {
        for (name, digest) in inputs {
            let name = format!("{TEXT}corpus.{name}");
            let digest = digest.get(..12).unwrap_or(&digest).to_owned();
            let at = rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
                rows.push(Differing { name, values: vec![None; runs.len()], explains: None });
                rows.len() - 1
            });
            rows[at].values[place] = Some(Cell::Text(digest));
        }
    }
    // A run that has read nothing yet has no other text.
    rows.retain(|row| {
        let path = row.name.trim_start_matches(TEXT);
        if parameters.iter().any(|parameter| parameter.name == path) {
            return false;
        }
        let mut known = row.values.iter().flatten();
        known.next().is_some_and(|first| known.any(|other| other != first))
    });
    Ok(rows)
}

/// What the name of such a row begins with.
pub const TEXT: &str = "the text of ";

/// What is no parameter but may change numbers or times.
pub fn circumstances(details: &[Detail], stages: &[Vec<StageRow>]) -> Vec<Differing> {
    let text = |text: &Option<String>| text.clone().map(Cell::Text);
    let train = |of: &dyn Fn(&StageRow) -> Option<Cell>| -> Vec<Option<Cell>> {
        stages.iter().map(|stages| stages.iter().find(|stage| stage.stage == "train").and_then(of)).collect()
    };
    let commit = |detail: &Detail| {
        let dirty = if detail.git_dirty == Some(true) { " and changes" } else { "" };
        detail.git_commit.as_ref().map(|commit| Cell::Text(format!("{}{dirty}", commit.get(..12).unwrap_or(commit))))
    };
    let rows = [
        ("pipeline", details.iter().map(|detail| Some(Cell::Text(detail.program_version.clone()))).collect()),
        ("git", details.iter().map(commit).collect()),
        ("host", details.iter().map(|detail| Some(Cell::Text(detail.host.clone()))).collect()),
        ("threads", train(&|stage| stage.threads.map(Cell::Integer))),
        ("device", train(&|stage| text(&stage.device))),
        ("processor", train(&|stage| text(&stage.cpu_capability))),
        ("libtorch", train(&|stage| text(&stage.libtorch))),
    ];
    rows.into_iter().map(|(name, values)| Differing { name: name.to_owned(), values, explains: None }).collect()
}

/// Baselines of all runs; where they differ, or not every run has any, each names the first run that it belongs to.
pub fn joint_baselines(runs: &[RunSummary], stages: &[Vec<StageRow>], ngrams: &[Vec<NgramLoss>]) -> Vec<Baseline> {
    let mut all: Vec<(Baseline, String)> = Vec::new();
    let mut without = false;
    for ((run, stages), ngrams) in runs.iter().zip(stages).zip(ngrams) {
        let found = baselines(stages, ngrams);
        without |= found.is_empty();
        for baseline in found {
            if !all.iter().any(|(known, _)| *known == baseline) {
                all.push((baseline, run.name()));
            }
        }
    }
    // Each corpus has four: of many, the first two of each are enough lines.
    if all.len() > 8 {
        all.retain(|(baseline, _)| ["ln V", "unigram"].contains(&baseline.label.as_str()));
    }
    let several = |label: &str| all.iter().filter(|(baseline, _)| baseline.label == label).count() > 1;
    let named = |(baseline, run): &(Baseline, String)| match without || several(&baseline.label) {
        true => Baseline { label: format!("{} {run}", baseline.label), ..baseline.clone() },
        false => baseline.clone(),
    };
    all.iter().map(named).collect()
}

/// Where a fork begins: `run42 at step 300`.
pub fn origin(fork: &Forked) -> String {
    let parent = fork.parent.map_or("a run that is gone".to_owned(), |run| run.to_string());
    format!("{parent} at step {}", count(fork.step))
}
