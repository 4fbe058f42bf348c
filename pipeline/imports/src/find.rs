//! From the paths that a user gives, files and folders, to runs: which logs there are, and which of them are of one
//! run.
//!
//! A folder is searched with all that is in it, but for hidden folders. Formats are told by content; no log is read
//! here beyond its head.

mod group;
mod names;
#[cfg(test)]
mod tests;
mod walk;

use std::path::PathBuf;

pub use crate::detect::Format;

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its folder's name, or a lone file's without its extension; with as many folders above it as it takes to tell it
    /// from the others.
    pub name: String,
    /// The folder that is the run's; of a lone file, the folder that it lies in.
    pub folder: PathBuf,
    /// Its files, in the order in which they are to be read. A database is one, though it holds many runs.
    pub files: Vec<LogFile>,
}

/// A log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// Of which split all that it says is, by the name of its folder.
    pub split: Option<String>,
}

/// A path of a user's that has no run, or what could not be searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The path.
    pub path: PathBuf,
    /// Why, in words.
    pub why: String,
}

/// What a search comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// The runs, in the order of the paths, and within a folder in that of their names.
    pub runs: Vec<Found>,
    /// What was skipped that a user would expect to be searched.
    pub skipped: Vec<Skipped>,
}

/// Searches files and folders. What is reached twice, also by links, counts once.
pub fn find(paths: &[PathBuf]) -> Search {
    let mut walk = walk::Walk::default();
    for path in paths {
        walk.begin(path);
    }
    let walk::Walk { met, skipped, .. } = walk;
    Search { runs: names::named(group::grouped(met)), skipped }
}
