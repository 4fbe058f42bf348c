//! What goes into the record and comes out of it, as plain values.

use std::collections::BTreeMap;

use serde_json::Value;

use identity::observations::{BaselineLoss, Evaluation, Event, SampleText};
use identity::{ExecutionId, Fields, How, ObjectId, OutputName, RunId, StageKey, Status, TrajectoryId, TrajectoryRow};

/// An experiment about to run.
#[derive(Debug, Clone)]
pub struct NewExperiment<'a> {
    pub name: &'a str,
    pub path: &'a str,
    pub toml: &'a str,
    /// JSON list of the `--set` texts.
    pub overrides: &'a str,
}

/// One point of a study about to run.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Equal keys, equal runs.
    pub run_key: String,
    /// Every parameter, dotted.
    pub params: Vec<(String, Value)>,
    /// The swept ones, as JSON.
    pub swept: String,
    pub seed: i64,
}

/// Where a run was made.
#[derive(Debug, Clone)]
pub struct Provenance {
    pub process: String,
    pub host: String,
    pub program_version: String,
    pub git_commit: Option<String>,
    pub git_dirty: Option<bool>,
    /// The absolute path of the working directory; `None` where it is not UTF-8.
    pub directory: Option<String>,
}

/// What some runs are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// How many executions served them, shared ones counted once.
    pub executions: usize,
    /// What these made, and the states that trainings resume from.
    pub objects: Vec<ObjectId>,
}

/// A run that answers a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    pub id: RunId,
    pub status: Status,
    /// The process that works on it, while it is said to be running.
    pub process: Option<String>,
    /// Whether it was made just now.
    pub new: bool,
}

/// An execution as a stage of a run has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Tells apart the executions of one stage: `100`, `100 valid`.
    pub item: String,
    /// The checkpoint that it read, where it read one.
    pub step: Option<u64>,
    pub execution: ExecutionId,
    pub how: How,
}

/// Why an execution ended whose process is gone.
pub const KILLED: &str = "the program was killed";

/// How a sitting of a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEnd {
    pub run: RunId,
    pub status: Status,
    /// Steps that it reached, where its training is done.
    pub steps: Option<u64>,
    /// How long something was computed for it.
    pub seconds: f64,
    pub error: Option<String>,
}

/// An accepted result.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    pub execution: ExecutionId,
    /// Output objects by name.
    pub outputs: BTreeMap<OutputName, ObjectId>,
    /// Small facts about the execution.
    pub report: Value,
    /// For a trajectory: the step after the last.
    pub reached: Option<u64>,
}

/// An attempt that begins.
#[derive(Debug, Clone)]
pub struct NewExecution<'a> {
    pub uid: &'a str,
    pub stage: &'a str,
    pub key: StageKey,
    pub fields: &'a Fields,
    pub process: &'a str,
    pub inputs: Vec<(String, String)>,
    /// The runs that it is for, and what it is to them: they show it while it runs, and if it fails.
    pub runs: Vec<RunId>,
    pub item: &'a str,
    pub step: Option<u64>,
    pub threads: Option<u32>,
    pub device: Option<&'a str>,
    pub cpu_capability: Option<&'a str>,
    pub libtorch: Option<&'a str>,
    pub trajectory: Option<TrajectoryRow>,
    pub from_step: Option<u64>,
}

/// What an attempt made, to be accepted.
#[derive(Debug, Clone)]
pub struct Finished<'a> {
    pub execution: ExecutionId,
    pub key: StageKey,
    pub outputs: Vec<(OutputName, ObjectId, u64)>,
    pub report: &'a Value,
    pub evaluations: &'a [Evaluation],
    pub samples: &'a [SampleText],
    pub baselines: &'a [BaselineLoss],
    pub events: &'a [Event],
    pub seconds: f64,
    pub peak_memory: Option<u64>,
    pub to_step: Option<u64>,
}

/// A trajectory about to begin.
#[derive(Debug, Clone, Copy)]
pub struct NewTrajectory<'a> {
    pub identity: TrajectoryId,
    pub fields: &'a Fields,
    /// What it keeps to from now on; a fork keeps to what its parent keeps to.
    pub threads: u32,
    pub cpu_capability: &'a str,
    /// For a fork: the trajectory and the checkpoint from which it begins.
    pub parent: Option<(TrajectoryId, u64)>,
}

/// A trajectory as it stands.
#[derive(Debug, Clone)]
pub struct Trajectory {
    pub row: TrajectoryRow,
    /// Fixed when it started.
    pub threads: u32,
    /// The vector extensions it started with.
    pub cpu_capability: String,
    /// Steps recorded: 0..steps, those before a fork by its parents.
    pub steps: u64,
    /// Its checkpoints by step: weights, and state where it is still there.
    pub checkpoints: BTreeMap<u64, (ObjectId, Option<ObjectId>)>,
}

/// A step that was computed again and came out differently.
#[derive(Debug, Clone, PartialEq)]
pub struct Mismatch {
    pub step: u64,
    pub before: String,
    pub now: String,
}
