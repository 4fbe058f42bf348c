//! What a process of `pipeline run` has to itself, and what it shares with others.

use identity::{RunId, Status};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::places::Paths;
use engine::lock;
use engine::store::Store;
use record::Record;
use record::rows::RunRow;

/// Takes over the runs that nobody works on; says of which another living process has them.
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
    // One that was not to be had was taken by another just now.
    Ok(rows.iter().map(|row| (unfinished(row) && !taken.contains(&row.id)).then(|| row.clone())).collect())
}

/// The store's folder. A database has one: with two, objects would be missed in each, and locks would not be seen.
pub(super) fn store_of(paths: &Paths, record: &mut Record) -> Result<PathBuf, Failure> {
    let recorded = record.store_path()?;
    let root = paths.store(recorded.as_deref());
    if root.to_str().is_none() {
        let message = format!("{root:?}: the store's path is not UTF-8, and is to be recorded");
        return Err(Failure::input(message, "name another place with --store"));
    }
    let held = recorded.map(|path| paths.root().join(path));
    if let Some(held) = held
        && let Ok(there) = held.canonicalize()
        && root.canonicalize().ok() != Some(there)
    {
        return Err(Failure::input(
            format!("{} keeps its objects in {}, not in {}", paths.db.display(), held.display(), root.display()),
            "leave --store and PIPELINE_STORE out, or name another database with --db",
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
            // Not this record's: it may be that of whoever else uses the store.
            None => lock::is_anyone_alive(store.root(), Some(own)),
        };
        if !used {
            // What can't be removed is tried again the next time.
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
    Ok(())
}
