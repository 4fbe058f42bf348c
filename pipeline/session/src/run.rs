//! Computes the parts of an experiment that are not cached.

mod ahead;
mod answered;
pub(crate) mod forks;
mod how;
mod origin;
mod own;
pub(crate) mod worker;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use ahead::{check_hardware, look_ahead};
use answered::{answered, nothing_to_do};
pub use how::RunOptions;
pub(crate) use origin::origin;
use own::{store_of, sweep_scratch, take};
use serde_json::{Map, Value};

use crate::corpus::{self, Shelf};
use crate::failure::{Failure, FailureKind};
use crate::places::corpora;
use crate::plan::{FileAtHand, PointPlan, built_in, run_keys};
use crate::{Session, updated};
use engine::graph::{self, Stage};
use engine::launch::{Local, Pool};
use engine::lock::{self, Lock};
use engine::store::Store;
use engine::work::{Graph, Track, Work, WorkSummary};
use experiment::{Corpus, CorpusFile, Experiment, Point};
use identity::{Digest, Status};
use record::Record;
use record::rows::{KILLED, NewExperiment, NewRun, RunRow};
use system::uid;

/// The result of computing an experiment.
#[derive(Debug)]
pub struct Computed {
    /// The runs of its points; empty after a dry run.
    pub rows: Vec<RunRow>,
    /// What was computed and what was cached.
    pub summary: WorkSummary,
}

/// What a computation keeps open.
struct Opened {
    /// Held while this process works on runs; `None` in a dry run, which works on none.
    _alive: Option<Lock>,
    process: String,
    store: Arc<Store>,
    root: PathBuf,
    record: Record,
}

impl Session<'_> {
    /// Computes the parts of an experiment that are not cached.
    ///
    /// # Errors
    /// When the input is wrong, or the work failed as a whole. How each point ended is in the summary.
    pub fn compute(&mut self, experiment: &Experiment, how: &RunOptions) -> Result<Computed, Failure> {
        let Self { paths, here, .. } = *self;
        let stages = built_in();
        let mut opened = self.open(how)?;
        let greeted = worker::greet(&opened.root, &stages);
        let (program, describe) =
            greeted.map_err(|error| worker::unusable(&error, || self.watch.resumes(experiment, paths)))?;
        let facts = worker::facts(&describe);
        let experiment = experiment.settled(describe.gpu.is_some());
        let experiment = experiment.as_ref();

        let plans = self.plans(experiment, &stages, &mut opened, how.dry_run)?;
        let Opened { process, store, root, record, .. } = &mut opened;
        let overrides = Value::from(experiment.overrides.clone()).to_string();
        let path = experiment.path.display().to_string();
        let new = NewExperiment { name: &experiment.name, path: &path, toml: &experiment.text, overrides: &overrides };
        let keys = run_keys(&plans, &facts);
        let answered = answered(record, &new, &keys)?;
        if answered.is_none() {
            look_ahead(experiment, &plans)?;
            check_hardware(experiment, &describe)?;
        }
        let rows = match answered {
            _ if how.dry_run => Vec::new(),
            Some(rows) => rows,
            None => {
                let points: Vec<NewRun> = experiment.points.iter().zip(keys).map(new_run).collect();
                record.register(&new, &points, &origin(process, here))?
            }
        };
        if let Some(summary) = nothing_to_do(experiment, how, record, store, &rows)? {
            return Ok(Computed { rows, summary });
        }
        let attached = take(record, &rows, process, root)?;
        let tracks = experiment.points.iter().zip(&plans).enumerate().map(|(i, (point, plan))| Track {
            plan,
            run: rows.get(i).map(|row| row.id),
            settled: rows.get(i).is_some_and(|row| row.status == Status::Finished),
            attached: attached.get(i).cloned().flatten(),
            label: self.watch.label(point),
        });
        let tracks = tracks.collect();
        let ordered = graph::order(&stages).map_err(|words| Failure::failed(format!("BUG: {words}"), ""))?;
        let pool = Pool::new(program, describe, root.join("logs"));
        let summary = self.work(how, tracks, Graph { stages: ordered, facts }, pool, &mut opened)?;
        Ok(Computed { rows, summary })
    }

    /// Opens the record and the store, and cleans up after dead processes.
    fn open(&mut self, how: &RunOptions) -> Result<Opened, Failure> {
        let paths = self.paths;
        // A dry run writes nothing: if there is no record yet, it uses an empty one in memory.
        let mut record = match how.dry_run {
            true if paths.db.exists() => updated(Record::open(&paths.db)?, self.watch),
            true => Record::imagine()?,
            false => updated(Record::create(&paths.db)?, self.watch),
        };
        let root = store_of(paths, &mut record)?;
        tracing::info!(database = %paths.db.display(), store = %root.display(), "places");
        if paths.root() != self.here && !paths.named {
            self.watch.note(&format!("recording to {}", paths.db.display()));
        }
        let elsewhere = "name a writable path on a local disk with --store";
        let unusable = |error: std::io::Error| Failure::refused(&root, &error, elsewhere);
        let store = Arc::new(if how.dry_run { Store::over(&root) } else { Store::open(&root).map_err(unusable)? });
        let process = uid();
        let alive = if how.dry_run { None } else { Some(lock::enlist(&root, &process).map_err(unusable)?) };
        if !how.dry_run {
            lock::sweep(&root);
            record.sweep(|process| lock::is_alive(&root, process), KILLED)?;
            sweep_scratch(&store, &mut record, &process)?;
            store.enrol(&paths.db, &process).map_err(unusable)?;
            record.set_store_path(&paths.to_be_recorded(&root))?;
        }
        Ok(Opened { _alive: alive, process, store, root, record })
    }

    /// The plans of the points. Also obtains their corpora and checks the digests.
    fn plans(
        &mut self,
        experiment: &Experiment,
        stages: &Arc<[Stage]>,
        opened: &mut Opened,
        dry_run: bool,
    ) -> Result<Vec<PointPlan>, Failure> {
        let folder = corpora(|name| std::env::var_os(name), self.here);
        let mut told = self.watch.fetches();
        let mut shelf = Shelf { folder, dry_run, watch: &mut *told };
        let mut plans = Vec::with_capacity(experiment.points.len());
        let mut files: Vec<(&CorpusFile, (PathBuf, Digest))> = Vec::new();
        let mut corpora: HashMap<*const Corpus, Arc<[FileAtHand]>> = HashMap::new();
        for point in &experiment.points {
            let sources = match corpora.get(&Arc::as_ptr(&point.corpus)) {
                Some(found) => Arc::clone(found),
                None => {
                    let mut sources = Vec::new();
                    for source in &point.corpus.sources {
                        // Different corpora can share files.
                        let (path, digest) = match files.iter().find(|(of, _)| *of == source) {
                            Some((_, found)) => found.clone(),
                            None => {
                                let found = corpus::obtain(source, &opened.store, &mut shelf)
                                    .map_err(|refused| unobtained(experiment, source, &refused))?;
                                files.push((source, found.clone()));
                                found
                            }
                        };
                        sources.push((source.name.clone(), digest, path));
                    }
                    let sources: Arc<[_]> = sources.into();
                    corpora.insert(Arc::as_ptr(&point.corpus), Arc::clone(&sources));
                    sources
                }
            };
            let ancestors = forks::ancestors(&mut opened.record, experiment, point, &sources)?;
            plans.push(PointPlan::new(point, Arc::clone(stages), sources, ancestors));
        }
        Ok(plans)
    }

    /// Hands the work to the engine. From here on, the first signal is a request to stop.
    fn work(
        &mut self,
        how: &RunOptions,
        tracks: Vec<Track<'_>>,
        graph: Graph,
        pool: Pool,
        opened: &mut Opened,
    ) -> Result<WorkSummary, Failure> {
        let Opened { process, store, record, .. } = opened;
        let settings = how.settings(tracks.len(), process.clone(), self.interrupt);
        let mut launcher = Local::new(Arc::clone(store), pool);
        self.interrupt.listen();
        let mut watch = self.watch.work();
        let work = Work::new(record, Arc::clone(store), graph, &mut launcher, settings, tracks, &mut *watch);
        let summary = work.run();
        drop(watch);
        match summary {
            Ok(summary) => {
                store.save_cache();
                Ok(summary)
            }
            Err(error) => {
                // This can fail too, for example because the disk is full. Then the next process cleans up, as after a
                // kill.
                let _ = record.hurry().and_then(|()| record.sweep(|other| other != process, &error.to_string()));
                Err(error.into())
            }
        }
    }
}

/// The failure to obtain a corpus file, with the line of its key in the experiment.
fn unobtained(experiment: &Experiment, source: &CorpusFile, refused: &corpus::Refused) -> Failure {
    let failure = experiment.complain(&format!("corpus.{}", source.name), &refused.message, &refused.hint).into();
    if refused.is_full { Failure { kind: FailureKind::Failed, ..failure } } else { failure }
}

fn new_run((point, run_key): (&Point, String)) -> NewRun {
    let swept: Map<String, Value> = point.swept.iter().cloned().collect();
    NewRun { run_key, params: point.flat(), swept: Value::from(swept).to_string(), seed: point.seed }
}
