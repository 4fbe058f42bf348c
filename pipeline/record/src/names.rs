//! Decides under which name a database may be used.
//!
//! SQLite keeps the log of committed changes beside the database, under the database's name. A file with two names
//! (hard links, as some backups make them) therefore gets two logs. A program that uses one name neither sees the
//! changes in the other name's log nor is kept from overwriting them, so rows are lost and the file ends up malformed.
//!
//! So the record stores its own path. While the file has one name, that path is kept up to date; while it has several,
//! only the recorded name may be written, whichever is opened first. If the recorded name is gone, as after its folder
//! was moved, no name may be written, because another name could have a log that is not visible here.
//!
//! A name that may not be written may still be read if no other name can be written, that is, if the recorded path is
//! not this file.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sqlx::Connection as _;
use sqlx::sqlite::SqliteLockingMode;

use super::{Record, RecordError, Result, beside, explain, migrate, options, sql};
use system::quoted;

/// The number of names that a file has.
fn links(path: &Path) -> u64 {
    path.metadata().map_or(1, |meta| meta.nlink())
}

/// Whether both are names of the same file.
fn same(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    file(one).is_some_and(|it| Some(it) == file(other))
}

/// The path in the form in which it is recorded. It is valid UTF-8, because SQLite opens no other paths.
fn own(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The recorded path; `None` in a database from before it was recorded.
fn recorded(record: &mut Record) -> Result<Option<PathBuf>> {
    if migrate::version(record)? == 0 {
        return Ok(None);
    }
    let path: Option<String> =
        record.wait(async |c| sqlx::query_scalar(sql!("database_path")).fetch_optional(c).await)?;
    Ok(path.map(PathBuf::from))
}

fn refuse(path: &Path, recorded: PathBuf) -> RecordError {
    let same = same(path, &recorded);
    RecordError::SecondName { path: path.to_owned(), recorded, same }
}

/// Refuses a stale log. `cp -al` links the log as well as the database; the first name then starts a new log, and the
/// second keeps the old one, which would overwrite newer pages when replayed. Only a file last used under another name
/// can have a stale log, and such a file has newer rows without the log than with it.
pub(super) fn check_log(path: &Path) -> Result<()> {
    if !beside(path, "-wal").metadata().is_ok_and(|log| log.len() > 0) {
        return Ok(());
    }
    let newest = |record: &mut Record| -> Result<[i64; 4]> {
        let found: (i64, i64, i64, i64) =
            record.wait(async |c| sqlx::query_as(sql!("newest_rows")).fetch_one(c).await)?;
        Ok(found.into())
    };
    // Without its log, a file that is being written may be incomplete; its log is then not stale.
    let alone = || -> Result<Option<(Record, [i64; 4])>> {
        let mut alone = Record::connect(path, options(path).read_only(true).immutable(true))?;
        match recorded(&mut alone)? {
            Some(recorded) if recorded != own(path) => {
                let rows = newest(&mut alone)?;
                Ok(Some((alone, rows)))
            }
            _ => Ok(None),
        }
    };
    let Ok(Some((mut alone, rows))) = alone() else { return Ok(()) };
    let read = || -> Result<(Record, [i64; 4])> {
        let mut with = Record::connect(path, options(path).read_only(true))?;
        let rows = newest(&mut with)?;
        Ok((with, rows))
    };
    let is_stale = match read() {
        Err(RecordError::Damaged { .. }) => is_sound(&mut alone),
        Err(error) => return Err(error),
        Ok((mut with, newest)) => {
            let is_older = rows.iter().zip(&newest).any(|(alone, with)| alone > with);
            // A mixture of old and new pages may contain the newest rows and still not be a valid database.
            is_older || !is_sound(&mut with) && is_sound(&mut alone)
        }
    };
    if is_stale { Err(RecordError::StaleLog(path.to_owned())) } else { Ok(()) }
}

/// Whether every page and index is sound.
fn is_sound(record: &mut Record) -> bool {
    record.damaged_pages().is_ok_and(|damaged| damaged.is_empty())
}

/// Refuses to write a file with several names under any but the recorded one. If no path is recorded yet, this one is
/// recorded.
pub(super) fn settle(path: &Path) -> Result<()> {
    if links(path) < 2 {
        return Ok(());
    }
    if look(path)?.is_none() {
        adopt(path)?;
    }
    match look(path)? {
        Some(recorded) if recorded != own(path) => Err(refuse(path, recorded)),
        _ => Ok(()),
    }
}

/// The recorded path, read without changing anything: a connection that can write would, on closing, write a log beside
/// this name into the file.
fn look(path: &Path) -> Result<Option<PathBuf>> {
    let log = beside(path, "-wal").metadata().is_ok_and(|log| log.len() > 0);
    let mut record = Record::connect(path, options(path).read_only(true).immutable(!log))?;
    migrate::is_older(&mut record)?;
    recorded(&mut record)
}

/// Records the path while no other connection has the file open under any name. The path is written to the file itself
/// and not only to the log, which would not be seen under another name.
fn adopt(path: &Path) -> Result<()> {
    let alone = options(path).locking_mode(SqliteLockingMode::Exclusive);
    let mut record = Record::connect(path, alone)?;
    if migrate::version(&mut record)? == 0 {
        migrate::bring_up(&mut record)?;
    }
    let text = text(path);
    record.durable(async |c| sqlx::query(sql!("adopt_database_path")).bind(text).execute(c).await.map(|_| ()))?;
    // Closing writes the log back into the file.
    let connection = record.connection.take().expect("BUG: the connection is already closed");
    record.runtime.block_on(connection.close()).map_err(|error| explain(path, error))
}

/// Updates the recorded path.
pub(super) fn note(record: &mut Record) -> Result<()> {
    let path = own(record.path());
    if recorded(record)?.is_some_and(|recorded| recorded == path) {
        return Ok(());
    }
    let text = text(&path);
    record.durable(async |c| sqlx::query(sql!("set_database_path")).bind(text).execute(c).await.map(|_| ()))?;
    // Write it to the file, unless readers prevent that: the log would not be seen under a second name.
    record.wait(async |c| sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(c).await.map(|_| ()))
}

fn text(path: &Path) -> String {
    own(path).display().to_string()
}

/// Refuses to read a file under a second name while the recorded name can be written.
pub(super) fn check_read(record: &mut Record) -> Result<()> {
    let path = own(record.path());
    if links(&path) < 2 {
        return Ok(());
    }
    match recorded(record)? {
        Some(recorded) if recorded != path && same(&path, &recorded) => Err(refuse(&path, recorded)),
        _ => Ok(()),
    }
}

/// The message of [`RecordError::SecondName`].
pub(super) fn words(path: &Path, recorded: &Path, same: bool) -> String {
    let (path, recorded) = (path.display(), recorded.display());
    if same {
        return format!("{path} is a hard link to {recorded}; a database can be used under only one name");
    }
    format!("{path} has several names (hard links), and {recorded}, the one recorded in it, is no longer this file")
}

/// A hint with the commands that make `path` a separate file.
pub fn hint(path: &Path, recorded: &Path, same: bool) -> String {
    let new = beside(path, ".new");
    let [path_, recorded, new, wal, shm] = [path, recorded, &new, &beside(path, "-wal"), &beside(path, "-shm")]
        .map(|it| quoted(&it.display().to_string()));
    if !same {
        // The log of this name, if any, belongs to the file and stays where it is.
        return format!("to make it a separate file: cp -p {path_} {new} && mv {new} {path_}");
    }
    // A log under the second name does not belong to the copy.
    let log = beside(path, "-wal").symlink_metadata().is_ok();
    let clear = if log { format!("rm -f {wal} {shm} && ") } else { String::new() };
    let copy = format!("pipeline backup {new} --db {recorded} && {clear}mv {new} {path_}");
    format!("use --db {recorded}, or to make a separate copy: {copy}")
}
