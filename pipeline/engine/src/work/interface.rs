//! The interface of the state machine: settings, points, progress and results.

use std::path::PathBuf;
use std::sync::Arc;

use crate::graph::Plan;
use crate::stop::Stop;
use identity::{RunId, StageKey, StageName};
use record::RecordError;
use record::rows::RunRow;

/// Settings of the work.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Maximum number of concurrent executions.
    pub jobs: usize,
    /// Threads per worker execution, unless the trajectory started with another number.
    pub threads: u32,
    /// Whether the user chose the number of threads; no execution then gets more.
    pub threads_asked: bool,
    /// Cores shared by all executions.
    pub cores: u32,
    /// The last stage to compute.
    pub until: Option<StageName>,
    /// Only plan, without computing anything.
    pub dry_run: bool,
    /// Explain why each job is computed.
    pub explain: bool,
    /// Continue with other points when one fails.
    pub keep_going: bool,
    /// The identifier of this process.
    pub process: String,
    /// The user's requests to stop.
    pub stop: Arc<dyn Stop>,
}

/// Observes the state machine.
pub trait WorkObserver {
    /// A job started.
    fn started(&mut self, job: &JobLabel<'_>);
    /// A job made progress.
    fn progress(&mut self, job: &JobLabel<'_>, progress: &Progress);
    /// A job ended; `error` is `None` if it was accepted.
    fn ended(&mut self, job: &JobLabel<'_>, seconds: f64, error: Option<&str>);
    /// Why a job is computed.
    fn explained(&mut self, job: &JobLabel<'_>, why: &[String]);
    /// A message for the user.
    fn note(&mut self, text: &str);
    /// Called ten times a second with the number of jobs done and of jobs known so far.
    fn tick(&mut self, done: usize, known: usize);
}

/// A job, for display.
#[derive(Debug, Clone)]
pub struct JobLabel<'a> {
    /// Its stage key.
    pub key: StageKey,
    /// Its stage.
    pub stage: &'a StageName,
    /// Distinguishes it from other executions of the stage for the same point.
    pub item: &'a str,
    /// The label of the first point that requested it.
    pub label: &'a str,
    /// Number of points that requested it.
    pub users: usize,
}

/// The progress of a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// The progress of a training run.
    Steps {
        /// The first step of this execution.
        from: u64,
        /// The newest step.
        step: u64,
        /// The step after the last.
        to: u64,
        /// The loss of the newest step.
        loss: f64,
        /// Tokens of this execution's steps so far.
        tokens: u64,
    },
    /// The progress of any other job, in thousandths.
    Share(u64),
}

/// A point of a study, with its run.
pub struct Track<'a> {
    /// What it requires of each stage.
    pub plan: &'a dyn Plan,
    /// Its run; none in a dry run.
    pub run: Option<RunId>,
    /// Whether its run was already finished; nothing is then recorded about the run unless something is executed.
    pub settled: bool,
    /// Its run, if another living process is working on it and will record its end.
    pub attached: Option<RunRow>,
    /// Distinguishes it from the other points.
    pub label: String,
}

/// How a point ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Every stage is accepted.
    Finished,
    /// Something failed.
    Failed {
        /// What is wrong.
        message: String,
        /// The experiment's key at fault, if any.
        key: Option<String>,
        /// What to do about it.
        hint: String,
    },
    /// Stopped before its end: by the user or by a failure of another point, or, if there is a cause, from outside.
    Interrupted {
        /// What stopped it from outside.
        cause: Option<Interruption>,
    },
}

/// What stopped a point from outside, such as a killed worker or a full disk. What was computed is sound, so the run
/// keeps its number and resumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interruption {
    /// What happened.
    pub message: String,
    /// What to do before running the same command again.
    pub hint: String,
}

/// The result of the work.
#[derive(Debug)]
pub struct WorkSummary {
    /// The ends of all points, in order.
    pub ends: Vec<End>,
    /// Whether `until` left stages out, so that points whose end is `Finished` are not complete.
    pub partial: bool,
    /// Number of jobs executed.
    pub executed: usize,
    /// Number of jobs whose results were cached.
    pub cached: usize,
    /// In a dry run: descriptions of the jobs that would be executed.
    pub pending: Vec<String>,
    /// In a dry run: later stages, each with the number of points whose keys are not known yet.
    pub later: Vec<(StageName, usize)>,
}

/// An error that ends the work as a whole.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The database failed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file or folder of the store failed.
    #[error("{}: {error}", path.display())]
    Store {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// A checkpoint that must be kept is missing.
    #[error("BUG: checkpoint {0} was never written")]
    NoCheckpoint(u64),
    /// The store's disk failed.
    #[error("the store failed: {0}")]
    Disk(#[from] std::io::Error),
    /// A file that must stay in place was removed or replaced.
    #[error("{}: removed or replaced while the program was running", .0.display())]
    Gone(PathBuf),
}
