//! What the state machine is told, and what it tells.

use std::path::PathBuf;
use std::sync::Arc;

use crate::graph::Plan;
use crate::stop::Stop;
use identity::{RunId, StageKey, StageName};
use record::RecordError;
use record::rows::RunRow;

/// How the work is to be done.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Executions side by side.
    pub jobs: usize,
    /// Threads that an execution by the worker begins with, where a trajectory does not say otherwise.
    pub threads: u32,
    /// Whether the user asked for them: then no execution ever has more.
    pub threads_asked: bool,
    /// Cores that executions share.
    pub cores: u32,
    /// The last stage to compute.
    pub until: Option<StageName>,
    /// Compute nothing.
    pub dry_run: bool,
    /// Say why each job is computed.
    pub explain: bool,
    /// Go on with other points when one fails.
    pub keep_going: bool,
    /// This process.
    pub process: String,
    /// Asks to stop for the user.
    pub stop: Arc<dyn Stop>,
}

/// What the state machine tells whoever watches.
pub trait WorkObserver {
    /// A job begins.
    fn started(&mut self, job: &JobLabel<'_>);
    /// A job is so far.
    fn progress(&mut self, job: &JobLabel<'_>, progress: &Progress);
    /// A job ended; `None` when it was accepted.
    fn ended(&mut self, job: &JobLabel<'_>, seconds: f64, error: Option<&str>);
    /// Why a job is computed.
    fn explained(&mut self, job: &JobLabel<'_>, why: &[String]);
    /// Anything else that a user should read.
    fn note(&mut self, text: &str);
    /// Called ten times a second: jobs that are done, and that are known so far.
    fn tick(&mut self, done: usize, known: usize);
}

/// A job as people know it.
#[derive(Debug, Clone)]
pub struct JobLabel<'a> {
    /// Its stage key.
    pub key: StageKey,
    /// Its stage.
    pub stage: &'a StageName,
    /// What tells it from other executions of that stage for one point.
    pub item: &'a str,
    /// The point that asked first.
    pub label: &'a str,
    /// How many points ask.
    pub users: usize,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// A training.
    Steps {
        /// The first step of this execution.
        from: u64,
        /// The newest.
        step: u64,
        /// The step after the last.
        to: u64,
        /// The newest step's loss.
        loss: f64,
        /// The tokens of this execution's steps so far.
        tokens: u64,
    },
    /// Anything else, in thousandths.
    Share(u64),
}

/// A point on its way.
pub struct Track<'a> {
    /// What it asks of each stage.
    pub plan: &'a dyn Plan,
    /// Its run; none in a dry run.
    pub run: Option<RunId>,
    /// Whether its run was finished before: then nothing is written about it unless something is executed.
    pub settled: bool,
    /// Its run, where another living process works on it, so that its end is that one's to write.
    pub attached: Option<RunRow>,
    /// What tells it from its siblings.
    pub label: String,
}

/// How a point ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Every stage is accepted.
    Finished,
    /// Something failed; with the words, and the experiment's key that is at fault, if one is.
    Failed {
        /// What is wrong.
        message: String,
        /// The experiment's key that is at fault.
        key: Option<String>,
        /// What could be done.
        hint: String,
    },
    /// The user, or a failure elsewhere, stopped it before its end; or something from outside did, and the cause says so.
    Interrupted {
        /// What stopped it from outside.
        cause: Option<Interruption>,
    },
}

/// What stopped a point from outside: a worker was killed, a disk is full. Nothing is wrong with what was computed, so the
/// run keeps its number and resumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interruption {
    /// What happened.
    pub message: String,
    /// What to do about it, before the same command is given again.
    pub hint: String,
}

/// What came of it.
#[derive(Debug)]
pub struct WorkSummary {
    /// How each point ended, in their order.
    pub ends: Vec<End>,
    /// Whether stages were left out as asked, so that a point whose end is `Finished` is not.
    pub partial: bool,
    /// Jobs that were executed.
    pub executed: usize,
    /// Jobs whose results were there.
    pub cached: usize,
    /// In a dry run: jobs that would be executed, in words.
    pub pending: Vec<String>,
    /// In a dry run: stages that come after them, each with the number of points whose keys are not known yet.
    pub later: Vec<(StageName, usize)>,
}

/// What can end the work as a whole.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The database.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The store.
    #[error("{}: {error}", path.display())]
    Store {
        /// The file or folder that the system refuses.
        path: PathBuf,
        /// In the system's words.
        error: std::io::Error,
    },
    /// A training kept less than it was asked to.
    #[error("BUG: checkpoint {0} is to be kept and was never written")]
    NoCheckpoint(u64),
    /// The store's disk.
    #[error("the store failed: {0}")]
    Disk(#[from] std::io::Error),
    /// A file that the work stands on.
    #[error("{}: removed or replaced while the program ran", .0.display())]
    Gone(PathBuf),
}
