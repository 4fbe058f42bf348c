//! What runs share and how they differ, apart from their parameters.

use crate::format::count;
use crate::models::baselines;
use chart::axis::Baseline;
use identity::{Cell, NgramLoss, RunId};
use insight::comparison::Differing;
use record::Record;
use record::read::{Detail, Forked, RunSummary, StageRow};

/// The same parameters, with the origin of a fork, such as `run42 at step 300`, in place of the digest of its
/// trajectory.
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

/// Why the runs' losses can't be compared; `None` if they can.
pub fn incomparable(record: &mut Record, runs: &[RunId]) -> record::Result<Option<&'static str>> {
    for (name, words) in [
        ("vocab", "the runs have different vocabularies, so their losses and perplexities can't be compared"),
        ("valid", "the runs have different validation texts, so their perplexities can't be compared"),
    ] {
        let digests: Vec<String> = record.output_of(runs, "vocab", name)?.into_iter().flatten().collect();
        if digests.windows(2).any(|pair| pair[0] != pair[1]) {
            return Ok(Some(words));
        }
    }
    Ok(None)
}

/// Corpus files whose content differs although their paths are the same. (Paths that differ are shown among the
/// parameters.)
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
    // A run that has not read its corpus yet does not count as different.
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

/// The prefix of the names of rows about corpus files. The name `the content of corpus.text` is the title of a table
/// row, and an item in the sentences "run1 and run2 differ in …" and "other differences: …".
pub const TEXT: &str = "the content of ";

/// Circumstances that are not parameters but can change results or times.
pub fn circumstances(details: &[Detail], stages: &[Vec<StageRow>]) -> Vec<Differing> {
    let text = |text: &Option<String>| text.clone().map(Cell::Text);
    let train = |of: &dyn Fn(&StageRow) -> Option<Cell>| -> Vec<Option<Cell>> {
        stages.iter().map(|stages| stages.iter().find(|stage| stage.stage == "train").and_then(of)).collect()
    };
    let commit = |detail: &Detail| {
        let dirty = if detail.git_dirty == Some(true) { " (modified)" } else { "" };
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

/// The baselines of all runs. If they differ, or if a run has none, the label of each baseline names the first run that
/// has it.
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
    // A corpus has four baselines; if there are several corpora, two per corpus are enough.
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

/// The origin of a fork: `run42 at step 300`.
pub fn origin(fork: &Forked) -> String {
    let parent = fork.parent.map_or("a deleted run".to_owned(), |run| run.to_string());
    format!("{parent} at step {}", count(fork.step))
}
