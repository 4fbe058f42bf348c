//! What the commands that only look have in common: the record, the store, and which runs still live.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::failure::Failure;
use crate::places::Paths;
use crate::plan::STAGES;
use crate::{selector, ui};
use chart::Baseline;
use engine::lock::is_alive;
use engine::store::{Health, Store};
use identity::ObjectId;
use insight::verdict::Batches;
use record::read::{Evaluation, Execution, NgramLoss, StageRow, Summary};
use record::{self, Record};

/// The record, opened for reading, and the store beside it.
pub struct Reader {
    pub record: Record,
    pub store: PathBuf,
    /// The store opened, where an object was looked at: what is known of its files is read once.
    objects: Option<Store>,
    /// What the batches of runs that were judged are made of, the last first: most runs of a study read the same.
    pub batches: Vec<(Read, Batches)>,
}

/// From so many runs on it pays to open a second connection.
const MANY: usize = 100;

/// What batches are made from: the digests of the objects, steps, and windows of a step.
pub type Read = ([String; 3], u64, u64);

impl Reader {
    /// Opens both.
    pub fn open(paths: &Paths) -> Result<Self, Failure> {
        let mut record = Record::open(&paths.db)?;
        let store = paths.store(record.store_path()?.as_deref());
        Ok(Self { record, store, objects: None, batches: Vec::new() })
    }

    /// The runs that some words name, in their order, each once; says what else they could have meant.
    pub fn named(&mut self, words: &[String]) -> Result<Vec<i64>, Failure> {
        let named = selector::resolve(&mut self.record, words)?;
        named.notes.iter().for_each(|note| ui::talk(note));
        Ok(named.runs)
    }

    /// Reads two things, of many runs side by side: one connection keeps one core busy.
    pub fn beside<A, B: Send>(
        &mut self,
        runs: usize,
        side: impl Fn(&mut Record) -> record::Result<B> + Sync,
        own: impl FnOnce(&mut Self) -> Result<A, Failure>,
    ) -> Result<(A, B), Failure> {
        let path = self.record.path().to_owned();
        let (own, read) = std::thread::scope(|scope| {
            let thread = || side(&mut Record::open(&path)?);
            let thread = (runs >= MANY).then(|| std::thread::Builder::new().spawn_scoped(scope, thread));
            let own = own(self);
            (own, thread.and_then(Result::ok).and_then(|thread| thread.join().ok()))
        });
        // Where there is no room for another thread or connection, or the other failed, this one says so or does it.
        match read {
            Some(Ok(read)) => Ok((own?, read)),
            _ => Ok((own?, side(&mut self.record)?)),
        }
    }

    /// The named runs in the order given, or all.
    pub fn summaries(&mut self, runs: Option<&[i64]>) -> Result<Vec<Summary>, Failure> {
        let mut found = self.record.summaries(runs)?;
        if found.iter().any(|summary| summary.status == "interrupted") {
            let order: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
            let mut stopped: HashMap<i64, String> = self.record.stopped(&order)?.into_iter().collect();
            found.iter_mut().for_each(|summary| summary.stopped_at = stopped.remove(&summary.run));
        }
        for summary in &mut found {
            self.settle(&mut summary.status, summary.process.as_deref());
        }
        if let Some(runs) = runs {
            let places: HashMap<i64, usize> = runs.iter().zip(0..).map(|(run, place)| (*run, place)).collect();
            found.sort_by_key(|summary| places.get(&summary.run).copied());
        }
        Ok(found)
    }

    /// A run's stages in their order; those that a dead process was at are interrupted.
    pub fn stages(&mut self, run: i64) -> Result<Vec<StageRow>, Failure> {
        let all: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
        Ok(self.stages_of(&[run], &all)?.pop().unwrap_or_default())
    }

    /// The stages of each of some runs that have one of some names, in the order of these.
    pub fn stages_of(&mut self, runs: &[i64], names: &[&str]) -> Result<Vec<Vec<StageRow>>, Failure> {
        let mut found = self.record.stages_of(runs, names)?;
        for stage in found.iter_mut().flatten() {
            self.settle(&mut stage.status, stage.process.as_deref());
        }
        Ok(found)
    }

    /// The first executions that served some runs at some stages.
    pub fn executions(&mut self, runs: &[i64], names: &[&str], most: usize) -> Result<Vec<Execution>, Failure> {
        let mut found = self.record.executions(runs, names, most)?;
        for execution in &mut found {
            self.settle(&mut execution.status, execution.process.as_deref());
        }
        Ok(found)
    }

    /// What is `running` in a process that is gone is interrupted, whatever the record says: a process that is killed can't
    /// write that down.
    fn settle(&self, status: &mut String, process: Option<&str>) {
        if status == "running" && !process.is_some_and(|process| is_alive(&self.store, process)) {
            *status = "interrupted".to_owned();
        }
    }

    /// The file of a run's output, such as the plan of `batch`.
    pub fn object(&mut self, run: i64, stage: &str, name: &str) -> Result<PathBuf, Failure> {
        let digest = self.record.output(run, stage, name)?;
        let Some(id) = digest.and_then(|digest| digest.parse::<ObjectId>().ok()) else {
            return Err(Failure::input(
                format!("run{run} has no {name} of the stage {stage} yet"),
                format!("pipeline show run{run} lists its stages"),
            ));
        };
        let store = self.objects.get_or_insert_with(|| Store::over(&self.store));
        let path = store.path(id);
        let what = match store.check_sized(id, || self.record.size(id).ok().flatten()) {
            Ok(Health::Sound) => return Ok(path),
            Ok(Health::Missing) => "the object is gone from the store".to_owned(),
            Ok(Health::Damaged) => "the object was damaged, and is set aside".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(Failure::failed(
            format!("{}: {what} ({name} of {stage}, run{run})", path.display()),
            "name the store with --store, or run the experiment again: what is missing is made anew",
        ))
    }

    /// Whether outputs of a run's stages are in the store, sound or not.
    pub fn has(&mut self, run: i64, outputs: &[(&str, &str)]) -> Result<bool, Failure> {
        for (stage, name) in outputs {
            let digest = self.record.output(run, stage, name)?;
            let id = digest.and_then(|digest| digest.parse::<ObjectId>().ok());
            if !id.is_some_and(|id| Store::over(&self.store).path(id).exists()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

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
pub fn last<'e>(evaluations: &'e [Evaluation], split: &str) -> Option<&'e Evaluation> {
    evaluations.iter().rfind(|e| e.split == split && e.source == "evaluate")
}

/// The place of the best score of a split, among scores that are finite.
pub fn best(evaluations: &[Evaluation], split: &str) -> Option<usize> {
    let finite = evaluations.iter().enumerate().filter(|(_, e)| e.split == split);
    finite.filter_map(|(at, e)| Some((at, e.loss?))).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at)
}
