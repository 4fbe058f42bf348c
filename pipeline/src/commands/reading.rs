//! What the commands that only look have in common: the record, the store, and which runs still live.

use std::path::PathBuf;

use crate::commands::judging;
use crate::failure::Failure;
use crate::places::Paths;
use crate::plan::STAGES;
use crate::{selector, ui};
use engine::lock::is_alive;
use engine::store::{Health, Store};
use identity::ObjectId;
use insight::verdict::{Batches, Facts};
use record::Record;
use record::verdicts::Verdict;
use view::Source;

/// The record, opened for reading, and the store beside it.
pub struct Reader {
    pub record: Record,
    pub store: PathBuf,
    /// The store opened, where an object was looked at: what is known of its files is read once.
    objects: Option<Store>,
    /// What the batches of runs that were judged are made of, the last first: most runs of a study read the same.
    pub batches: Vec<(Read, Batches)>,
}

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

impl Source for Reader {
    type Error = Failure;

    fn record(&mut self) -> &mut Record {
        &mut self.record
    }

    fn is_alive(&self, process: &str) -> bool {
        is_alive(&self.store, process)
    }

    fn stage_names(&self) -> Vec<String> {
        STAGES.iter().map(|stage| stage.name.to_owned()).collect()
    }

    fn verdicts(&mut self, runs: &[i64]) -> Result<Vec<Verdict>, Failure> {
        judging::verdicts(self, runs)
    }

    fn judge_again(&mut self, runs: &[i64], visit: &mut dyn FnMut(Verdict, &Facts)) -> Result<(), Failure> {
        judging::each_anew(self, runs, visit)
    }

    fn object(&mut self, run: i64, stage: &str, name: &str) -> Result<PathBuf, Failure> {
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
}
