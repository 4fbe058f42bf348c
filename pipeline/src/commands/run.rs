//! `pipeline run`.

mod end;
pub mod forks;
mod own;

use identity::RunId;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use end::trouble;
use end::{conclude, tell_dry, work_failure, worker_failure};
use own::{store_of, sweep_scratch, take};
use serde_json::{Map, Value};
use stages::StageError;
use stages::params::{Device, Precision, Train};
use stages::protocol::Describe;

use crate::args::{How, RunArgs};
use crate::commands::judging;
use crate::commands::reading::Reader;
use crate::commands::stop::Stop;
use crate::corpus::{News, Shelf};
use crate::failure::{FAILED, Failure};
use crate::places::{Paths, corpora};
use crate::plan::{PointPlan, STAGES, run_keys};
use crate::ui::counter::Counter;
use crate::ui::format;
use crate::ui::progress::Screen;
use crate::{corpus, ui};
use engine::graph::{self, WorkerFacts};
use engine::launch::{Local, Pool};
use engine::lock;
use engine::store::Store;
use engine::work::{End, Graph, Settings, Summary, Track, Work};
use engine::worker;
use experiment::{Experiment, Point};
use record::Record;
use record::rows::{KILLED, NewExperiment, NewRun, Origin, RunRow};
use system::process::output_within;
use system::uid;

/// Runs an experiment.
pub fn run(args: &RunArgs, paths: &Paths, here: &Path) -> Result<(), Failure> {
    let stop = Stop::listen();
    let experiment = Experiment::load(&args.experiment, &args.set, here, paths.root())?;
    compute_and_tell(&experiment, &args.how, paths, here, &stop).map(|_| ())
}

/// Computes what an experiment asks for, and says what came of it.
pub fn compute_and_tell(
    experiment: &Experiment,
    how: &How,
    paths: &Paths,
    here: &Path,
    stop: &Stop,
) -> Result<Done, Failure> {
    let done = compute(experiment, how, paths, here, stop)?;
    if how.dry_run {
        tell_dry(&done.summary);
        return Ok(done);
    }
    let runs: Vec<i64> = done.rows.iter().map(|row| row.id.0).collect();
    let verdicts = judging::verdicts(&mut Reader::open(paths)?, &runs)?;
    conclude(experiment, &done, &verdicts, stop.is_asked(), paths)?;
    Ok(done)
}

/// What an experiment came to.
#[derive(Debug)]
pub struct Done {
    /// The runs of its points; none after a dry run.
    pub rows: Vec<RunRow>,
    pub summary: Summary,
}

/// Computes what an experiment asks for, as far as it is not there.
pub fn compute(experiment: &Experiment, how: &How, paths: &Paths, here: &Path, stop: &Stop) -> Result<Done, Failure> {
    // A dry run writes nothing, so that where there is no record yet it imagines an empty one.
    let mut record = match how.dry_run {
        true if paths.db.exists() => Record::open(&paths.db)?,
        true => Record::imagine()?,
        false => Record::create(&paths.db)?,
    };
    let root = store_of(paths, &mut record)?;
    tracing::info!(database = %paths.db.display(), store = %root.display(), "places");
    if paths.root() != here && !paths.named {
        ui::talk(&format!("recording in {}", paths.db.display()));
    }
    let elsewhere = "name a writable place on a local disk with --store";
    let unusable = |error: std::io::Error| Failure::refused(&root, &error, elsewhere);
    let store = Arc::new(if how.dry_run { Store::over(&root) } else { Store::open(&root).map_err(unusable)? });
    let process = uid();
    let _alive = if how.dry_run { None } else { Some(lock::enlist(&root, &process).map_err(unusable)?) };
    if !how.dry_run {
        lock::sweep(&root);
        record.sweep(|process| lock::is_alive(&root, process), KILLED)?;
        sweep_scratch(&store, &mut record, &process)?;
        store.enrol(&paths.db, &process).map_err(unusable)?;
        record.set_store_path(&paths.to_be_recorded(&root))?;
    }
    let unusable = |error| worker_failure(&error, experiment, paths);
    let program = worker::find().map_err(unusable)?;
    let describe = worker::describe(&program, &root).map_err(unusable)?;
    worker::check_stages(&program, &describe, STAGES).map_err(unusable)?;
    let facts = WorkerFacts {
        libtorch: describe.libtorch.clone(),
        cpu_capability: describe.cpu_capability.clone(),
        gpu: describe.gpu.clone(),
    };
    let experiment = experiment.settled(describe.gpu.is_some());
    let experiment = experiment.as_ref();

    let plans = plans(experiment, &store, &mut record, corpora(|name| std::env::var_os(name), here), how.dry_run)?;
    let overrides = Value::from(experiment.overrides.clone()).to_string();
    let path = experiment.path.display().to_string();
    let new = NewExperiment { name: &experiment.name, path: &path, toml: &experiment.text, overrides: &overrides };
    let keys = run_keys(&plans, &facts);
    let answered = answered(&mut record, &new, &keys)?;
    if answered.is_none() {
        look_ahead(experiment, &plans)?;
        check_hardware(experiment, &describe)?;
    }
    let rows = match answered {
        _ if how.dry_run => Vec::new(),
        Some(rows) => rows,
        None => {
            let points: Vec<NewRun> = experiment.points.iter().zip(keys).map(new_run).collect();
            record.register(&new, &points, &origin(&process, here))?
        }
    };
    if let Some(summary) = nothing_to_do(experiment, how, &mut record, &store, &rows)? {
        return Ok(Done { rows, summary });
    }
    let attached = take(&mut record, &rows, &process, &root)?;

    let settings = settings(how, experiment.points.len(), process.clone(), stop);
    let tracks = experiment.points.iter().zip(&plans).enumerate().map(|(i, (point, plan))| Track {
        plan,
        run: rows.get(i).map(|row| row.id),
        settled: rows.get(i).is_some_and(|row| row.status == "finished"),
        attached: attached.get(i).cloned().flatten(),
        label: format::point(&swept(point)),
    });
    let tracks: Vec<Track<'_>> = tracks.collect();
    let stages = graph::order(STAGES).map_err(|words| Failure::failed(format!("BUG: {words}"), ""))?;
    let pool = Pool::new(program, describe.clone(), root.join("logs"));
    let mut launcher = Local::new(Arc::clone(&store), pool);
    // From here on a first signal is a request.
    stop.begin();
    let mut screen = Screen::new();
    let graph = Graph { stages, facts };
    let work = Work::new(&mut record, Arc::clone(&store), graph, &mut launcher, settings, tracks, &mut screen);
    let summary = work.run();
    drop(screen);
    let summary = match summary {
        Ok(summary) => summary,
        Err(error) => {
            // On a disk that is full this may fail too; then the next run does it, as after a kill.
            let _ = record.hurry().and_then(|()| record.sweep(|other| other != process, &error.to_string()));
            return Err(work_failure(error));
        }
    };
    store.save_cache();
    Ok(Done { rows, summary })
}

/// The points' plans, with their corpora at hand and digested.
fn plans(
    experiment: &Experiment,
    store: &Store,
    record: &mut Record,
    folder: Option<PathBuf>,
    dry_run: bool,
) -> Result<Vec<PointPlan>, Failure> {
    let mut counter: Option<Counter> = None;
    let mut watch = |news: News<'_>| match news {
        News::Waiting { url } => ui::talk(&format!("another process fetches {url}; waiting for it")),
        News::Begins { url, from, whole } => counter = Some(Counter::new(&format!("fetching {url}"), from, whole)),
        News::Arrived(bytes) => counter.iter_mut().for_each(|counter| counter.advance(bytes)),
        News::Silent { url, since, patience } => {
            let (since, patience) = (since.as_secs(), patience.as_secs());
            let words = format!("{url}: no data for {since} s; waiting up to {patience} s");
            counter.as_ref().map_or_else(|| ui::talk(&words), |counter| counter.talk(&words));
        }
        News::Lost { url, words } => {
            counter = None;
            ui::talk(&format!("{url}: {words}; trying again"));
        }
    };
    let mut shelf = Shelf { folder, dry_run, watch: &mut watch };
    let mut plans = Vec::with_capacity(experiment.points.len());
    for point in &experiment.points {
        let mut sources = Vec::new();
        for source in &point.corpus.sources {
            let (path, digest) = corpus::obtain(source, store, &mut shelf).map_err(|refused| {
                let key = format!("corpus.{}", source.name);
                let failure = Failure::from(experiment.complain(&key, &refused.message, &refused.hint));
                if refused.is_full { Failure { code: FAILED, ..failure } } else { failure }
            })?;
            sources.push((source.name.clone(), digest, path));
        }
        let ancestors = forks::ancestors(record, experiment, point, &sources)?;
        plans.push(PointPlan::new(point, sources, ancestors));
    }
    Ok(plans)
}

/// What tells a point from its siblings.
fn swept(point: &Point) -> Map<String, Value> {
    point.swept.iter().cloned().collect()
}

fn new_run((point, run_key): (&Point, String)) -> NewRun {
    NewRun { run_key, params: point.flat(), swept: Value::from(swept(point)).to_string(), seed: point.seed }
}

/// Refuses what the corpora rule out, before anything is written down.
fn look_ahead(experiment: &Experiment, plans: &[PointPlan]) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    plans.iter().filter(|plan| seen.insert(plan.looked_at())).try_for_each(|plan| match plan.look_ahead() {
        Err(StageError::Input { key, message, hint }) => Err(experiment.complain(&key, &message, &hint).into()),
        other => Ok(other?),
    })
}

/// Refuses a training that this machine has no hardware for.
fn check_hardware(experiment: &Experiment, worker: &Describe) -> Result<(), Failure> {
    let mut trainings = experiment.points.iter().map(|point| &point.stages.train.read);
    let is_bf16 = |train: &Train| train.precision == Precision::Bf16 && train.device == Device::Cpu;
    if !worker.bf16 && trainings.clone().any(is_bf16) {
        let message = "bf16 wants a CPU that multiplies such numbers (avx512_bf16), and this one does not";
        return Err(experiment.complain("train.precision", message, "train.precision = \"f32\"").into());
    }
    if worker.gpu.is_none() && trainings.any(|train| train.device == Device::Cuda) {
        let message = "cuda wants an NVIDIA GPU with its driver, and a libtorch built for CUDA (make CUDA=1 build)";
        return Err(experiment.complain("train.device", message, "train.device = \"auto\", or \"cpu\"").into());
    }
    Ok(())
}

/// The runs of the points, where every point is answered by a study that stands: then nothing is written.
fn answered(record: &mut Record, new: &NewExperiment<'_>, keys: &[String]) -> Result<Option<Vec<RunRow>>, Failure> {
    let answers: Option<Vec<RunRow>> = record.answers(keys)?.into_iter().collect();
    let Some(rows) = answers.filter(|rows| rows.iter().all(|row| row.status == "finished")) else { return Ok(None) };
    let ids: Vec<RunId> = rows.iter().map(|row| row.id).collect();
    Ok(record.study_stands(new, &ids)?.then_some(rows))
}

/// What came of an experiment whose runs are all finished and whose objects all stand as they did; `None` where the work
/// must look closer. It says the same, for a study of a thousand points in a tenth of the time.
fn nothing_to_do(
    experiment: &Experiment,
    how: &How,
    record: &mut Record,
    store: &Store,
    rows: &[RunRow],
) -> Result<Option<Summary>, Failure> {
    let finished = !rows.is_empty() && rows.iter().all(|row| row.status == "finished" && !row.new);
    if !finished || how.dry_run || how.explain || how.until.is_some() {
        return Ok(None);
    }
    let ids: Vec<RunId> = rows.iter().map(|row| row.id).collect();
    // All points of an experiment have the same stages.
    let stages = experiment.points.first().map_or(0, |point| point.stages.tables().count());
    let held = record.held(&ids, stages)?.filter(|held| store.are_unchanged(&held.objects));
    Ok(held.map(|held| Summary {
        ends: vec![End::Finished; rows.len()],
        partial: false,
        executed: 0,
        cached: held.executions,
        pending: Vec::new(),
        later: Vec::new(),
    }))
}

/// Where runs come from that are made now.
fn origin(process: &str, here: &Path) -> Origin {
    let (git_commit, git_dirty) = git(here);
    Origin {
        process: process.to_owned(),
        host: std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned(),
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        git_commit,
        git_dirty,
    }
}

/// How long git may take. It waits for ever where a FIFO stands in place of one of its files.
const GIT: Duration = Duration::from_secs(60);

/// The commit of the working tree that is run in, and whether it was changed since; nothing where git says nothing.
fn git(here: &Path) -> (Option<String>, Option<bool>) {
    let ask = |words: &[&str]| {
        let mut git = std::process::Command::new("git");
        let said = output_within(git.args(words).current_dir(here), GIT)?;
        Some(String::from_utf8_lossy(&said).trim().to_owned())
    };
    let commit = ask(&["rev-parse", "HEAD"]);
    let dirty = commit.as_ref().and_then(|_| ask(&["status", "--porcelain", "--untracked-files=no"]));
    (commit, dirty.map(|changes| !changes.is_empty()))
}

fn settings(how: &How, points: usize, process: String, stop: &Stop) -> Settings {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = how.jobs.map_or_else(|| points.clamp(1, cores), |jobs| jobs as usize);
    Settings {
        jobs,
        threads: how.threads.unwrap_or_else(|| u32::try_from(cores / jobs).unwrap_or(1).max(1)),
        threads_asked: how.threads.is_some(),
        until: how.until.clone(),
        dry_run: how.dry_run,
        explain: how.explain,
        keep_going: how.keep_going,
        process,
        stop: stop.flag(),
    }
}
