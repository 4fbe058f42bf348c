//! Imports runs from other programs' logs.

use std::path::{Path, PathBuf};

use identity::logged::LoggedRows;
use identity::{Digest, RunId};
use imports::axis::Axis;
use imports::detect::Format;
use imports::find::{Found, LogFile, find};
use imports::gather::{Gatherer, Rows, Survey, Tally};
use imports::read::{Done, digest_of_first, read};
use imports::report::{Names, Remark, Series};
use imports::roles::{Named, Role, assign};
use imports::text::Patterns;
use imports::{mlflow_db, trackio};
use record::Record;
use record::RecordError;
use record::logged::{Import, NewImport, NewSource, Voided};
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::run::origin;
use crate::{Session, updated};

/// What to import, and what the user knows about it.
#[derive(Debug, Default)]
pub struct ImportOptions {
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// The study that the runs go to; by default the name of the first folder.
    pub study: Option<String>,
    /// What the run is called, if there is only one.
    pub name: Option<String>,
    /// Series that are not recognised by their names.
    pub series: Vec<Named>,
    /// The unit of the losses.
    pub unit: Option<String>,
    /// The size of the vocabulary.
    pub vocabulary: Option<u32>,
    /// What the lines of a text log look like.
    pub patterns: Option<Patterns>,
    /// Read the logs, and record nothing.
    pub dry_run: bool,
}

/// What an import did.
#[derive(Debug, Default)]
pub struct ImportReport {
    /// Each run, in the order in which they were found.
    pub runs: Vec<ImportedLog>,
    /// Paths without a run, and files that can't be read: the path and why.
    pub skipped: Vec<(PathBuf, String)>,
}

/// A run of an import.
#[derive(Debug)]
pub struct ImportedLog {
    /// What it is called.
    pub name: String,
    /// Its files.
    pub files: Vec<PathBuf>,
    /// Their format, or the program that printed them.
    pub format: String,
    /// The run; `None` on a dry run.
    pub run: Option<RunId>,
    /// What happened to it.
    pub outcome: ImportOutcome,
    /// Its series, in the order of the log.
    pub series: Vec<LoggedSeries>,
    /// What its steps are.
    pub axis: Axis,
    /// Numbers without a step, which are left out.
    pub without_step: u64,
    /// What was odd: the file, and what.
    pub remarks: Vec<(PathBuf, Remark)>,
    /// Remarks beyond those.
    pub more_remarks: u64,
}

/// What happened to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportOutcome {
    /// It is new.
    New,
    /// So many of its steps were added or changed.
    Updated(i64),
    /// Nothing changed since the last import.
    UpToDate,
    /// It would be imported.
    DryRun,
}

/// A series of a log.
#[derive(Debug, Clone)]
pub struct LoggedSeries {
    /// The log's own name, with the split if it names one.
    pub name: String,
    /// The word for its role; `None` for a number of the log's own.
    pub role: Option<String>,
    /// What it has.
    pub tally: Tally,
}

/// A run of a log that may hold several.
struct Candidate {
    name: String,
    files: Vec<LogFile>,
    /// The run's name within a database.
    stored: Option<String>,
}

impl Session<'_> {
    /// Imports runs.
    ///
    /// # Errors
    /// When the options contradict the logs, nothing can be imported, or the record can't be written.
    pub fn import(&mut self, options: &ImportOptions) -> Result<ImportReport, Failure> {
        let paths: Vec<PathBuf> = options.paths.iter().map(|path| self.here.join(path)).collect();
        let search = find(&paths);
        let mut report = ImportReport::default();
        report.skipped.extend(search.skipped.into_iter().map(|skipped| (skipped.path, skipped.why)));
        let mut candidates = Vec::new();
        for found in search.runs {
            expand(found, &mut candidates, &mut report);
        }
        if let (Some(name), true) = (&options.name, candidates.len() > 1) {
            let message = format!("--name {name}: these logs are of {} runs", candidates.len());
            return Err(Failure::input(message, "name the study instead: --study NAME"));
        }
        let mut record = match options.dry_run {
            true => None,
            false => Some(updated(Record::create(&self.paths.db)?, self.watch)),
        };
        let study = options.study.clone().unwrap_or_else(|| study_of(&paths));
        for candidate in candidates {
            match self.one(&candidate, options, &study, record.as_mut())? {
                Ok(log) => report.runs.push(log),
                Err(why) => report.skipped.push((candidate.files[0].path.clone(), why)),
            }
        }
        Ok(report)
    }

    /// Imports one run. The inner error says why there is none.
    fn one(
        &mut self,
        candidate: &Candidate,
        options: &ImportOptions,
        study: &str,
        record: Option<&mut Record>,
    ) -> Result<Result<ImportedLog, String>, Failure> {
        let mut survey = Survey::default();
        let mut done = Vec::new();
        for (number, file) in candidate.files.iter().enumerate() {
            let mut names = std::mem::take(&mut survey.names);
            let mut surveyor = survey.of_file(number);
            let read = read(file, candidate.stored.as_deref(), options.patterns.as_ref(), &mut names, &mut surveyor);
            survey.names = names;
            match read {
                Ok(read) => done.push(read),
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        if survey.counted.reports == 0 {
            return Ok(Err("no numbers were found".into()));
        }
        let roles = match assign(&survey.names, &options.series) {
            Ok(roles) => roles,
            Err(named) => {
                let known: Vec<&str> = survey.names.all().map(|(_, name)| name.name.as_str()).collect();
                let word = named.role.word().unwrap_or_default();
                let message = format!("--series {word}={}: {} has no such series", named.name, candidate.name);
                return Err(Failure::input(message, format!("its series: {}", known.join(", "))));
            }
        };
        let axis = survey.counted.axis();
        let mut log = ImportedLog {
            name: options.name.clone().unwrap_or_else(|| candidate.name.clone()),
            files: candidate.files.iter().map(|file| file.path.clone()).collect(),
            format: format_of(candidate, &done),
            run: None,
            outcome: ImportOutcome::DryRun,
            series: series(&survey, &roles),
            axis,
            without_step: 0,
            remarks: Vec::new(),
            more_remarks: survey.more_remarks,
        };
        for (file, remark) in std::mem::take(&mut survey.remarks) {
            log.remarks.push((candidate.files[file].path.clone(), remark));
        }
        let Some(record) = record else { return Ok(Ok(log)) };
        self.put(candidate, options, study, (&survey, &roles, axis, &done), record, &mut log)?;
        Ok(Ok(log))
    }

    /// Reads the logs again, into the record.
    fn put(
        &mut self,
        candidate: &Candidate,
        options: &ImportOptions,
        study: &str,
        (survey, roles, axis, done): (&Survey, &[Role], Axis, &[Done]),
        record: &mut Record,
        log: &mut ImportedLog,
    ) -> Result<(), Failure> {
        let columns = columns(&survey.names, roles);
        let sources: Vec<NewSource> = candidate
            .files
            .iter()
            .zip(done)
            .map(|(file, done)| NewSource {
                path: absolute(&file.path),
                digest: done.digest.clone(),
                bytes: i64::try_from(done.bytes).unwrap_or(i64::MAX),
                format: file.format.word().to_owned(),
                columns: columns.clone(),
            })
            .collect();
        let key = key(&sources, candidate.stored.as_deref());
        let known = record.imported(&key)?;
        if let Some(known) = &known
            && known.sources == sources
        {
            (log.run, log.outcome) = (Some(known.run), ImportOutcome::UpToDate);
            return Ok(());
        }
        let grown = known
            .as_ref()
            .is_some_and(|known| known.sources.iter().all(begins_with) && known.sources.len() <= sources.len());
        let params: Vec<(String, Value)> =
            survey.settings.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let name = options.name.clone().or_else(|| survey.run_name.clone()).unwrap_or_else(|| candidate.name.clone());
        let new = NewImport {
            key: &key,
            name: &name,
            study,
            params: &params,
            unit: options.unit.as_deref(),
            vocabulary: options.vocabulary.map(i64::from),
            sources: &sources,
            origin: &origin("", self.here),
        };
        let mut into = Into { import: record.import(&new)?, names: &survey.names };
        let mut gatherer = Gatherer::new(roles, axis, &mut into);
        let mut names = Names::default();
        for (number, file) in candidate.files.iter().enumerate() {
            gatherer.begin_file(number);
            let read = read(file, candidate.stored.as_deref(), options.patterns.as_ref(), &mut names, &mut gatherer);
            read.map_err(|error| Failure::failed(format!("{}: {error}", file.path.display()), ""))?;
        }
        let without_step = gatherer.finish()?;
        let end = into.import.finish(&new, known.map(|known| (known.run, grown)))?;
        log.without_step = without_step;
        log.run = Some(end.run);
        log.outcome = match (end.new, end.steps) {
            (true, _) => ImportOutcome::New,
            (false, steps) => ImportOutcome::Updated(steps),
        };
        log.name = name;
        Ok(())
    }
}

/// Puts rows into the record.
struct Into<'i> {
    import: Import<'i>,
    names: &'i Names,
}

impl Rows for Into<'_> {
    type Error = RecordError;

    fn rows(&mut self, rows: LoggedRows) -> Result<(), RecordError> {
        let names = self.names;
        self.import.put(&rows, &|series| label(names, Series(series as u32)))
    }

    fn void(&mut self, series: Series, role: &Role, from_step: i64) -> Result<(), RecordError> {
        let what = match role {
            Role::Loss | Role::Perplexity => Voided::Loss,
            Role::LearningRate => Voided::LearningRate,
            Role::GradNorm => Voided::GradNorm,
            Role::Evaluation { split } | Role::EvaluationPerplexity { split } => Voided::Split(split.clone()),
            Role::Other => Voided::Series(label(self.names, series)),
            Role::Epoch | Role::Tokens | Role::Seconds => return Ok(()),
        };
        self.import.void(&what, from_step)
    }
}

/// The runs of what was found: a database holds many.
fn expand(found: Found, candidates: &mut Vec<Candidate>, report: &mut ImportReport) {
    let Found { name, files, .. } = found;
    let stored = match files.first().map(|file| file.format) {
        Some(Format::MlflowDatabase) => mlflow_db::runs(&files[0].path),
        Some(Format::TrackioDatabase) => trackio::runs(&files[0].path),
        _ => {
            candidates.push(Candidate { name, files, stored: None });
            return;
        }
    };
    match stored {
        Ok(runs) => candidates.extend(runs.into_iter().map(|run| Candidate {
            name: run.name.unwrap_or_else(|| run.id.clone()),
            files: files.clone(),
            stored: Some(run.id),
        })),
        Err(error) => report.skipped.push((files[0].path.clone(), error.to_string())),
    }
}

/// What a study is called whose user doesn't say: the first folder, or that of the first file.
fn study_of(paths: &[PathBuf]) -> String {
    let folder = paths.first().and_then(|path| if path.is_dir() { Some(path.as_path()) } else { path.parent() });
    let folder = folder.and_then(|folder| folder.canonicalize().ok());
    folder.and_then(|folder| Some(folder.file_name()?.display().to_string())).unwrap_or_else(|| "imported".into())
}

fn absolute(path: &Path) -> String {
    path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// What tells an imported run from all others: where its first file is, and its name among the runs of that file.
fn key(sources: &[NewSource], stored: Option<&str>) -> String {
    let path = sources.first().map_or("", |source| source.path.as_str());
    Digest::of(format!("import\0{path}\0{}", stored.unwrap_or_default()).as_bytes()).to_string()
}

/// Whether a file still begins with the bytes that were read of it.
fn begins_with(before: &NewSource) -> bool {
    let digest = digest_of_first(Path::new(&before.path), before.bytes.unsigned_abs());
    digest.is_ok_and(|digest| digest == before.digest)
}

/// The record's names of the series to the log's own, as JSON.
fn columns(names: &Names, roles: &[Role]) -> String {
    let of = names
        .all()
        .zip(roles)
        .filter_map(|((series, _), role)| Some((role.word()?, Value::from(label(names, series)))));
    Value::Object(of.collect::<Map<String, Value>>()).to_string()
}

/// A series' name, with its split.
fn label(names: &Names, series: Series) -> String {
    let name = names.name(series);
    name.split.as_ref().map_or_else(|| name.name.clone(), |split| format!("{split}/{}", name.name))
}

fn series(survey: &Survey, roles: &[Role]) -> Vec<LoggedSeries> {
    let all = survey.names.all().zip(roles).zip(&survey.series);
    all.map(|(((series, _), role), tally)| LoggedSeries {
        name: label(&survey.names, series),
        role: role.word(),
        tally: *tally,
    })
    .collect()
}

fn format_of(candidate: &Candidate, done: &[Done]) -> String {
    let program = done.iter().find_map(|done| done.program);
    program.map_or_else(|| candidate.files[0].format.word().to_owned(), str::to_owned)
}
