//! What is wrong with an experiment, and where it was written.

use std::path::Path;

use stages::plain;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A line of the experiment's file, from 1.
    Line(usize),
    /// A `--set` of the command line.
    Set(String),
    /// Nowhere: the value is a default.
    Default,
}

/// What is wrong with an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Where the problem is.
    pub location: Location,
    /// What is wrong, and what is allowed.
    pub message: String,
    /// What could be typed instead; may be empty.
    pub hint: String,
}

impl Problem {
    pub fn new(location: Location, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { location, message: message.into(), hint: hint.into() }
    }

    /// The problem as shown to the user, with the experiment's path.
    pub fn at(self, path: &Path) -> Refusal {
        let message = match self.location {
            Location::Line(line) => format!("{}:{line}: {}", path.display(), self.message),
            Location::Set(set) => format!("--set '{set}': {}", self.message),
            Location::Default => format!("{}: {}", path.display(), self.message),
        };
        Refusal::new(message, self.hint)
    }
}

/// Why an experiment is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What is wrong, where, and what is allowed.
    pub message: String,
    /// What could be typed instead; may be empty.
    pub hint: String,
    /// Whether the system is at fault, not the experiment: the same command may succeed later.
    pub is_system: bool,
}

impl Refusal {
    /// Escapes control characters, so that text from an experiment can't control the terminal.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: plain::line(&message.into()), hint: plain::line(&hint.into()), is_system: false }
    }
}
