//! `pipeline objects`.

mod gc;
mod size;

use super::owners::disk;
use crate::args::{ObjectsArgs, ObjectsCommand};
use crate::ui;
use crate::ui::watch::Terminal;
use engine::store::Store;
use record::{Record, RecordError};
use session::failure::Failure;
use session::places::Paths;
use session::updated;

/// Runs the subcommand.
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

/// Opens the store and the record, read-only unless `writes` is set: inspecting works without write access.
fn open(paths: &Paths, writes: bool) -> Result<(Store, Record), Failure> {
    if !paths.db.exists() {
        return Err(RecordError::Missing(paths.db.clone()).into());
    }
    let mut record = updated(if writes { Record::create(&paths.db)? } else { Record::open(&paths.db)? }, &mut Terminal);
    let store = Store::over(&paths.store(record.store_path()?.as_deref()));
    // If the folder does not exist, the user more likely meant another folder than lost every object.
    if !store.root().is_dir() {
        return Err(Failure::input(
            format!("{}: no such store", store.root().display()),
            "pass the folder of the store with --store",
        ));
    }
    Ok((store, record))
}

#[cfg(test)]
mod tests;
