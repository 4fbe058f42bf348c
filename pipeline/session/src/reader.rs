//! Opens a record for reading, selects its runs, and finds their outputs in the store.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::places::Paths;
use crate::{Watch, selector, updated};
use engine::store::{Health, Store};
use identity::{ObjectId, RunId};
use insight::verdict::Batches;
use record::Record;

/// A record opened for reading, with its store.
pub struct Reader {
    /// The record.
    pub record: Record,
    /// The store's folder.
    pub store: PathBuf,
    /// The store, once an object has been read, so that its digest cache is loaded only once.
    objects: Option<Store>,
    /// The batches of the runs judged last, the latest first. Most runs of a study read the same batches.
    pub(crate) batches: Vec<(Read, Batches)>,
    /// Receives notes and the progress of work that takes a while.
    pub(crate) watch: Box<dyn Watch>,
}

/// What determines batches: the paths of the objects, the number of steps, and the windows per step.
pub(crate) type Read = ([String; 3], u64, u64);

impl Reader {
    /// Opens the record; the store is opened when it is needed.
    ///
    /// # Errors
    /// When the record can't be read.
    pub fn open(paths: &Paths, watch: impl Watch + 'static) -> Result<Self, Failure> {
        let mut watch = watch;
        let mut record = updated(Record::open(&paths.db)?, &mut watch);
        let store = paths.store(record.store_path()?.as_deref());
        Ok(Self { record, store, objects: None, batches: Vec::new(), watch: Box::new(watch) })
    }

    /// The runs that the selectors `words` select, in the order of the selectors, each once. The watcher gets a note if
    /// a selector is ambiguous.
    ///
    /// # Errors
    /// When a selector selects nothing.
    pub fn named(&mut self, words: &[String]) -> Result<Vec<RunId>, Failure> {
        let named = selector::resolve(&mut self.record, words)?;
        named.notes.iter().for_each(|note| self.watch.note(note));
        Ok(named.runs)
    }

    /// Whether these outputs of a run are all in the store. Whether they are damaged is not checked.
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

    /// The path of an output of a run's stage, after a check that it is not damaged.
    ///
    /// # Errors
    /// When the output is missing or damaged.
    pub(crate) fn object(&mut self, run: RunId, stage: &str, name: &str) -> Result<PathBuf, Failure> {
        let digest = self.record.output(run, stage, name)?;
        let Some(id) = digest.and_then(|digest| digest.parse::<ObjectId>().ok()) else {
            return Err(Failure::input(
                format!("the stage `{stage}` of {run} has no output `{name}` yet"),
                format!("to list its stages: pipeline show {run}"),
            ));
        };
        let store = self.objects.get_or_insert_with(|| Store::over(&self.store));
        let path = store.path(id);
        let what = match store.check_sized(id, || self.record.size(id).ok().flatten()) {
            Ok(Health::Sound) => return Ok(path),
            Ok(Health::Missing) => "the object is missing from the store".to_owned(),
            Ok(Health::Damaged) => "the object was damaged and has been set aside".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(Failure::failed(
            format!("{}: {what} (output `{name}` of the stage `{stage}` of {run})", path.display()),
            "name the store with --store, or run the experiment again to recompute the missing objects",
        ))
    }
}
