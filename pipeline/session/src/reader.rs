//! The record as it is looked at: with the store beside it, and the runs that are meant.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::places::Paths;
use crate::{Watch, selector, updated};
use engine::store::{Health, Store};
use identity::{ObjectId, RunId};
use insight::verdict::Batches;
use record::Record;

/// The record, opened for reading, and the store beside it.
pub struct Reader {
    /// The record.
    pub record: Record,
    /// The store's folder.
    pub store: PathBuf,
    /// The store opened, where an object was looked at: what is known of its files is read once.
    objects: Option<Store>,
    /// What the batches of runs that were judged are made of, the last first: most runs of a study read the same.
    pub(crate) batches: Vec<(Read, Batches)>,
    /// Is told what takes a while.
    pub(crate) watch: Box<dyn Watch>,
}

/// What batches are made from: the digests of the objects, steps, and windows of a step.
pub(crate) type Read = ([String; 3], u64, u64);

impl Reader {
    /// Opens both.
    ///
    /// # Errors
    /// Where the record can't be read.
    pub fn open(paths: &Paths, watch: impl Watch + 'static) -> Result<Self, Failure> {
        let mut watch = watch;
        let mut record = updated(Record::open(&paths.db)?, &mut watch);
        let store = paths.store(record.store_path()?.as_deref());
        Ok(Self { record, store, objects: None, batches: Vec::new(), watch: Box::new(watch) })
    }

    /// The runs that some words name, in their order, each once; says what else they could have meant.
    ///
    /// # Errors
    /// Where they name none.
    pub fn named(&mut self, words: &[String]) -> Result<Vec<RunId>, Failure> {
        let named = selector::resolve(&mut self.record, words)?;
        named.notes.iter().for_each(|note| self.watch.note(note));
        Ok(named.runs)
    }

    /// Whether outputs of a run's stages are in the store, sound or not.
    pub(crate) fn has(&mut self, run: RunId, outputs: &[(&str, &str)]) -> Result<bool, Failure> {
        for (stage, name) in outputs {
            let digest = self.record.output(run, stage, name)?;
            let id = digest.and_then(|digest| digest.parse::<ObjectId>().ok());
            if !id.is_some_and(|id| Store::over(&self.store).path(id).exists()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// An output of a run's stage, as a sound file in the store.
    ///
    /// # Errors
    /// Where there is none, or it is damaged.
    pub(crate) fn object(&mut self, run: RunId, stage: &str, name: &str) -> Result<PathBuf, Failure> {
        let digest = self.record.output(run, stage, name)?;
        let Some(id) = digest.and_then(|digest| digest.parse::<ObjectId>().ok()) else {
            return Err(Failure::input(
                format!("{run} has no {name} of the stage {stage} yet"),
                format!("pipeline show {run} lists its stages"),
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
            format!("{}: {what} ({name} of {stage}, {run})", path.display()),
            "name the store with --store, or run the experiment again: what is missing is made anew",
        ))
    }
}
