//! A temporary folder, for files that belong neither in the record nor in the store.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use engine::lock::{self, Lock};
use system::uid;

/// The suffix of the lock file beside a folder. The process that owns the folder creates the file before the folder and
/// holds the lock for as long as it lives.
const LOCK: &str = ".lock";

/// How long to wait for another process that is removing old folders.
const SWEEPING: Duration = Duration::from_secs(30);

/// A temporary folder, removed on drop. If the process is killed, the next process that creates such a folder removes
/// the old one.
#[derive(Debug)]
pub struct Temporary {
    folder: PathBuf,
    /// Released after the folder is removed. `None` if files can't be locked; then no process removes the folders of
    /// others.
    _lock: Option<Lock>,
}

impl Temporary {
    /// Creates a folder, whose name contains its purpose, `what`.
    ///
    /// # Errors
    /// When the system's temporary folder can't be written to.
    pub fn new(what: &str) -> Result<Self, Failure> {
        let (among, name) = (std::env::temp_dir(), format!("pipeline-{what}-"));
        sweep(&among, &name);
        let folder = among.join(format!("{name}{}", uid()));
        let begun = Instant::now();
        let lock = loop {
            match lock::try_lock_at(lock_of(&folder)) {
                // A process that is removing old folders may hold the lock for a moment, and would remove this folder.
                Ok(None) if begun.elapsed() < SWEEPING => std::thread::sleep(Duration::from_millis(1)),
                other => break other.ok().flatten(),
            }
        };
        match std::fs::create_dir(&folder) {
            Ok(()) => Ok(Self { folder, _lock: lock }),
            Err(error) => {
                let elsewhere = "set TMPDIR to a writable folder";
                Err(Failure::refused(&folder, &error, elsewhere))
            }
        }
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // If the folder can't be removed, it is at least among temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The path of a folder's lock.
fn lock_of(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(LOCK);
    name.into()
}

/// Removes the folders of killed processes, which are those whose lock is free.
fn sweep(among: &Path, name: &str) {
    for entry in std::fs::read_dir(among).into_iter().flatten().flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        let Some(folder) = found.strip_suffix(LOCK).filter(|folder| folder.starts_with(name)) else { continue };
        // Dropping the lock removes its file.
        if let Ok(Some(_lock)) = lock::try_lock_at(entry.path()) {
            let _ = std::fs::remove_dir_all(among.join(folder));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_killed_processes_are_removed_and_those_in_use_are_not() {
        let among = tempfile::tempdir().unwrap();
        let path = |name: &str| among.path().join(name);
        for name in ["pipeline-x-1", "pipeline-x-2", "y"] {
            std::fs::create_dir(path(name)).unwrap();
            std::fs::write(path(name).join("large"), "").unwrap();
            std::fs::write(path(&format!("{name}.lock")), "").unwrap();
        }
        // This lock was left by a process that was killed before it created its folder.
        std::fs::write(path("pipeline-x-3.lock"), "").unwrap();
        let lock = lock::try_lock_at(path("pipeline-x-2.lock")).unwrap().unwrap();
        sweep(among.path(), "pipeline-x-");
        let there = || -> Vec<String> {
            let entries = std::fs::read_dir(among.path()).unwrap().flatten();
            let mut names: Vec<String> = entries.map(|entry| entry.file_name().display().to_string()).collect();
            names.sort();
            names
        };
        assert_eq!(there(), ["pipeline-x-2", "pipeline-x-2.lock", "y", "y.lock"]);
        drop(lock);
        std::fs::write(path("pipeline-x-2.lock"), "").unwrap();
        sweep(among.path(), "pipeline-x-");
        assert_eq!(there(), ["y", "y.lock"]);
    }
}
