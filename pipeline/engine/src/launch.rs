//! Where executions run: an order goes out; what is observed on the way, and what came of it, come back as messages.

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
    /// Starts an execution. All that it observes, and then its end, is sent to `to`; it ends exactly once, also where it
    /// could not be started.
    fn launch(&mut self, task: Task, to: &Sender<Message>);

    /// How far an execution is that reports nothing by itself, in thousandths.
    fn share(&self, key: StageKey) -> Option<u64>;

    /// Allows an execution so many threads from now on, as soon as it can use them; not fewer than its task says.
    fn allow(&mut self, key: StageKey, threads: u32);

    /// Asks all executions to end early, those that are launched later included.
    fn stop(&mut self);
}

/// What an execution is to compute.
#[derive(Debug)]
pub struct Task {
    /// The key of its results.
    pub key: StageKey,
    /// The execution's own name, under which its files lie while it runs.
    pub uid: String,
    /// The stage.
    pub stage: StageName,
    /// How the stage is run.
    pub way: Way,
    /// What the stage is handed.
    pub params: Value,
    /// What it reads.
    pub inputs: Vec<Input>,
    /// Threads that it begins with.
    pub threads: u32,
    /// The part of a trajectory that is wanted.
    pub segment: Option<Segment>,
    /// Whether a training may end before its segment does, since its loss stayed non-finite.
    pub may_give_up: bool,
    /// Whether it may at a look at its valid loss.
    pub may_stop_early: bool,
}

/// What is told of an execution.
#[derive(Debug)]
pub enum Message {
    /// Something was observed.
    Observed(StageKey, Observation),
    /// It has ended.
    Ended(StageKey, Result<Made, TaskError>),
}

/// What is observed while an execution runs.
#[derive(Debug)]
pub enum Observation {
    /// Where the words of the worker go that is about to take the order.
    Log {
        /// A file of the store's logs.
        name: String,
        /// Where in it they begin, in bytes.
        from: u64,
    },
    /// One optimiser step.
    Step(Step),
    /// A checkpoint whose objects are durable.
    Checkpoint {
        /// Updates done.
        step: u64,
        /// The weights.
        weights: Put,
        /// What it takes to resume from them.
        state: Put,
    },
    /// A split was scored.
    Evaluation(Evaluation),
    /// Something worth a line.
    Event(Event),
    /// Thousandths done of an execution that has no steps.
    Progress(u64),
    /// A line for whoever watches.
    Note(String),
}

/// What an execution made.
#[derive(Debug, Default)]
pub struct Made {
    /// Its outputs by name, in the store.
    pub outputs: Vec<(OutputName, Put)>,
    /// Small facts.
    pub report: Value,
    /// Texts that were sampled.
    pub samples: Vec<SampleText>,
    /// Losses of models that count.
    pub baselines: Vec<BaselineLoss>,
    /// What is worth a line.
    pub events: Vec<Event>,
    /// How long it took.
    pub seconds: f64,
    /// The most memory that its process had, in bytes.
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
    Disk {
        /// The file.
        path: PathBuf,
        /// In the system's words.
        error: std::io::Error,
    },
    /// The system has no thread to give.
    #[error("no thread could be started: {0}")]
    Thread(std::io::Error),
}

impl From<WorkerError> for TaskError {
    fn from(error: WorkerError) -> Self {
        if let WorkerError::Stopped = error { Self::Stopped } else { Self::Worker(error) }
    }
}

/// Where inputs lie.
fn paths(store: &Store, inputs: &[Input]) -> BTreeMap<String, PathBuf> {
    let place = |input: &Input| input.file.clone().unwrap_or_else(|| store.path(ObjectId(input.digest)));
    inputs.iter().map(|input| (input.name.clone(), place(input))).collect()
}
