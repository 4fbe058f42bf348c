//! What must hold of any input, as functions from bytes: each panics where it does not hold.
//!
//! Tests call them with all that `tests/corpus/` holds and with changes to it that proptest makes; the programs of
//! `tests/fuzz/` call them with what libFuzzer makes up.

#![allow(clippy::unwrap_used, reason = "a panic is how a target says that its property does not hold")]

mod experiment;
mod files;
mod frames;
mod selectors;
mod sql;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

/// A property: it panics where it does not hold of some bytes.
pub type Target = fn(&[u8]);

/// Every property, by the name of its folder in `tests/corpus/`.
pub const TARGETS: [(&str, Target); 9] = [
    ("experiment", experiment::file),
    ("set", experiment::set),
    ("frames", frames::frames),
    ("types", files::types),
    ("ids", files::ids),
    ("plan", files::plan),
    ("tensors", files::tensors),
    ("selector", selectors::selector),
    ("sql", sql::sql),
];

/// Calls a property by its name.
///
/// # Panics
/// Where it does not hold, or nothing has that name.
pub fn check(name: &str, bytes: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(target, _)| *target == name).unwrap();
    target(bytes);
}

/// A file with some bytes, the same for each call of a thread.
fn file(bytes: &[u8]) -> PathBuf {
    thread_local! {
        static FOLDER: tempfile::TempDir = tempfile::tempdir().unwrap();
    }
    let path = FOLDER.with(|folder| folder.path().join("file"));
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The text of some bytes, where it is one.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
