//! What the commands that look after the store have in common: whose its objects are, and how large its files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use engine::store::Store;
use identity::{ObjectId, RunId};
use record::objects::Reference;
use session::failure::Failure;

/// What to say when the store itself can't be used.
pub fn disk(store: &Store) -> impl Fn(std::io::Error) -> Failure {
    |error| Failure::failed(format!("{}: {error}", store.root().display()), "name the store with --store")
}

/// Who refers to each object.
pub type Owners<'a> = BTreeMap<ObjectId, Vec<&'a Reference>>;

/// Who refers to each of the objects of some references.
pub fn owners(references: &[Reference]) -> Owners<'_> {
    let mut found = Owners::new();
    for reference in references {
        if let Ok(id) = reference.digest.parse() {
            found.entry(id).or_default().push(reference);
        }
    }
    found
}

/// `train weights@100 of run1, run2`.
pub fn whose(references: &[&Reference]) -> String {
    /// More runs than these are counted, not named.
    const NAMED: usize = 5;
    let what = references.first().map_or(String::new(), |first| format!("{} {}", first.stage, first.name));
    let runs = runs(references);
    let named: Vec<String> = runs.iter().take(NAMED).map(|run| run.to_string()).collect();
    match runs.len() {
        0 => what,
        n if n > NAMED => format!("{what} of {} and {} more", named.join(", "), n - NAMED),
        _ => format!("{what} of {}", named.join(", ")),
    }
}

/// The runs that references are of.
pub fn runs(references: &[&Reference]) -> BTreeSet<RunId> {
    references.iter().filter_map(|reference| reference.run).collect()
}

/// The size of a file or of all files in a folder; what vanishes meanwhile counts nothing.
pub fn size_of(path: &Path) -> u64 {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => entries(path).iter().map(|path| size_of(path)).sum(),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    }
}

/// What is in a folder, by name; nothing where there is no such folder.
pub fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    found.sort();
    found
}
