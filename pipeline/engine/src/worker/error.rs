//! Errors of a worker.

use std::io;
use std::path::{Path, PathBuf};

use super::Shortage;
use system::permission::Denied;

/// Why a worker can't be used, or did not finish its work.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The program does not exist.
    #[error("the worker pipeline-neural was not found at {}", .0.display())]
    Missing(PathBuf),
    /// The program does not start, or does not behave like a worker.
    #[error("the worker {} does not work: {message}", path.display())]
    Broken {
        /// The program.
        path: PathBuf,
        /// What went wrong.
        message: String,
    },
    /// It has other versions of the stages, or speaks another protocol.
    #[error("the worker {} is from a different build: {message}", path.display())]
    OtherBuild {
        /// The program.
        path: PathBuf,
        /// The difference.
        message: String,
    },
    /// The system lacks resources to start it.
    #[error("the worker {} can't be started: {message}", path.display())]
    Short {
        /// The program.
        path: PathBuf,
        /// The system's message.
        message: String,
        /// The resource that is short.
        what: Shortage,
    },
    /// This user has no permission to read one of its libraries.
    #[error("the worker can't load {library}: no permission to read {}", denied.path.display())]
    Unreadable {
        /// The library's name.
        library: String,
        /// What can't be read, and a remedy.
        denied: Denied,
    },
    /// It is no longer the program for which keys were computed.
    #[error("the worker changed while the program was running: {0}")]
    Changed(String),
    /// It ended before its work was done.
    #[error("the worker {ending}{}", if tail.is_empty() { String::new() } else { format!("; last output: {tail}") })]
    Died {
        /// How it ended: the rest of a sentence that begins with "the worker".
        ending: String,
        /// Whether a signal from outside ended it.
        killed: bool,
        /// The last lines of its log.
        tail: String,
    },
    /// It sent something that its order does not allow.
    #[error("the worker broke the protocol: {0}")]
    Astray(String),
    /// The order failed; the worker is still alive.
    #[error("{message}")]
    Failed {
        /// The worker's message.
        message: String,
        /// The number of the system error that caused it.
        os_error: Option<i32>,
    },
    /// The user asked to stop before there was anything to save.
    #[error("stopped")]
    Stopped,
}

impl WorkerError {
    /// The resource whose shortage caused this error, if any.
    pub fn shortage(&self) -> Option<Shortage> {
        match self {
            Self::Short { what, .. } => Some(*what),
            Self::Died { tail: words, .. } | Self::Failed { message: words, .. } => Shortage::told(words),
            _ => None,
        }
    }

    /// The system error that caused an order to fail.
    pub fn system_error(&self) -> Option<io::Error> {
        let Self::Failed { os_error: Some(number), .. } = self else { return None };
        Some(io::Error::from_raw_os_error(*number))
    }

    /// An order that failed because of this program.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), os_error: None }
    }

    /// The system could not start the program at `path`, or open the connection to it.
    pub(super) fn unstarted(path: &Path, error: &io::Error) -> Self {
        let (path, message) = (path.to_owned(), error.to_string());
        match Shortage::of(error) {
            Some(what) => Self::Short { path, message, what },
            None => Self::Broken { path, message },
        }
    }
}
