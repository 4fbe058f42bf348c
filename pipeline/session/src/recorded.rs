//! A run's experiment as it was recorded; the experiment's file may have changed since.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::places::Paths;
use experiment::{CorpusOrigin, Experiment};
use identity::RunId;
use record::Record;
use system::files;

/// The text of a run's experiment, with the overrides that make the run its only point.
#[derive(Debug)]
pub struct Recorded {
    run: RunId,
    path: String,
    text: String,
    overrides: Vec<String>,
    /// The folder from which relative paths lead to the corpus that the run read, if it still exists.
    home: Option<PathBuf>,
}

/// The override with which an experiment starts training from a checkpoint of a trajectory.
pub fn fork_at(identity: &str, step: i64) -> String {
    format!("train.fork={{ trajectory = \"{identity}\", step = {step} }}")
}

impl Recorded {
    /// Reads the recorded experiment, and pins what its study sweeps to this run's values.
    ///
    /// # Errors
    /// When this version reads the experiment differently from the one that ran it, or when the corpus is missing.
    pub fn of(record: &mut Record, run: RunId, paths: &Paths, here: &Path) -> Result<Self, Failure> {
        let row = record.recorded(run)?.ok_or_else(|| {
            Failure::input(format!("{run} has no experiment"), "name a run made with `pipeline run` or `pipeline fork`")
        })?;
        let overrides: Vec<String> = serde_json::from_str(&row.overrides).unwrap_or_default();
        let mut this = Self { run, path: row.experiment_path, text: row.toml, overrides, home: None };
        this.home = this.find_home(record, run, row.directory.as_deref(), paths)?;
        let whole = this.with(&[], paths, here)?;
        let swept: Map<String, Value> =
            row.point.as_deref().and_then(|point| serde_json::from_str(point).ok()).unwrap_or_default();
        let is_it = |swept_now: &[(String, Value)]| swept_now.iter().cloned().collect::<Map<_, _>>() == swept;
        let Some(point) = whole.points.iter().find(|point| is_it(&point.swept)) else {
            let message = format!("{run} is not a point of its experiment as this version of pipeline reads it");
            return Err(Failure::input(message, "use the version of pipeline that made the run"));
        };
        this.overrides.extend(whole.pins(point));
        if this.with(&[], paths, here)?.points.len() != 1 {
            let message = format!("no --set distinguishes {run} from the other points of its study");
            return Err(Failure::input(message, format!("write the run's values to a copy of {}", this.path)));
        }
        Ok(this)
    }

    /// The path of the experiment's file, as it was typed.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The overrides that make the run its only point.
    pub fn overrides(&self) -> &[String] {
        &self.overrides
    }

    /// The experiment, with further overrides.
    ///
    /// # Errors
    /// When the experiment can't be read with them.
    pub fn with(&self, further: &[String], paths: &Paths, here: &Path) -> Result<Experiment, Failure> {
        let overrides = [&self.overrides[..], further].concat();
        let here = self.home.as_deref().unwrap_or(here);
        Ok(Experiment::of_text(Path::new(&self.path), self.text.clone(), &overrides, here, paths.root())?)
    }

    /// Refuses a corpus that has changed since the run. (A missing corpus is refused when the experiment is read.)
    ///
    /// # Errors
    /// When a file has changed, or can't be read.
    pub fn check_corpus(&self, record: &mut Record, paths: &Paths, here: &Path) -> Result<(), Failure> {
        let run = self.run;
        let before = record.inputs(run, "tokenize")?;
        let experiment = self.with(&[], paths, here)?;
        for source in experiment.points.iter().flat_map(|point| &point.corpus.sources) {
            let CorpusOrigin::File(path) = &source.origin else { continue };
            let Some((name, digest)) = before.iter().find(|(name, _)| *name == source.name) else { continue };
            let found = files::digest(path)
                .map_err(|error| Failure::input(format!("{}: {error}", path.display()), ""))?
                .to_string();
            if found != *digest {
                let message = format!("{} has changed since {run}: its SHA-256 was {digest}", path.display());
                let hint = "restore the original file";
                return Err(experiment.complain(&format!("corpus.{name}"), &message, hint).into());
            }
        }
        Ok(())
    }

    /// Finds the folder that the experiment's relative paths start from. The current working directory won't do, as a
    /// file with the same name there may be another text. The original working directory is recorded, but not by
    /// earlier versions, and a fork may have been made in another one. The search therefore continues in the folders
    /// above the corpus, whose full path is recorded too.
    fn find_home(
        &self,
        record: &mut Record,
        run: RunId,
        directory: Option<&str>,
        paths: &Paths,
    ) -> Result<Option<PathBuf>, Failure> {
        let params = record.params(&[run])?;
        let of_corpus = |name: &str| name == "corpus.text" || name == "corpus.train";
        let Some(file) = params.iter().find(|param| of_corpus(&param.name)).map(|param| param.value.text()) else {
            return Ok(None);
        };
        let leads_there = |folder: &&Path| {
            self.with(&[], paths, folder).is_ok_and(|experiment| {
                let mut sources = experiment.points.iter().flat_map(|point| &point.corpus.sources);
                sources.any(|source| source.origin == CorpusOrigin::File(PathBuf::from(&file)))
            })
        };
        let folders = directory.map(Path::new).into_iter().chain(Path::new(&file).ancestors().skip(1));
        Ok(folders.filter(|folder| folder.is_absolute()).find(leads_there).map(Path::to_owned))
    }
}
