//! One execution on a thread of its own: a function of this process, or an order to a worker. What happens is told to
//! the state machine as messages; outputs are put into the store here, so that hashing and syncing hold nobody up.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::Value;
use stages::protocol::{Describe, Evaluation, Event, Order, Reply, SampleText, Segment, Step};
use stages::{Context, Outcome, StageError};

use super::digest::StageKey;
use super::store::{Put, Store};
use super::worker::{Stopper, Worker, WorkerError};

/// What a task tells the state machine.
#[derive(Debug)]
pub enum Message {
    /// A worker took the order: how to stop it, and where its words go.
    Taken { key: StageKey, stopper: Stopper, log: String, log_from: u64 },
    /// One optimiser step.
    Step(StageKey, Step),
    /// A checkpoint whose objects are durable.
    Checkpoint { key: StageKey, step: u64, weights: Put, state: Put },
    /// A split was scored.
    Evaluation(StageKey, Evaluation),
    /// Something worth a line.
    Event(StageKey, Event),
    /// Thousandths done of an execution that has no steps.
    Progress(StageKey, u64),
    /// The end.
    Ended(StageKey, Result<Made, TaskError>),
}

/// What an execution made.
#[derive(Debug, Default)]
pub struct Made {
    pub outputs: Vec<(String, Put)>,
    pub report: Value,
    pub samples: Vec<SampleText>,
    pub events: Vec<Event>,
    pub seconds: f64,
    pub peak_memory: Option<u64>,
    /// For a trajectory: the step after the last.
    pub reached: Option<u64>,
}

/// Why an execution made nothing.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The stage said why.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The worker said why, or died.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The user asked to stop.
    #[error("stopped")]
    Stopped,
    /// The store's disk failed.
    #[error("{}: {error}", path.display())]
    Disk { path: PathBuf, error: std::io::Error },
}

/// What both kinds of task need.
#[derive(Debug, Clone)]
pub struct Bench {
    pub store: Arc<Store>,
    pub messages: Sender<Message>,
    pub stop: Arc<AtomicBool>,
    pub pool: Arc<Pool>,
}

/// Idle workers, to be used again: starting one costs a quarter of a second.
#[derive(Debug)]
pub struct Pool {
    program: PathBuf,
    describe: Describe,
    logs: PathBuf,
    idle: Mutex<Vec<Worker>>,
    next: AtomicU64,
}

impl Pool {
    /// A pool of workers that run `program`, which described itself so.
    pub fn new(program: PathBuf, describe: Describe, logs: PathBuf) -> Self {
        Self { program, describe, logs, idle: Mutex::new(Vec::new()), next: AtomicU64::new(1) }
    }

    fn take(&self) -> Result<Worker, WorkerError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(worker) => Ok(worker),
            None => {
                let log = self.logs.join(format!("{}.log", uuid::Uuid::now_v7()));
                Worker::start(&self.program, &log, &self.describe)
            }
        }
    }

    fn give_back(&self, worker: Worker) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
    }
}

/// Runs a function of this process.
pub fn spawn_here(
    bench: &Bench,
    key: StageKey,
    uid: &str,
    stage: fn(&Value, &Context) -> Result<Outcome, StageError>,
    params: Value,
    inputs: BTreeMap<String, PathBuf>,
) -> Arc<AtomicU64> {
    let bench = bench.clone();
    let uid = uid.to_owned();
    let progress = Arc::new(AtomicU64::new(0));
    let context_progress = Arc::clone(&progress);
    std::thread::spawn(move || {
        let began = Instant::now();
        let work = || -> Result<Made, TaskError> {
            let folder = scratch(&bench.store, &uid)?;
            let context =
                Context { inputs, folder: folder.clone(), progress: context_progress, stop: Arc::clone(&bench.stop) };
            let outcome = catch_unwind(AssertUnwindSafe(|| stage(&params, &context)))
                .unwrap_or_else(|panic| Err(StageError::Bug(words_of(&*panic))));
            let outcome = match outcome {
                Err(StageError::Cancelled(_)) => return Err(TaskError::Stopped),
                outcome => outcome?,
            };
            let outputs = outcome.outputs.into_iter().map(|output| Ok((output.name, put(&bench.store, &output.path)?)));
            Ok(Made {
                outputs: outputs.collect::<Result<_, TaskError>>()?,
                report: outcome.report,
                samples: outcome.samples,
                events: outcome.events,
                ..Made::default()
            })
        };
        let made = work().map(|made| Made { seconds: began.elapsed().as_secs_f64(), ..made });
        clean(&bench.store, &uid);
        // The receiver is gone only when the program is ending.
        let _ = bench.messages.send(Message::Ended(key, made));
    });
    progress
}

/// What a worker is asked for.
#[derive(Debug)]
pub struct WorkerTask {
    pub key: StageKey,
    pub uid: String,
    pub stage: &'static str,
    pub params: Value,
    pub inputs: BTreeMap<String, PathBuf>,
    pub threads: u32,
    pub segment: Option<Segment>,
}

/// Has a worker carry an order out.
pub fn spawn_worker(bench: &Bench, task: WorkerTask) {
    let bench = bench.clone();
    std::thread::spawn(move || {
        let (key, uid) = (task.key, task.uid.clone());
        let made = carry_out(&bench, task);
        clean(&bench.store, &uid);
        let _ = bench.messages.send(Message::Ended(key, made));
    });
}

fn carry_out(bench: &Bench, task: WorkerTask) -> Result<Made, TaskError> {
    let began = Instant::now();
    let key = task.key;
    let say = |message| {
        // The receiver is gone only when the program is ending, and then nobody waits for this order.
        bench.messages.send(message).map_err(|_| WorkerError::Failed("the program is ending".to_owned()))
    };
    let folder = scratch(&bench.store, &task.uid)?;
    let mut worker = bench.pool.take()?;
    let log_from = worker.log_position();
    let order = Order {
        id: bench.pool.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
        stage: task.stage.to_owned(),
        params: task.params,
        inputs: task.inputs,
        folder,
        threads: task.threads,
        segment: task.segment,
    };
    let id = order.id;
    worker.send(order)?;
    // Only now: a request to stop must not overtake the order.
    say(Message::Taken { key, stopper: worker.stopper(), log: worker.log_name(), log_from })?;
    let mut disk = None;
    let result = worker.follow(id, |reply| {
        let message = match reply {
            Reply::Step(step) => Message::Step(key, step),
            Reply::Evaluation(evaluation) => Message::Evaluation(key, evaluation),
            Reply::Event(event) => Message::Event(key, event),
            Reply::Progress { done, whole, .. } => Message::Progress(key, done * 1000 / whole.max(1)),
            Reply::Checkpoint(checkpoint) => {
                let both = put(&bench.store, &checkpoint.weights)
                    .and_then(|weights| Ok((weights, put(&bench.store, &checkpoint.state)?)));
                match both {
                    Ok((weights, state)) => Message::Checkpoint { key, step: checkpoint.step, weights, state },
                    Err(error) => {
                        let words = error.to_string();
                        disk = Some(error);
                        return Err(WorkerError::Failed(words));
                    }
                }
            }
            // Hello came before, Done and Failed end the loop; one of an older order is none of ours.
            Reply::Hello(_) | Reply::Done(_) | Reply::Failed { .. } => return Ok(()),
        };
        say(message)
    });
    if let Some(error) = disk {
        // Dropped, the worker is ended: its order can't be finished.
        return Err(error);
    }
    let done = match result {
        Ok(done) => done,
        Err(error @ WorkerError::Failed(_)) => {
            bench.pool.give_back(worker);
            return Err(error.into());
        }
        Err(error) => return Err(error.into()),
    };
    bench.pool.give_back(worker);
    if done.stopped {
        return Err(TaskError::Stopped);
    }
    Ok(Made {
        report: done.report,
        seconds: began.elapsed().as_secs_f64(),
        peak_memory: Some(done.peak_memory),
        reached: done.reached,
        ..Made::default()
    })
}

fn scratch(store: &Store, uid: &str) -> Result<PathBuf, TaskError> {
    store.scratch(uid).map_err(|error| TaskError::Disk { path: store.root().to_owned(), error })
}

fn put(store: &Store, file: &Path) -> Result<Put, TaskError> {
    store.put(file).map_err(|error| TaskError::Disk { path: file.to_owned(), error })
}

/// Removes an execution's scratch folder; whatever is left after a kill is swept at the next start.
fn clean(store: &Store, uid: &str) {
    let _ = std::fs::remove_dir_all(store.root().join("tmp").join(uid));
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    words.unwrap_or("a stage panicked").to_owned()
}
