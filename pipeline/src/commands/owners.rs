//! Shared by the commands that maintain the store: owners of objects, and sizes of files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use engine::store::Store;
use identity::{ObjectId, RunId};
use record::objects::Reference;
use session::failure::Failure;

/// Reports that the store itself can't be used.
pub fn disk(store: &Store) -> impl Fn(std::io::Error) -> Failure {
    |error| Failure::failed(format!("{}: {error}", store.root().display()), "pass the folder of the store with --store")
}

/// The references to each object.
pub type Owners<'a> = BTreeMap<ObjectId, Vec<&'a Reference>>;

/// Groups references by object.
pub fn owners(references: &[Reference]) -> Owners<'_> {
    let mut found = Owners::new();
    for reference in references {
        if let Ok(id) = reference.digest.parse() {
            found.entry(id).or_default().push(reference);
        }
    }
    found
}

/// Describes an object by its owners: `train weights@100 of run1, run2`.
pub fn whose(references: &[&Reference]) -> String {
    /// The most runs that are named. The others are counted.
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

/// The runs that the references belong to.
pub fn runs(references: &[&Reference]) -> BTreeSet<RunId> {
    references.iter().filter_map(|reference| reference.run).collect()
}

/// The size of a file, or of all files in a folder. Files that vanish meanwhile count as empty.
pub fn size_of(path: &Path) -> u64 {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => entries(path).iter().map(|path| size_of(path)).sum(),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    }
}

/// The entries of a folder, sorted by name; empty if there is no such folder.
pub fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    found.sort();
    found
}
