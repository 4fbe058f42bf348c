//! A folder for what is computed beside the record and the store.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use engine::lock::{self, Lock};
use system::uid;

/// How the name of the lock ends that a folder's owner holds while it lives. It lies beside the folder and is there first,
/// so that no folder is without one.
const LOCK: &str = ".lock";

/// How long another may take to sweep.
const SWEEPING: Duration = Duration::from_secs(30);

/// A folder among the temporary ones, gone with the value; or, where a process was killed, with the next that makes one.
#[derive(Debug)]
pub struct Temporary {
    folder: PathBuf,
    /// Let go after the folder is gone. None where files can't be locked: there nobody sweeps.
    _lock: Option<Lock>,
}

impl Temporary {
    /// Makes it; `what` it is for stands in its name.
    ///
    /// # Errors
    /// When the folder of temporary files can't be written to.
    pub fn new(what: &str) -> Result<Self, Failure> {
        let (among, name) = (std::env::temp_dir(), format!("pipeline-{what}-"));
        sweep(&among, &name);
        let folder = among.join(format!("{name}{}", uid()));
        let begun = Instant::now();
        let lock = loop {
            match lock::try_lock_at(lock_of(&folder)) {
                // Another that sweeps may hold it for a moment, and would take the folder along.
                Ok(None) if begun.elapsed() < SWEEPING => std::thread::sleep(Duration::from_millis(1)),
                other => break other.ok().flatten(),
            }
        };
        match std::fs::create_dir(&folder) {
            Ok(()) => Ok(Self { folder, _lock: lock }),
            Err(error) => {
                let elsewhere = "name a folder that can be written to in the environment variable TMPDIR";
                Err(Failure::refused(&folder, &error, elsewhere))
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What can't be removed lies where temporary files are looked for.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The lock of a folder.
fn lock_of(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(LOCK);
    name.into()
}

/// Removes what processes left behind that could not: nobody holds its lock.
fn sweep(among: &Path, name: &str) {
    for entry in std::fs::read_dir(among).into_iter().flatten().flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        let Some(folder) = found.strip_suffix(LOCK).filter(|folder| folder.starts_with(name)) else { continue };
        // The lock's file goes with the lock.
        if let Ok(Some(_lock)) = lock::try_lock_at(entry.path()) {
            let _ = std::fs::remove_dir_all(among.join(folder));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_another_holds_is_not() {
        let among = tempfile::tempdir().unwrap();
        let path = |name: &str| among.path().join(name);
        for name in ["pipeline-x-1", "pipeline-x-2", "y"] {
            std::fs::create_dir(path(name)).unwrap();
            std::fs::write(path(name).join("large"), "").unwrap();
            std::fs::write(path(&format!("{name}.lock")), "").unwrap();
        }
        // Killed before it had made its folder.
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
