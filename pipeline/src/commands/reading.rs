//! What the commands that only look have in common: the record, the store, and which runs still live.

use std::path::{Path, PathBuf};

use crate::engine::lock::is_alive;
use crate::failure::Failure;
use crate::places::Paths;
use crate::record::Record;
use crate::record::read::{Evaluation, StageRow, Summary};
use crate::ui::axis::Baseline;

/// The record, opened for reading, and the store beside it.
pub struct Reader {
    pub record: Record,
    pub store: PathBuf,
}

impl Reader {
    /// Opens both.
    pub fn open(paths: &Paths) -> Result<Self, Failure> {
        let mut record = Record::open(&paths.db)?;
        let store = paths.store(record.store_path()?.as_deref());
        Ok(Self { record, store })
    }

    /// The named runs in the order given, or all. A run whose process is gone is interrupted, whatever the record
    /// says: a process that is killed can't write that down.
    pub fn summaries(&mut self, runs: Option<&[i64]>) -> Result<Vec<Summary>, Failure> {
        let mut found = self.record.summaries(runs)?;
        for summary in found.iter_mut().filter(|summary| summary.status == "running") {
            if !summary.process.as_deref().is_some_and(|process| is_alive(&self.store, process)) {
                summary.status = "interrupted".to_owned();
            }
        }
        if let Some(runs) = runs {
            found.sort_by_key(|summary| runs.iter().position(|&run| run == summary.run));
        }
        Ok(found)
    }

    /// A run's stages in their order; those that a dead process was at are interrupted.
    pub fn stages(&mut self, run: i64) -> Result<Vec<StageRow>, Failure> {
        let mut found = self.record.stages(run)?;
        for stage in found.iter_mut().filter(|stage| stage.status == "running") {
            if !stage.process.as_deref().is_some_and(|process| is_alive(&self.store, process)) {
                stage.status = "interrupted".to_owned();
            }
        }
        Ok(found)
    }

    /// The file of a run's output, such as the plan of `batch`.
    pub fn object(&mut self, run: i64, stage: &str, name: &str) -> Result<PathBuf, Failure> {
        let digest = self.record.output(run, stage, name)?.filter(|digest| digest.len() > 2);
        let Some(digest) = digest else {
            return Err(Failure::input(
                format!("run{run} has no {name} of the stage {stage} yet"),
                format!("pipeline show run{run} lists its stages"),
            ));
        };
        let path = object_path(&self.store, &digest);
        if path.exists() {
            return Ok(path);
        }
        Err(Failure::failed(
            format!("{}: the object is gone from the store ({name} of {stage}, run{run})", path.display()),
            "name the store with --store, or run the experiment again: what is missing is made anew",
        ))
    }
}

fn object_path(store: &Path, digest: &str) -> PathBuf {
    store.join("sha256").join(&digest[..2]).join(&digest[2..])
}

/// What a loss of a run can be held against, from what its stage `vocab` reported.
pub fn baselines(stages: &[StageRow]) -> Vec<Baseline> {
    let facts = stages.iter().find(|stage| stage.stage == "vocab").map(StageRow::facts).unwrap_or_default();
    [("ln V", "ln_types"), ("unigram", "unigram_entropy")]
        .into_iter()
        .filter_map(|(label, fact)| Some(Baseline { label: label.to_owned(), value: facts[fact].as_f64()? }))
        .collect()
}

/// The place of the best score of a split, among scores that are finite.
pub fn best(evaluations: &[Evaluation], split: &str) -> Option<usize> {
    let finite = evaluations.iter().enumerate().filter(|(_, e)| e.split == split);
    finite.filter_map(|(at, e)| Some((at, e.loss?))).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at)
}
