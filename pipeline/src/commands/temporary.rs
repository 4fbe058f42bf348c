//! A folder for what is computed beside the record and the store.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A folder among the temporary ones, gone with the value.
#[derive(Debug)]
pub struct Temporary(PathBuf);

impl Temporary {
    /// Makes it; `what` it is for stands in its name.
    pub fn new(what: &str) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("pipeline-{what}-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).map_err(|error| {
            let message = format!("{}: {error}", folder.display());
            Failure::input(message, "name a folder that can be written to in the environment variable TMPDIR")
        })?;
        Ok(Self(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What can't be removed lies where temporary files are looked for.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
