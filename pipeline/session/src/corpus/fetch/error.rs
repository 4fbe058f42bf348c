//! Why a corpus could not be fetched, and what could be done about it.

use std::io;
use std::path::PathBuf;

use identity::Digest;

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server has something to say against it.
    #[error("{url}: the server answers {status}{}", reason.map(|words| format!(" {words}")).unwrap_or_default())]
    Status { url: String, status: u16, reason: Option<&'static str> },
    /// No connection, or not for long enough.
    #[error("{url}: {words}")]
    Connection { url: String, words: String },
    /// Its server announces no length, and it does not end.
    #[error("{url}: the server announces no length, and {} MiB came without an end", most >> 20)]
    Endless { url: String, most: u64 },
    /// These are other bytes.
    #[error("{url} has SHA-256 {found}; expected {expected}")]
    Wrong { url: String, found: Digest, expected: Digest },
    /// The folder can't be used.
    #[error("{}: {error}", path.display())]
    Disk { path: PathBuf, error: io::Error },
}

impl FetchError {
    /// What could be done about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Status { status: 401 | 403, .. } => {
                "fetch it by hand and name the file: { path = \"…\", sha256 = \"…\" }"
            }
            Self::Status { status: 429 | 500.., .. } => "the server is at fault or busy: try again later",
            Self::Status { .. } => "is the address right?",
            Self::Connection { .. } => {
                "is there a network? run again to resume where it stopped, or name a file: { path = \"…\", sha256 = \"…\" }"
            }
            Self::Endless { .. } => {
                "if it is that large, fetch it by hand and name the file: { path = \"…\", sha256 = \"…\" }; what came was not kept"
            }
            Self::Wrong { .. } => {
                "another edition of the corpus? correct the address or the digest; what came was not kept"
            }
            Self::Disk { error, .. } if error.kind() == io::ErrorKind::StorageFull => {
                "free some space, or name another folder in the environment variable PIPELINE_CACHE"
            }
            Self::Disk { .. } => "name another folder in the environment variable PIPELINE_CACHE",
        }
    }
}
