//! Errors of the worker.

use std::fmt::Display;
use std::num::TryFromIntError;
use std::path::Path;

use safetensors::SafeTensorError;
use stages::StageError;
use tch::TchError;

/// Why an order can't be carried out. Its text is what users read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NeuralError {
    /// The order, or a file that it names, contains something impossible.
    #[error("{0}")]
    Wrong(String),
    /// The cause of a failure, with the name of the file, or of what else failed.
    #[error("{of}: {cause}")]
    Of { of: String, cause: Box<NeuralError> },
    /// A parameter is invalid.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The system refused.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// libtorch failed. It appends a stack trace to its messages.
    #[error(transparent)]
    Torch(#[from] TchError),
    /// A file of tensors is invalid.
    #[error(transparent)]
    Tensors(SafeTensorError),
    /// JSON is invalid.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A number is too large for this machine.
    #[error(transparent)]
    Number(#[from] TryFromIntError),
}

/// The result of something that can fail while an order is carried out.
pub(crate) type Result<T, E = NeuralError> = std::result::Result<T, E>;

impl NeuralError {
    /// The number of the system's error behind it, if there is one: 28 means that the disk is full.
    pub(crate) fn os_error(&self) -> Option<i32> {
        match self {
            Self::System(error) => error.raw_os_error(),
            Self::Of { cause, .. } => cause.os_error(),
            Self::Stage(_) | Self::Wrong(_) | Self::Torch(_) | Self::Tensors(_) | Self::Json(_) | Self::Number(_) => {
                None
            }
        }
    }
}

impl From<SafeTensorError> for NeuralError {
    fn from(error: SafeTensorError) -> Self {
        match error {
            // The error's own message only repeats the system's.
            SafeTensorError::IoError(error) => Self::System(error),
            error => Self::Tensors(error),
        }
    }
}

impl From<String> for NeuralError {
    fn from(words: String) -> Self {
        Self::Wrong(words)
    }
}

impl From<&str> for NeuralError {
    fn from(words: &str) -> Self {
        Self::Wrong(words.to_owned())
    }
}

/// Adds the name of what failed to an error.
pub(crate) trait WithName<T> {
    /// Puts a name before the error's text.
    fn of(self, name: impl Display) -> Result<T>;
    /// Puts a file's path before the error's text.
    fn of_file(self, path: &Path) -> Result<T>;
}

impl<T, E: Into<NeuralError>> WithName<T> for Result<T, E> {
    fn of(self, name: impl Display) -> Result<T> {
        self.map_err(|cause| NeuralError::Of { of: name.to_string(), cause: Box::new(cause.into()) })
    }

    fn of_file(self, path: &Path) -> Result<T> {
        self.of(path.display())
    }
}

/// Returns with a formatted message unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err(format!($($words)+).into());
        }
    };
}
pub(crate) use ensure;
