//! `pipeline objects`.

mod gc;
mod size;
pub mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::args::{ObjectsArgs, ObjectsCommand};
use crate::ui;
use crate::ui::watch::Terminal;
use engine::store::Store;
use identity::ObjectId;
use identity::RunId;
use record::objects::Reference;
use record::{Record, RecordError};
use session::failure::Failure;
use session::places::Paths;
use session::updated;

/// Looks after the store.
pub fn objects(args: &ObjectsArgs, paths: &Paths) -> Result<(), Failure> {
    match &args.command {
        ObjectsCommand::Verify(args) => super::verify::verify(args, paths),
        ObjectsCommand::Size => {
            let (store, mut record) = open(paths, false)?;
            ui::data(&size::screen(&store, &record.references()?, ui::look::Look::stdout()).map_err(disk(&store))?);
            Ok(())
        }
        ObjectsCommand::Gc { dry_run } => {
            let (store, mut record) = open(paths, !dry_run)?;
            gc::gc(&store, &mut record, *dry_run)
        }
    }
}

/// The store and the record, which is written or only read: looking works where nothing may be written.
fn open(paths: &Paths, writes: bool) -> Result<(Store, Record), Failure> {
    if !paths.db.exists() {
        return Err(RecordError::Missing(paths.db.clone()).into());
    }
    let mut record = updated(if writes { Record::create(&paths.db)? } else { Record::open(&paths.db)? }, &mut Terminal);
    let store = Store::over(&paths.store(record.store_path()?.as_deref()));
    // Every object would be missing from a folder that is not there; more likely another is meant.
    if !store.root().is_dir() {
        return Err(Failure::input(
            format!("{}: no such store", store.root().display()),
            "name the store with --store",
        ));
    }
    Ok((store, record))
}

/// What to say when the store itself can't be used.
fn disk(store: &Store) -> impl Fn(std::io::Error) -> Failure {
    |error| Failure::failed(format!("{}: {error}", store.root().display()), "name the store with --store")
}

/// Who refers to each object.
type Owners<'a> = BTreeMap<ObjectId, Vec<&'a Reference>>;

fn owners(references: &[Reference]) -> Owners<'_> {
    let mut found = Owners::new();
    for reference in references {
        if let Ok(id) = reference.digest.parse() {
            found.entry(id).or_default().push(reference);
        }
    }
    found
}

/// `train weights@100 of run1, run2`.
fn whose(references: &[&Reference]) -> String {
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

fn runs(references: &[&Reference]) -> BTreeSet<RunId> {
    references.iter().filter_map(|reference| reference.run).collect()
}

/// The size of a file or of all files in a folder; what vanishes meanwhile counts nothing.
fn size_of(path: &Path) -> u64 {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => entries(path).iter().map(|path| size_of(path)).sum(),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    }
}

/// What is in a folder, by name; nothing where there is no such folder.
fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests;
