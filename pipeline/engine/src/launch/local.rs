//! Runs executions on this machine, each on its own thread: a function of this process, or an order to a worker. The
//! same threads put outputs into the store, so that hashing and syncing don't delay other work.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;
use stages::protocol::{Order, Reply};
use stages::{Context, StageError, StageOutcome};

use super::{Launcher, Made, Message, Observation, Pool, Task, TaskError, paths};
use crate::conduct::Conduct;
use crate::graph::Way;
use crate::store::{Put, Store};
use crate::worker::{self, Asker, WorkerError};
use identity::{Digest, OutputName, StageKey};

/// Launches executions on this machine.
#[derive(Debug)]
pub struct Local {
    bench: Bench,
    /// The progress of stages that run as functions of this process.
    shares: HashMap<StageKey, Arc<AtomicU64>>,
    /// Number of threads that each order may use.
    threads: HashMap<StageKey, Arc<AtomicU32>>,
}

/// State shared by executions.
#[derive(Debug, Clone)]
struct Bench {
    store: Arc<Store>,
    pool: Arc<Pool>,
    stop: Arc<AtomicBool>,
    /// Handles to the workers that carry out an order.
    askers: Arc<Mutex<HashMap<StageKey, Asker>>>,
}

impl Bench {
    fn askers(&self) -> MutexGuard<'_, HashMap<StageKey, Asker>> {
        self.askers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Local {
    /// A launcher with outputs in `store` and workers from `pool`.
    pub fn new(store: Arc<Store>, pool: Pool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let bench = Bench { store, pool: Arc::new(pool), stop, askers: Arc::default() };
        Self { bench, shares: HashMap::new(), threads: HashMap::new() }
    }
}

impl Launcher for Local {
    fn launch(&mut self, task: Task, to: &Sender<Message>) {
        // Executions that have ended have dropped their references.
        self.shares.retain(|_, share| Arc::strong_count(share) > 1);
        self.threads.retain(|_, threads| Arc::strong_count(threads) > 1);
        let (key, uid, outer) = (task.key, task.uid.clone(), to.clone());
        let (share, threads) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU32::new(task.threads)));
        match task.way {
            Way::Here(_) => drop(self.shares.insert(key, Arc::clone(&share))),
            Way::Worker => drop(self.threads.insert(key, Arc::clone(&threads))),
        }
        let bench = self.bench.clone();
        let whole = move || {
            let folder = bench.store.scratch(&uid);
            let folder = folder.map_err(|error| TaskError::Disk { path: bench.store.root().to_owned(), error });
            let work = |folder| match &task.way {
                Way::Here(stage) => run_here(&bench, *stage, task, folder, share),
                Way::Worker => carry_out(&bench, task, folder, &threads, &outer),
            };
            // A panic must not leave the state machine waiting for an end that is never sent.
            let made = catch_unwind(AssertUnwindSafe(|| folder.and_then(work)))
                .unwrap_or_else(|panic| Err(StageError::Bug(words_of(&*panic)).into()));
            bench.askers().remove(&key);
            // If this process is killed first, the next one removes the folder when it starts.
            let _ = std::fs::remove_dir_all(bench.store.root().join("tmp").join(&uid));
            // The receiver is gone only when the program is exiting.
            let _ = outer.send(Message::Ended(key, made));
        };
        if let Err(error) = std::thread::Builder::new().spawn(whole) {
            let _ = to.send(Message::Ended(key, Err(TaskError::Thread(error))));
        }
    }

    fn share(&self, key: StageKey) -> Option<u64> {
        self.shares.get(&key).map(|share| share.load(Ordering::Relaxed))
    }

    fn allow(&mut self, key: StageKey, threads: u32) {
        if let Some(allowed) = self.threads.get(&key) {
            allowed.store(threads, Ordering::Relaxed);
        }
    }

    fn stop(&mut self) {
        self.bench.stop.store(true, Ordering::Relaxed);
        self.bench.askers().values().for_each(Asker::stop);
    }
}

/// Runs a function of this process.
fn run_here(
    bench: &Bench,
    stage: fn(&Value, &Context) -> Result<StageOutcome, StageError>,
    task: Task,
    folder: PathBuf,
    progress: Arc<AtomicU64>,
) -> Result<Made, TaskError> {
    let began = Instant::now();
    let (inputs, stop) = (paths(&bench.store, &task.inputs), Arc::clone(&bench.stop));
    let context = Context { inputs, folder, threads: task.threads as usize, progress, stop };
    let outcome = match stage(&task.params, &context) {
        Err(StageError::Cancelled(_)) => return Err(TaskError::Stopped),
        outcome => outcome?,
    };
    // The files that were read must match the key: a user's file can change at any time.
    let sources: Vec<(PathBuf, Digest)> =
        task.inputs.into_iter().filter_map(|input| Some((input.file?, input.digest))).collect();
    for (file, digest) in sources {
        let found = bench.store.digest_of(&file);
        if found.map_err(|error| TaskError::Disk { path: file.clone(), error })? != digest {
            return Err(TaskError::Changed(file));
        }
    }
    let outputs = outcome.outputs.into_iter().map(|output| {
        let name = OutputName::new(output.name).map_err(|error| StageError::Bug(error.to_string()))?;
        Ok((name, put(&bench.store, &output.path)?))
    });
    Ok(Made {
        outputs: outputs.collect::<Result<_, TaskError>>()?,
        report: outcome.report,
        samples: outcome.samples,
        baselines: outcome.baselines,
        events: outcome.events,
        seconds: began.elapsed().as_secs_f64(),
        ..Made::default()
    })
}

/// Has a worker carry out an order, with as many threads as `allowed` currently says.
fn carry_out(
    bench: &Bench,
    task: Task,
    folder: PathBuf,
    allowed: &AtomicU32,
    to: &Sender<Message>,
) -> Result<Made, TaskError> {
    let began = Instant::now();
    let key = task.key;
    let say = |observation| {
        // The receiver is gone only when the program is exiting, and then nobody waits for this order.
        to.send(Message::Observed(key, observation)).map_err(|_| WorkerError::failed("the program is exiting"))
    };
    let mut worker = bench.pool.take(&bench.stop, |name, from| say(Observation::Log { name, from }))?;
    let order = Order {
        id: bench.pool.number(),
        stage: task.stage.to_string(),
        inputs: paths(&bench.store, &task.inputs),
        params: task.params,
        folder,
        threads: task.threads,
        segment: task.segment,
    };
    let (id, mut threads) = (order.id, order.threads);
    let mut conduct = match Conduct::new(&order, task.may_give_up, task.may_stop_early) {
        Ok(conduct) => conduct,
        Err(error) => {
            bench.pool.give_back(worker);
            return Err(error.into());
        }
    };
    let notes = to.clone();
    // The receiver is gone only when the program is exiting.
    let tell: worker::Tell = Box::new(move |words| drop(notes.send(Message::Observed(key, Observation::Note(words)))));
    worker.send(order, Some(tell))?;
    // It is registered only now, since a request to stop must not overtake the order. A request made before this found
    // no asker, so check for one here.
    let asker = worker.asker();
    bench.askers().insert(key, asker.clone());
    if bench.stop.load(Ordering::Relaxed) {
        asker.stop();
    }
    let mut disk = None;
    let result = worker.follow(id, false, |mut reply| {
        conduct.hear(&mut reply).map_err(WorkerError::Astray)?;
        // The number is sent only in answer to a message, so that the pipe of a suspended worker does not fill up.
        let now = allowed.load(Ordering::Relaxed);
        if now != threads && asker.allow(id, now).is_ok() {
            threads = now;
        }
        say(match reply {
            Reply::Step(step) => Observation::Step(step),
            Reply::Evaluation(evaluation) => Observation::Evaluation(evaluation),
            Reply::Event(event) => Observation::Event(event),
            Reply::Progress { done, whole, .. } => Observation::Progress(thousandths(done, whole)),
            Reply::Checkpoint(checkpoint) => {
                let both = put(&bench.store, &checkpoint.weights)
                    .and_then(|weights| Ok((weights, put(&bench.store, &checkpoint.state)?)));
                match both {
                    Ok((weights, state)) => Observation::Checkpoint { step: checkpoint.step, weights, state },
                    Err(error) => {
                        let words = error.to_string();
                        disk = Some(error);
                        return Err(WorkerError::failed(words));
                    }
                }
            }
            // Greetings and ends are handled by `follow`, and no predictions were requested.
            Reply::Hello(_) | Reply::Done(_) | Reply::Failed { .. } | Reply::Predictions(_) => return Ok(()),
        })
    });
    if let Some(error) = disk {
        // Dropping the worker kills it: its order can't be finished.
        return Err(error);
    }
    let done = match result {
        Ok(done) => done,
        Err(error @ WorkerError::Failed { .. }) => {
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
    // At most 1000, since `done` is at most `whole`.
    (u128::from(done) * 1000 / u128::from(whole.max(1))).min(1000) as u64
}

fn put(store: &Store, file: &Path) -> Result<Put, TaskError> {
    store.put(file).map_err(|error| TaskError::Disk { path: file.to_owned(), error })
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    words.unwrap_or("a stage panicked").to_owned()
}
