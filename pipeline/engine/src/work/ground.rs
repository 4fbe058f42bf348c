//! Watches the files that must stay in place during the work.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::WorkError;

/// Files that must not be replaced while the program runs: the database, and the lock that shows that the process is
/// alive. SQLite keeps writing to a file that has lost its name, and what it wrote could not be found.
#[derive(Debug)]
pub(super) struct WatchedFiles(Vec<(PathBuf, u64)>);

impl WatchedFiles {
    /// Remembers the current files.
    pub(super) fn of(files: impl IntoIterator<Item = PathBuf>) -> Result<Self, WorkError> {
        let now = files.into_iter().map(|file| match file.metadata() {
            Ok(meta) => Ok((file, meta.ino())),
            Err(_) => Err(WorkError::Gone(file)),
        });
        Ok(Self(now.collect::<Result<_, _>>()?))
    }

    /// Checks that the files are still the same.
    pub(super) fn stands(&self) -> Result<(), WorkError> {
        let gone = self.0.iter().find(|(file, inode)| !file.metadata().is_ok_and(|meta| meta.ino() == *inode));
        gone.map_or(Ok(()), |(file, _)| Err(WorkError::Gone(file.clone())))
    }
}
