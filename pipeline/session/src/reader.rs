//! The record as it is looked at: with the store beside it, the runs that are meant, and their verdicts.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::filter::{Columns, Filter};
use crate::places::Paths;
use crate::plan::built_in;
use crate::{Watch, filter, judge, selector, updated};
use engine::lock::is_alive;
use engine::store::{Health, Store};
use identity::ObjectId;
use insight::verdict::{Batches, Facts};
use record::Record;
use record::verdicts::Verdict;
use view::Source;
use view::runs::RunsView;

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

/// Which runs are listed, as a user said it.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'a> {
    /// Names of runs and studies; none for all runs.
    pub selectors: &'a [String],
    /// Comparisons that all hold: `train.learning_rate>=0.1`.
    pub filters: &'a [String],
    /// A column or parameter, which a leading `-` reverses.
    pub sort: Option<&'a str>,
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
    pub fn named(&mut self, words: &[String]) -> Result<Vec<i64>, Failure> {
        let named = selector::resolve(&mut self.record, words)?;
        named.notes.iter().for_each(|note| self.watch.note(note));
        Ok(named.runs)
    }

    /// The runs that are chosen, with their verdicts; in the order in which they were named, unless they are sorted.
    ///
    /// # Errors
    /// Where a selector, a comparison or the order names nothing that there is.
    pub fn choose(&mut self, chosen: &Chosen<'_>) -> Result<RunsView, Failure> {
        let filters: Vec<Filter> = chosen.filters.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        let named = match chosen.selectors.is_empty() {
            true => None,
            false => Some(self.named(chosen.selectors)?),
        };
        let made = judge::refresh(self, named.as_deref())?;
        let mut runs = self.summaries(named.as_deref())?;
        for summary in &mut runs {
            if let Some(kind) = made.get(&summary.run) {
                summary.verdict = Some(kind.to_string());
            }
        }
        if !filters.is_empty() || chosen.sort.is_some() {
            let numbers: Vec<i64> = runs.iter().map(|summary| summary.run).collect();
            let columns = Columns::of(&runs, self.record.params(&numbers)?);
            runs = filter::apply(runs, &columns, &filters, chosen.sort)?;
        }
        Ok(RunsView { runs })
    }

    /// Whether outputs of a run's stages are in the store, sound or not.
    pub(crate) fn has(&mut self, run: i64, outputs: &[(&str, &str)]) -> Result<bool, Failure> {
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
        built_in().iter().map(|stage| stage.name.to_string()).collect()
    }

    fn verdicts(&mut self, runs: &[i64]) -> Result<Vec<Verdict>, Failure> {
        judge::verdicts(self, runs)
    }

    fn judge_again(&mut self, runs: &[i64], visit: &mut dyn FnMut(Verdict, &Facts)) -> Result<(), Failure> {
        judge::each_anew(self, runs, visit)
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
