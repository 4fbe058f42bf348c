//! Rows that are written to and read from the record, as plain values.

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
    /// JSON list of the `--set` arguments.
    pub overrides: &'a str,
}

/// One point of a study about to run.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Runs with equal keys are the same run.
    pub run_key: String,
    /// Every parameter, by dotted name.
    pub params: Vec<(String, Value)>,
    /// The swept parameters, as JSON.
    pub swept: String,
    pub seed: i64,
}

/// Where a run was created.
#[derive(Debug, Clone)]
pub struct Provenance {
    pub process: String,
    pub host: String,
    pub program_version: String,
    pub git_commit: Option<String>,
    pub git_dirty: Option<bool>,
    /// The absolute path of the working directory; `None` if it is not UTF-8.
    pub directory: Option<String>,
}

/// The executions and objects of a set of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The number of executions that served them, shared ones counted once.
    pub executions: usize,
    /// Their outputs, and the checkpoints from which training resumes.
    pub objects: Vec<ObjectId>,
}

/// The run of a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    pub id: RunId,
    pub status: Status,
    /// The process that works on it, while its status is `running`.
    pub process: Option<String>,
    /// Whether it was created just now.
    pub new: bool,
}

/// An execution that serves a stage of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Distinguishes the executions of one stage: `100`, `100 valid`.
    pub item: String,
    /// The checkpoint that it read, if any.
    pub step: Option<u64>,
    pub execution: ExecutionId,
    pub how: How,
}

/// The error of an execution whose process is gone.
pub const KILLED: &str = "the program was killed";

/// How the work of one process on a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEnd {
    pub run: RunId,
    pub status: Status,
    /// The steps that it reached, if its training is done.
    pub steps: Option<u64>,
    /// The time spent computing for it.
    pub seconds: f64,
    pub error: Option<String>,
}

/// An accepted result.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    pub execution: ExecutionId,
    /// Output objects by name.
    pub outputs: BTreeMap<OutputName, ObjectId>,
    /// Facts about the execution, as JSON.
    pub report: Value,
    /// For an execution that trained: the step after the last.
    pub reached: Option<u64>,
}

/// An attempt about to begin.
#[derive(Debug, Clone)]
pub struct NewExecution<'a> {
    pub uid: &'a str,
    pub stage: &'a str,
    pub key: StageKey,
    pub fields: &'a Fields,
    pub process: &'a str,
    pub inputs: Vec<(String, String)>,
    /// The runs that it serves, which show it while it runs and if it fails; `item` and `step` are recorded for each.
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

/// What an attempt produced, to be accepted.
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
    /// The number of threads, fixed from now on like the CPU capability; a fork takes both from its parent.
    pub threads: u32,
    pub cpu_capability: &'a str,
    /// For a fork: the trajectory and the checkpoint from which it begins.
    pub parent: Option<(TrajectoryId, u64)>,
}

/// A trajectory in its current state.
#[derive(Debug, Clone)]
pub struct Trajectory {
    pub row: TrajectoryRow,
    /// The number of threads, fixed when it started.
    pub threads: u32,
    /// The vector extensions it started with.
    pub cpu_capability: String,
    /// Steps recorded: 0..steps, including those of the parents before a fork.
    pub steps: u64,
    /// Its checkpoints by step: weights, and the state unless it was pruned.
    pub checkpoints: BTreeMap<u64, (ObjectId, Option<ObjectId>)>,
}

/// A step that was recomputed with a different result.
#[derive(Debug, Clone, PartialEq)]
pub struct Mismatch {
    pub step: u64,
    pub before: String,
    pub now: String,
}
