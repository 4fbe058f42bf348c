//! The input and output of a stage that runs in this process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use identity::observations::{BaselineLoss, Event, SampleText};
use serde_json::Value;

/// What a stage can read, and where it can write.
#[derive(Debug)]
pub struct Context {
    /// Input objects by the name that the plan gives them (`"train"`, `"vocab"`); the files are read-only.
    pub inputs: BTreeMap<String, PathBuf>,
    /// An empty folder for this execution's outputs, on the store's filesystem.
    pub folder: PathBuf,
    /// The number of threads that the stage may use; its outputs don't depend on it.
    pub threads: usize,
    /// How many thousandths of the work are done so far, for showing progress.
    pub progress: Arc<AtomicU64>,
    /// Set when the user asks to stop; a stage checks it at least a few times a second.
    pub stop: Arc<AtomicBool>,
}

/// The error of a stage that ended because the user asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped")]
pub struct Cancelled;

impl Context {
    /// The path of a named input; an input that the plan did not pass is a bug.
    pub fn input(&self, name: &str) -> Result<&Path, StageError> {
        self.inputs.get(name).map(PathBuf::as_path).ok_or_else(|| StageError::Bug(format!("no input named {name}")))
    }

    /// Reports progress: `done` of `whole`, in any unit.
    pub fn advance(&self, done: u64, whole: u64) {
        self.progress.store(done.saturating_mul(1000) / whole.max(1), Ordering::Relaxed);
    }

    /// Fails with [`Cancelled`] if the user has asked to stop, so that the stage ends early.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.stop.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
    }
}

/// One output file of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The name by which later stages refer to it.
    pub name: String,
    /// Where the stage wrote it, inside [`Context::folder`].
    pub path: PathBuf,
}

/// The results of a stage.
#[derive(Debug, Default)]
pub struct StageOutcome {
    /// Files for the store.
    pub outputs: Vec<Output>,
    /// Small facts about the execution (counts, coverage, entropy): a JSON object, recorded with it.
    pub report: Value,
    /// Samples; only from the stage `sample`.
    pub samples: Vec<SampleText>,
    /// Losses of n-gram models; only from the stage `baselines`.
    pub baselines: Vec<BaselineLoss>,
    /// Anything worth recording as an event.
    pub events: Vec<Event>,
}

impl StageOutcome {
    /// Adds the output `name`, written at `path`.
    pub fn output(&mut self, name: &str, path: PathBuf) {
        self.outputs.push(Output { name: name.to_owned(), path });
    }
}

/// Why a stage failed.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The user's input is at fault, in a way that only reading the corpus reveals. `key` names the experiment's key
    /// (`batch.size`, `corpus.text`), so that the message can point at its line.
    #[error("{message}")]
    Input {
        /// The dotted key at fault.
        key: String,
        /// One line: what is wrong, where, what is allowed.
        message: String,
        /// What to type instead; may be empty.
        hint: String,
    },
    /// A file could not be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// An input object breaks its format.
    #[error("{}: {message}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// A state that can't occur.
    #[error("BUG: {0}")]
    Bug(String),
}

impl StageError {
    /// Wraps a system error about `path`.
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |error| Self::Io { path: path.to_owned(), error }
    }

    /// The object at `path` breaks its format.
    pub fn format(path: &Path, message: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), message: message.into() }
    }

    /// The value of `key` is at fault.
    pub fn input(key: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Input { key: key.to_owned(), message: message.into(), hint: hint.into() }
    }
}
