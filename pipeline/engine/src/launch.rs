//! Decides where executions run. A launcher takes tasks, and sends back observations and results as messages.

mod local;
mod pool;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::Sender;

use serde_json::Value;
use stages::StageError;
use stages::protocol::Segment;

use crate::graph::{Input, Way};
use crate::store::{Put, Store};
use crate::worker::WorkerError;
use identity::observations::{BaselineLoss, Evaluation, Event, SampleText, Step};
use identity::{ObjectId, OutputName, StageKey, StageName};

pub use local::Local;
pub use pool::Pool;

/// Runs executions somewhere: in this process and its workers ([`Local`]), or on other machines.
pub trait Launcher {
    /// Starts an execution. Its observations, then its end, are sent to `to`. It ends exactly once, even if it could
    /// not be started.
    fn launch(&mut self, task: Task, to: &Sender<Message>);

    /// The progress, in thousandths, of an execution that doesn't report it by messages.
    fn share(&self, key: StageKey) -> Option<u64>;

    /// Allows an execution this many threads from now on; the number is never lower than that of its task.
    fn allow(&mut self, key: StageKey, threads: u32);

    /// Asks all executions to end early, including those launched later.
    fn stop(&mut self);
}

/// The task of an execution.
#[derive(Debug)]
pub struct Task {
    /// The key of its results.
    pub key: StageKey,
    /// The execution's unique name, which also names its scratch folder.
    pub uid: String,
    /// The stage.
    pub stage: StageName,
    /// How the stage is run.
    pub way: Way,
    /// The stage's parameters.
    pub params: Value,
    /// Its input files.
    pub inputs: Vec<Input>,
    /// Number of threads at the start.
    pub threads: u32,
    /// The part of a trajectory to compute.
    pub segment: Option<Segment>,
    /// Whether NaN or infinite losses may end training before the end of the segment.
    pub may_give_up: bool,
    /// Whether an evaluation on the validation split may do so.
    pub may_stop_early: bool,
}

/// A message about an execution.
#[derive(Debug)]
pub enum Message {
    /// An observation was made.
    Observed(StageKey, Observation),
    /// It has ended.
    Ended(StageKey, Result<Made, TaskError>),
}

/// An observation of a running execution.
#[derive(Debug)]
pub enum Observation {
    /// Where the worker that is about to take the order writes its log.
    Log {
        /// A file of the store's logs.
        name: String,
        /// The offset, in bytes, at which the part for this order begins.
        from: u64,
    },
    /// One optimiser step.
    Step(Step),
    /// A checkpoint whose objects are durable.
    Checkpoint {
        /// The number of updates done.
        step: u64,
        /// The weights.
        weights: Put,
        /// The state needed to resume.
        state: Put,
    },
    /// A split was evaluated.
    Evaluation(Evaluation),
    /// Something worth recording.
    Event(Event),
    /// Progress in thousandths, of an execution without steps.
    Progress(u64),
    /// A message for the user.
    Note(String),
}

/// The results of an execution.
#[derive(Debug, Default)]
pub struct Made {
    /// Its outputs by name, in the store.
    pub outputs: Vec<(OutputName, Put)>,
    /// Facts about the execution, as JSON.
    pub report: Value,
    /// Samples.
    pub samples: Vec<SampleText>,
    /// Losses of n-gram models.
    pub baselines: Vec<BaselineLoss>,
    /// Events.
    pub events: Vec<Event>,
    /// Duration.
    pub seconds: f64,
    /// Peak memory of its process, in bytes.
    pub peak_memory: Option<u64>,
    /// For a stage that trains: the step after the last.
    pub reached: Option<u64>,
}

/// Why an execution has no results.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The stage failed.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The worker failed or died.
    #[error(transparent)]
    Worker(WorkerError),
    /// The user asked to stop.
    #[error("stopped")]
    Stopped,
    /// A file of the user no longer matches its digest.
    #[error("{} changed while the program was running", .0.display())]
    Changed(PathBuf),
    /// The store's disk failed.
    #[error("{}: {error}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// The system could not start a thread.
    #[error("can't start a thread: {0}")]
    Thread(std::io::Error),
}

impl From<WorkerError> for TaskError {
    fn from(error: WorkerError) -> Self {
        if let WorkerError::Stopped = error { Self::Stopped } else { Self::Worker(error) }
    }
}

/// The paths of inputs by name.
fn paths(store: &Store, inputs: &[Input]) -> BTreeMap<String, PathBuf> {
    let place = |input: &Input| input.file.clone().unwrap_or_else(|| store.path(ObjectId(input.digest)));
    inputs.iter().map(|input| (input.name.clone(), place(input))).collect()
}
