//! Under which name a database may be used.
//!
//! SQLite keeps the log of what was committed beside the database, under the database's name. A file with two names (a
//! hard link, as some backups make them) so gets two logs, and whoever comes by one name neither sees what the other log
//! holds nor keeps off what is written there: rows are lost, and the file ends malformed. So the record keeps its own
//! path. While the file has one name, that is brought up to date; while it has several, the recorded one alone may be
//! written, whichever is opened first. Where the recorded name is gone, as after a folder was moved, none may: another
//! name could have a log that nobody here can see.
//!
//! A name that may not be written can be read where nobody can write another: where the recorded path is not this file.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sqlx::Connection as _;
use sqlx::sqlite::SqliteLockingMode;

use super::{Record, RecordError, Result, beside, explain, migrate, options, sql};
use system::quoted;

/// How many names a file has.
fn links(path: &Path) -> u64 {
    path.metadata().map_or(1, |meta| meta.nlink())
}

/// Whether both are names of one file.
fn same(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    file(one).is_some_and(|it| Some(it) == file(other))
}

/// The path as it is recorded. A path that is not UTF-8 never gets here: SQLite opens none.
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

/// Refuses a stale log. `cp -al` links the log as well as the database; the first name then starts a new log, and the second
/// keeps the old one, which would overwrite newer pages when replayed. Only a file last used under another name can have a
/// stale log, and such a file has newer rows without the log than with it.
pub(super) fn check_log(path: &Path) -> Result<()> {
    if !beside(path, "-wal").metadata().is_ok_and(|log| log.len() > 0) {
        return Ok(());
    }
    let newest = |record: &mut Record| -> Result<[i64; 4]> {
        let found: (i64, i64, i64, i64) =
            record.wait(async |c| sqlx::query_as(sql!("newest_rows")).fetch_one(c).await)?;
        Ok(found.into())
    };
    // Without its log a file may end in the middle of what is being written, and then has no log of another time.
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
            // Pages of two times may hold the newest rows, and make no database.
            is_older || !is_sound(&mut with) && is_sound(&mut alone)
        }
    };
    if is_stale { Err(RecordError::StaleLog(path.to_owned())) } else { Ok(()) }
}

/// Whether every page and index is as it should be.
fn is_sound(record: &mut Record) -> bool {
    record.damaged_pages().is_ok_and(|damaged| damaged.is_empty())
}

/// Refuses to write a file with several names under any but the recorded one. One without a recorded path gets this one.
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

/// The recorded path, read without a trace: a connection that may write would, when it is closed, put a log that lies
/// beside this name into the file.
fn look(path: &Path) -> Result<Option<PathBuf>> {
    let log = beside(path, "-wal").metadata().is_ok_and(|log| log.len() > 0);
    let mut record = Record::connect(path, options(path).read_only(true).immutable(!log))?;
    migrate::is_older(&mut record)?;
    recorded(&mut record)
}

/// Records the path while nobody else has the file open, under whatever name, and in the file itself: whoever comes by
/// another name next would not see it in a log.
fn adopt(path: &Path) -> Result<()> {
    let alone = options(path).locking_mode(SqliteLockingMode::Exclusive);
    let mut record = Record::connect(path, alone)?;
    if migrate::version(&mut record)? == 0 {
        migrate::bring_up(&mut record)?;
    }
    let text = text(path);
    record.durable(async |c| sqlx::query(sql!("adopt_database_path")).bind(text).execute(c).await.map(|_| ()))?;
    // Closing writes the log back.
    let connection = record.connection.take().expect("BUG: the connection is open until the drop");
    record.runtime.block_on(connection.close()).map_err(|error| explain(path, error))
}

/// Brings the recorded path up to date.
pub(super) fn note(record: &mut Record) -> Result<()> {
    let path = own(record.path());
    if recorded(record)?.is_some_and(|recorded| recorded == path) {
        return Ok(());
    }
    let text = text(&path);
    record.durable(async |c| sqlx::query(sql!("set_database_path")).bind(text).execute(c).await.map(|_| ()))?;
    // Into the file, as far as no reader is in the way: a second name would not show the log.
    record.wait(async |c| sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(c).await.map(|_| ()))
}

fn text(path: &Path) -> String {
    own(path).display().to_string()
}

/// Refuses to read a file under a second name while the first may be written.
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

/// What is wrong with a name.
pub(super) fn words(path: &Path, recorded: &Path, same: bool) -> String {
    let (path, recorded) = (path.display(), recorded.display());
    if same {
        return format!("{path}: a hard link to {recorded}; a database can be used under one name only");
    }
    format!("{path}: a file with several names (hard links), to be written as {recorded}, which is not this file now")
}

/// The commands that make it a file of its own.
pub fn hint(path: &Path, recorded: &Path, same: bool) -> String {
    let new = beside(path, ".new");
    let [path_, recorded, new, wal, shm] = [path, recorded, &new, &beside(path, "-wal"), &beside(path, "-shm")]
        .map(|it| quoted(&it.display().to_string()));
    if !same {
        // Its log, if there is one, goes with the name.
        return format!("to make it a file of its own: cp -p {path_} {new} && mv {new} {path_}");
    }
    // A log under the second name is none of the copy's.
    let log = beside(path, "-wal").symlink_metadata().is_ok();
    let clear = if log { format!("rm -f {wal} {shm} && ") } else { String::new() };
    format!("use --db {recorded}; for a copy: pipeline backup {new} --db {recorded} && {clear}mv {new} {path_}")
}
