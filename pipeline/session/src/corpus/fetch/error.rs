//! Why a corpus could not be fetched, and what to do about it.

use std::io;
use std::path::PathBuf;

use identity::Digest;

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server refused the request.
    #[error("{url}: the server answered {status}{}", reason.map(|words| format!(" {words}")).unwrap_or_default())]
    Status { url: String, status: u16, reason: Option<&'static str> },
    /// No connection could be made, or connections were lost too often.
    #[error("{url}: {words}")]
    Connection { url: String, words: String },
    /// The server sent no Content-Length, and the file exceeded the limit.
    #[error("{url}: the server sent no Content-Length, and the file is larger than {} MiB", most >> 20)]
    Endless { url: String, most: u64 },
    /// The digest is not the expected one.
    #[error("{url} has SHA-256 {found}; expected {expected}")]
    Wrong { url: String, found: Digest, expected: Digest },
    /// The folder can't be used.
    #[error("{}: {error}", path.display())]
    Disk { path: PathBuf, error: io::Error },
}

impl FetchError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Status { status: 401 | 403, .. } => {
                "download the file yourself and give its path: { path = \"…\", sha256 = \"…\" }"
            }
            Self::Status { status: 429 | 500.., .. } => "the server is overloaded or failing; try again later",
            Self::Status { .. } => "check the URL",
            Self::Connection { .. } => {
                "check the network and run the same command again to resume, or download the file yourself and give \
                 its path: { path = \"…\", sha256 = \"…\" }"
            }
            Self::Endless { .. } => {
                "if the file really is larger, download it yourself and give its path: { path = \"…\", sha256 = \"…\" }"
            }
            Self::Wrong { .. } => {
                "the download was discarded; if this is another edition of the corpus, correct the URL or the digest"
            }
            Self::Disk { error, .. } if error.kind() == io::ErrorKind::StorageFull => {
                "free some space, or set PIPELINE_CACHE to another folder"
            }
            Self::Disk { .. } => "set PIPELINE_CACHE to another folder",
        }
    }
}
