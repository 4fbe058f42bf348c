//! A folder for what is computed beside the record and the store.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::engine::store;
use crate::failure::Failure;
use crate::system::{files, uid};

/// What a folder's owner holds locked while it lives.
const LOCK: &str = ".lock";

/// A folder among the temporary ones, gone with the value; or, where a process was killed, with the next that makes one.
#[derive(Debug)]
pub struct Temporary {
    folder: PathBuf,
    _lock: File,
}

impl Temporary {
    /// Makes it; `what` it is for stands in its name.
    pub fn new(what: &str) -> Result<Self, Failure> {
        let (among, name) = (std::env::temp_dir(), format!("pipeline-{what}-"));
        sweep(&among, &name);
        let folder = among.join(format!("{name}{}", uid()));
        let locked = || {
            std::fs::create_dir(&folder)?;
            // Locked before it has the name by which others know it.
            let lock = File::create(folder.join(".new"))?;
            // Where files can't be locked, nobody sweeps.
            if lock.lock().is_ok() {
                std::fs::rename(folder.join(".new"), folder.join(LOCK))?;
            }
            Ok(lock)
        };
        let lock = locked().map_err(|error: std::io::Error| {
            let elsewhere = "name a folder that can be written to in the environment variable TMPDIR";
            store::refused(&folder, &error, elsewhere)
        })?;
        Ok(Self { folder, _lock: lock })
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

/// Removes what processes left behind that could not: nobody holds its lock.
fn sweep(among: &Path, name: &str) {
    let Ok(entries) = std::fs::read_dir(among) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(name)) {
        // One without a lock is being made this moment.
        let Ok(lock) = files::open(&entry.path().join(LOCK)) else { continue };
        if lock.try_lock().is_ok() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_another_holds_is_not() {
        let among = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = among.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            folder
        };
        let (dead, held, new, other) =
            (folder("pipeline-x-1"), folder("pipeline-x-2"), folder("pipeline-x-3"), folder("y"));
        for folder in [&dead, &held, &other] {
            std::fs::write(folder.join(LOCK), "").unwrap();
        }
        std::fs::write(dead.join("large"), "").unwrap();
        let lock = File::open(held.join(LOCK)).unwrap();
        lock.lock().unwrap();
        sweep(among.path(), "pipeline-x-");
        assert_eq!([&dead, &held, &new, &other].map(|folder| folder.exists()), [false, true, true, true]);
        drop(lock);
        sweep(among.path(), "pipeline-x-");
        assert!(!held.exists() && new.exists());
    }
}
