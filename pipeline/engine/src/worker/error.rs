//! Why a worker can't be used, or ended before its work did.

use std::io;
use std::path::{Path, PathBuf};

use super::Shortage;
use system::permission::Denied;

/// Why a worker can't be used.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// There is no such program.
    #[error("the worker pipeline-neural was not found at {}", .0.display())]
    Missing(PathBuf),
    /// It did not start, or does not answer as a worker.
    #[error("the worker {} does not work: {message}", path.display())]
    Broken {
        /// The program.
        path: PathBuf,
        /// What it said or did.
        message: String,
    },
    /// It computes other versions of the stages, or speaks another protocol.
    #[error("the worker {} is of another build: {message}", path.display())]
    OtherBuild {
        /// The program.
        path: PathBuf,
        /// In what it differs.
        message: String,
    },
    /// The system did not give it what it takes to start.
    #[error("the worker {} can't be started: {message}", path.display())]
    Short {
        /// The program.
        path: PathBuf,
        /// In the system's words.
        message: String,
        /// What is short.
        what: Shortage,
    },
    /// A library of its lies where this user may not read.
    #[error("the worker can't load {library}: this user may not read {}", denied.path.display())]
    Unreadable {
        /// The library's name.
        library: String,
        /// Where, and what would help.
        denied: Denied,
    },
    /// Another program than the one that keys were computed with.
    #[error("the worker changed while the program ran: {0}")]
    Changed(String),
    /// It ended before its work did.
    #[error("the worker {ending}{}", if tail.is_empty() { String::new() } else { format!("; its last words: {tail}") })]
    Died {
        /// How, as words after "the worker".
        ending: String,
        /// Whether a signal ended it that comes from outside.
        killed: bool,
        /// The last lines of its log.
        tail: String,
    },
    /// It did something else than it was asked for.
    #[error("the worker does not keep to its order: {0}")]
    Astray(String),
    /// The order failed; the worker lives.
    #[error("{message}")]
    Failed {
        /// In its words.
        message: String,
        /// The system's error that was behind it, by number.
        os_error: Option<i32>,
    },
    /// The user asked to stop before there was anything to keep.
    #[error("stopped")]
    Stopped,
}

impl WorkerError {
    /// What the system lacks, where that is why.
    pub fn shortage(&self) -> Option<Shortage> {
        match self {
            Self::Short { what, .. } => Some(*what),
            Self::Died { tail: words, .. } | Self::Failed { message: words, .. } => Shortage::told(words),
            _ => None,
        }
    }

    /// The system's error that was behind the failure of an order.
    pub fn system_error(&self) -> Option<io::Error> {
        let Self::Failed { os_error: Some(number), .. } = self else { return None };
        Some(io::Error::from_raw_os_error(*number))
    }

    /// An order that failed for a reason of this program's.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), os_error: None }
    }

    /// The system would not start the program at `path`, or not open what it takes to speak with it.
    pub(super) fn unstarted(path: &Path, error: &io::Error) -> Self {
        let (path, message) = (path.to_owned(), error.to_string());
        match Shortage::of(error) {
            Some(what) => Self::Short { path, message, what },
            None => Self::Broken { path, message },
        }
    }
}
