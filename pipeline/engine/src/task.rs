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
use stages::{Baseline, Context, Outcome, StageError};

use crate::conduct::Conduct;
use crate::graph::Input;
use crate::store::{Put, Store};
use crate::worker::{self, Stopper, Worker, WorkerError};
use identity::{Digest, ObjectId, StageKey};

/// What a task tells the state machine.
#[derive(Debug)]
pub enum Message {
    /// Where the words of the worker go that is about to take the order: a file of the store's logs, and a place in it.
    Logs { key: StageKey, log: String, from: u64 },
    /// The worker took the order: how to stop it.
    Taken { key: StageKey, stopper: Stopper },
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
    /// A line for whoever watches.
    Note(StageKey, String),
    /// The end.
    Ended(StageKey, Result<Made, TaskError>),
}

/// What an execution made.
#[derive(Debug, Default)]
pub struct Made {
    pub outputs: Vec<(String, Put)>,
    pub report: Value,
    pub samples: Vec<SampleText>,
    pub baselines: Vec<Baseline>,
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
    Worker(WorkerError),
    /// The user asked to stop.
    #[error("stopped")]
    Stopped,
    /// A file of the user's is no longer what its digest says.
    #[error("{} was changed while the program ran", .0.display())]
    Changed(PathBuf),
    /// The store's disk failed.
    #[error("{}: {error}", path.display())]
    Disk { path: PathBuf, error: std::io::Error },
    /// The system has no thread to give.
    #[error("no thread could be started: {0}")]
    Thread(std::io::Error),
}

impl From<WorkerError> for TaskError {
    fn from(error: WorkerError) -> Self {
        if let WorkerError::Stopped = error { Self::Stopped } else { Self::Worker(error) }
    }
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

    /// A worker that has nothing to do. Where it logs is told before it is started: it may fail at that.
    fn take(
        &self,
        stop: &Arc<AtomicBool>,
        mut logs: impl FnMut(String, u64) -> Result<(), WorkerError>,
    ) -> Result<Worker, WorkerError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // One that was killed while it had nothing to do harms nobody.
        match std::iter::from_fn(idle).find_map(|mut worker| worker.lives().then_some(worker)) {
            Some(mut worker) => {
                logs(worker.log_name(), worker.begin_log())?;
                Ok(worker)
            }
            None => {
                let name = format!("{}.log", system::uid());
                logs(name.clone(), 0)?;
                let started = Worker::start(&self.program, &self.logs.join(name), &self.describe, stop);
                if let (Err(WorkerError::Changed(_)), Some(store)) = (&started, self.logs.parent()) {
                    worker::forget(store);
                }
                started
            }
        }
    }

    fn give_back(&self, worker: Worker) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
    }
}

/// Has `work` done on a thread of its own, with a scratch folder that goes when it ends, and tells of its end.
fn spawn(
    bench: &Bench,
    key: StageKey,
    uid: &str,
    work: impl FnOnce(&Bench, PathBuf) -> Result<Made, TaskError> + Send + 'static,
) {
    let (inner, uid) = (bench.clone(), uid.to_owned());
    let whole = move || {
        let folder = inner.store.scratch(&uid);
        let folder = folder.map_err(|error| TaskError::Disk { path: inner.store.root().to_owned(), error });
        // A panic must not leave the state machine to wait for an end that nobody tells.
        let made = catch_unwind(AssertUnwindSafe(|| folder.and_then(|folder| work(&inner, folder))))
            .unwrap_or_else(|panic| Err(StageError::Bug(words_of(&*panic)).into()));
        // Whatever is left after a kill is swept at the next start.
        let _ = std::fs::remove_dir_all(inner.store.root().join("tmp").join(&uid));
        // The receiver is gone only when the program is ending.
        let _ = inner.messages.send(Message::Ended(key, made));
    };
    if let Err(error) = std::thread::Builder::new().spawn(whole) {
        let _ = bench.messages.send(Message::Ended(key, Err(TaskError::Thread(error))));
    }
}

/// Runs a function of this process.
pub fn spawn_here(
    bench: &Bench,
    key: StageKey,
    uid: &str,
    stage: fn(&Value, &Context) -> Result<Outcome, StageError>,
    params: Value,
    inputs: &[Input],
    threads: u32,
) -> Arc<AtomicU64> {
    let paths = paths(&bench.store, inputs);
    let sources: Vec<(PathBuf, Digest)> =
        inputs.iter().filter_map(|input| Some((input.file.clone()?, input.digest))).collect();
    let progress = Arc::new(AtomicU64::new(0));
    let context_progress = Arc::clone(&progress);
    spawn(bench, key, uid, move |bench, folder| {
        let began = Instant::now();
        let (threads, stop) = (threads as usize, Arc::clone(&bench.stop));
        let context = Context { inputs: paths, folder, threads, progress: context_progress, stop };
        let outcome = match stage(&params, &context) {
            Err(StageError::Cancelled(_)) => return Err(TaskError::Stopped),
            outcome => outcome?,
        };
        // What was read must be what the key says: a file of the user's may change at any time.
        for (file, digest) in sources {
            let found = bench.store.digest_of(&file);
            if found.map_err(|error| TaskError::Disk { path: file.clone(), error })? != digest {
                return Err(TaskError::Changed(file));
            }
        }
        let outputs = outcome.outputs.into_iter().map(|output| Ok((output.name, put(&bench.store, &output.path)?)));
        Ok(Made {
            outputs: outputs.collect::<Result<_, TaskError>>()?,
            report: outcome.report,
            samples: outcome.samples,
            baselines: outcome.baselines,
            events: outcome.events,
            seconds: began.elapsed().as_secs_f64(),
            ..Made::default()
        })
    });
    progress
}

/// What a worker is asked for.
#[derive(Debug)]
pub struct WorkerTask {
    pub key: StageKey,
    pub stage: &'static str,
    pub params: Value,
    pub inputs: BTreeMap<String, PathBuf>,
    pub threads: u32,
    pub segment: Option<Segment>,
    /// Whether a training may end before its segment does, since its loss stayed non-finite.
    pub may_give_up: bool,
    /// Whether it may at a look at its valid loss.
    pub may_stop_early: bool,
}

/// Has a worker carry an order out.
pub fn spawn_worker(bench: &Bench, uid: &str, task: WorkerTask) {
    spawn(bench, task.key, uid, move |bench, folder| carry_out(bench, task, folder));
}

fn carry_out(bench: &Bench, task: WorkerTask, folder: PathBuf) -> Result<Made, TaskError> {
    let began = Instant::now();
    let key = task.key;
    let say = |message| {
        // The receiver is gone only when the program is ending, and then nobody waits for this order.
        bench.messages.send(message).map_err(|_| WorkerError::Failed("the program is ending".to_owned()))
    };
    let mut worker = bench.pool.take(&bench.stop, |log, from| say(Message::Logs { key, log, from }))?;
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
    let mut conduct = match Conduct::new(&order, task.may_give_up, task.may_stop_early) {
        Ok(conduct) => conduct,
        Err(error) => {
            bench.pool.give_back(worker);
            return Err(error.into());
        }
    };
    let messages = bench.messages.clone();
    // Whoever would read it is gone only when the program is ending.
    let tell: worker::Tell = Box::new(move |words| drop(messages.send(Message::Note(key, words))));
    worker.send(order, Some(tell))?;
    // Only now: a request to stop must not overtake the order.
    say(Message::Taken { key, stopper: worker.stopper() })?;
    let mut disk = None;
    let result = worker.follow(id, false, |mut reply| {
        conduct.hear(&mut reply).map_err(WorkerError::Astray)?;
        let message = match reply {
            Reply::Step(step) => Message::Step(key, step),
            Reply::Evaluation(evaluation) => Message::Evaluation(key, evaluation),
            Reply::Event(event) => Message::Event(key, event),
            Reply::Progress { done, whole, .. } => Message::Progress(key, thousandths(done, whole)),
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
            // These begin or end what is followed, and nobody inspects.
            Reply::Hello(_) | Reply::Done(_) | Reply::Failed { .. } | Reply::Predictions(_) => return Ok(()),
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
    conduct.end(&done, &bench.stop).map_err(WorkerError::Astray)?;
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

fn thousandths(done: u64, whole: u64) -> u64 {
    // At most 1000, since no more is done than there is.
    (u128::from(done) * 1000 / u128::from(whole.max(1))).min(1000) as u64
}

/// Where inputs lie.
pub fn paths(store: &Store, inputs: &[Input]) -> BTreeMap<String, PathBuf> {
    let place = |input: &Input| input.file.clone().unwrap_or_else(|| store.path(ObjectId(input.digest)));
    inputs.iter().map(|input| (input.name.clone(), place(input))).collect()
}

fn put(store: &Store, file: &Path) -> Result<Put, TaskError> {
    store.put(file).map_err(|error| TaskError::Disk { path: file.to_owned(), error })
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    words.unwrap_or("a stage panicked").to_owned()
}
