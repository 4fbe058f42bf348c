//! What a stage that runs in this process is handed, and what it gives back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use identity::observations::{BaselineLoss, Event, SampleText};
use serde_json::Value;

/// What a stage may read and where it may write.
#[derive(Debug)]
pub struct Context {
    /// Input objects by the name that the plan gives them (`"train"`, `"vocab"`); the files are read-only.
    pub inputs: BTreeMap<String, PathBuf>,
    /// An empty folder for this execution's outputs, on the store's filesystem.
    pub folder: PathBuf,
    /// Threads that the stage may keep busy; what it makes does not depend on them.
    pub threads: usize,
    /// Bytes, tokens or samples done so far, in thousandths of the whole: for progress only.
    pub progress: Arc<AtomicU64>,
    /// Set when the user asked to stop; a stage looks at it at least a few times a second.
    pub stop: Arc<AtomicBool>,
}

/// The user asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped")]
pub struct Cancelled;

impl Context {
    /// The path of a named input.
    ///
    /// # Errors
    /// When the plan handed over no such input, which is a fault of the plan.
    pub fn input(&self, name: &str) -> Result<&Path, StageError> {
        self.inputs.get(name).map(PathBuf::as_path).ok_or_else(|| StageError::Bug(format!("no input named {name}")))
    }

    /// Says how far the stage is: `done` of `whole`, in any unit.
    pub fn advance(&self, done: u64, whole: u64) {
        self.progress.store(done.saturating_mul(1000) / whole.max(1), Ordering::Relaxed);
    }

    /// Ends the stage early when the user asked for it.
    ///
    /// # Errors
    /// [`Cancelled`] after a request to stop.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.stop.load(Ordering::Relaxed) { Err(Cancelled) } else { Ok(()) }
    }
}

/// One output file of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The name that later stages know it by.
    pub name: String,
    /// Where the stage wrote it, inside [`Context::folder`].
    pub path: PathBuf,
}

/// What a stage made.
#[derive(Debug, Default)]
pub struct StageOutcome {
    /// Files for the store.
    pub outputs: Vec<Output>,
    /// Small facts about the execution (counts, coverage, entropy): a JSON object, recorded with it.
    pub report: Value,
    /// Texts drawn, from the stage `sample` alone.
    pub samples: Vec<SampleText>,
    /// Losses of models that count, from the stage `baselines` alone.
    pub baselines: Vec<BaselineLoss>,
    /// Anything worth a line in the record.
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
    /// The user's input is at fault: a corpus or a value that only showed itself when it was read. `key` names the
    /// experiment's key (`batch.size`, `corpus.text`), so that the message can point at its line.
    #[error("{message}")]
    Input {
        /// The dotted key at fault.
        key: String,
        /// One line: what is wrong, where, what is allowed.
        message: String,
        /// What could be typed instead; may be empty.
        hint: String,
    },
    /// A file could not be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// An input object is not what its format promises.
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
    /// Something that can't happen.
    #[error("BUG: {0}")]
    Bug(String),
}

impl StageError {
    /// Wraps what the system said about `path`.
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
