//! What the work stands on.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::WorkError;

/// Files that stay what they are while the program runs: the database, and the lock that says the process lives.
/// SQLite goes on writing to a file that has no name any more, and nobody would find what it wrote.
#[derive(Debug)]
pub(super) struct WatchedFiles(Vec<(PathBuf, u64)>);

impl WatchedFiles {
    /// The files as they are now.
    pub(super) fn of(files: impl IntoIterator<Item = PathBuf>) -> Result<Self, WorkError> {
        let now = files.into_iter().map(|file| match file.metadata() {
            Ok(meta) => Ok((file, meta.ino())),
            Err(_) => Err(WorkError::Gone(file)),
        });
        Ok(Self(now.collect::<Result<_, _>>()?))
    }

    /// Looks whether they are still the same.
    pub(super) fn stands(&self) -> Result<(), WorkError> {
        let gone = self.0.iter().find(|(file, inode)| !file.metadata().is_ok_and(|meta| meta.ino() == *inode));
        gone.map_or(Ok(()), |(file, _)| Err(WorkError::Gone(file.clone())))
    }
}
