//! Shares runs, the store and scratch folders between processes of `pipeline run`.

use identity::{RunId, Status};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::places::Paths;
use engine::lock;
use engine::store::Store;
use record::Record;
use record::rows::RunRow;

/// Takes over the unfinished runs that no living process is working on. Returns one entry per run: `Some` if another
/// process is working on it.
pub(super) fn take(
    record: &mut Record,
    rows: &[RunRow],
    own: &str,
    store: &Path,
) -> Result<Vec<Option<RunRow>>, Failure> {
    let lives = |row: &RunRow| row.process.as_deref().is_some_and(|process| lock::is_alive(store, process));
    let unfinished = |row: &RunRow| !row.new && row.status != Status::Finished;
    let idle: Vec<&RunRow> = rows.iter().filter(|row| unfinished(row) && !lives(row)).collect();
    let taken: HashSet<RunId> =
        idle.iter().zip(record.take_runs(&idle, own)?).filter(|(_, taken)| *taken).map(|(row, _)| row.id).collect();
    // An idle run that could not be taken was taken by another process just now.
    Ok(rows.iter().map(|row| (unfinished(row) && !taken.contains(&row.id)).then(|| row.clone())).collect())
}

/// The store's folder. A database has only one: with two, each would lack objects of the other, and processes would not
/// see each other's locks.
pub(super) fn store_of(paths: &Paths, record: &mut Record) -> Result<PathBuf, Failure> {
    let recorded = record.store_path()?;
    let root = paths.store(recorded.as_deref());
    if root.to_str().is_none() {
        let message = format!("{root:?}: the store's path is not valid UTF-8, so it can't be recorded");
        return Err(Failure::input(message, "name another path with --store"));
    }
    let held = recorded.map(|path| paths.root().join(path));
    if let Some(held) = held
        && let Ok(there) = held.canonicalize()
        && root.canonicalize().ok() != Some(there)
    {
        return Err(Failure::input(
            format!("{} keeps its objects in {}, not in {}", paths.db.display(), held.display(), root.display()),
            "drop --store and PIPELINE_STORE, or name another database with --db",
        ));
    }
    Ok(root)
}

/// Removes scratch folders that killed executions left.
pub(super) fn sweep_scratch(store: &Store, record: &mut Record, own: &str) -> Result<(), Failure> {
    for folder in store.scratch_folders() {
        let uid = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let used = match record.scratch_process(uid)? {
            Some(process) => process.is_some_and(|process| lock::is_alive(store.root(), &process)),
            // The folder is not in this record; it may belong to another database that uses this store.
            None => lock::is_anyone_alive(store.root(), Some(own)),
        };
        if !used {
            // If the folder can't be removed, the next process tries again.
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
    Ok(())
}
