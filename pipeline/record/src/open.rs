//! Helps to open a database: checks its path, admits one process at a time, and explains errors to users.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{BUSY, OPENED, RecordError, Result, beside};
use system::files;
use system::limits::{self, Limit};
use system::{locks, permission};

/// Files that SQLite, and this program, keep beside a database.
pub const BESIDE: [&str; 4] = ["-wal", "-shm", "-journal", "-open"];

/// SQLite's code for a file that ends within a page.
const SHORT_READ: i64 = 522;

/// Refuses a path that SQLite does not accept.
pub(super) fn check_name(path: &Path) -> Result<()> {
    if path.to_str().is_some() { Ok(()) } else { Err(RecordError::NotUtf8(path.to_owned())) }
}

/// Refuses to create a database under a name that SQLite or this program gives to a file beside one, because the next
/// run there would overwrite it. An existing database with such a name is used as it is.
pub(super) fn check_new_name(path: &Path) -> Result<()> {
    let name = path.to_string_lossy();
    match BESIDE.into_iter().find(|ending| name.ends_with(ending)) {
        Some(ending) if !path.exists() => Err(RecordError::Reserved { path: path.to_owned(), ending }),
        _ => Ok(()),
    }
}

/// Refuses files that SQLite would hang or fail on: the database and the files beside it must be regular files.
pub(super) fn check_files(path: &Path) -> Result<()> {
    check_name(path)?;
    let beside = BESIDE.map(|ending| beside(path, ending));
    for path in std::iter::once(path.to_owned()).chain(beside) {
        if let Some(what) = files::irregular(&path) {
            return Err(RecordError::NotRegular { path, what });
        }
    }
    Ok(())
}

/// The error to show for a system error about a file.
pub(super) fn refused(path: &Path, error: &std::io::Error) -> RecordError {
    let path = path.to_owned();
    if let Some(limit) = Limit::of_open_files(OPENED).filter(|_| limits::is_outside(error)) {
        return RecordError::Limit { path, limit };
    }
    match error.kind() {
        std::io::ErrorKind::NotFound if path.parent().is_some_and(|folder| !folder.exists()) => {
            RecordError::NoFolder(path.parent().map(Path::to_owned).unwrap_or_default())
        }
        std::io::ErrorKind::StorageFull => RecordError::Disk { path, message: "the disk is full".to_owned() },
        std::io::ErrorKind::PermissionDenied => denied(&path, std::slice::from_ref(&path))
            .unwrap_or_else(|| RecordError::Filesystem { path, message: error.to_string() }),
        std::io::ErrorKind::ReadOnlyFilesystem => RecordError::Filesystem { path, message: error.to_string() },
        _ if limits::is_outside(error) => RecordError::Disk { path, message: error.to_string() },
        _ => RecordError::Filesystem { path, message: error.to_string() },
    }
}

/// The permission that this user lacks to read the database, or to write `files` or their folder.
fn denied(path: &Path, files: &[PathBuf]) -> Option<RecordError> {
    if let Some(denied) = permission::unreadable(path) {
        return Some(RecordError::Denied(denied));
    }
    permission::unwritable(files.iter().map(PathBuf::as_path).chain(path.parent())).map(RecordError::Denied)
}

/// Two processes that open a new file at once race to set the journal mode and to create the tables, so only the
/// process that holds the lock on the returned file may proceed.
pub(super) fn gate(path: &Path) -> Result<std::fs::File> {
    let gate = beside(path, "-open");
    let lock = files::open_for_locking(&gate).map_err(|error| refused(&gate, &error))?;
    let begun = std::time::Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(std::fs::TryLockError::Error(error)) => return Err(refused(&gate, &error)),
            Err(_) if begun.elapsed() > BUSY => return Err(RecordError::Busy { holder: holder(&gate), path: gate }),
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Creates the database's file if missing. SQLite would create it with mode 0644 even if the umask allows more, and
/// gives the log beside it the same mode.
pub(super) fn make(path: &Path) -> Result<()> {
    // An existing file is not opened: closing it would release the locks of every connection of this process to it.
    match std::fs::File::options().write(true).create_new(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(refused(path, &error)),
    }
}

/// Tries to create a file beside the database.
fn try_file(path: &Path) -> std::io::Result<()> {
    let tried = beside(path, &format!("-try-{}", std::process::id()));
    std::fs::File::options().write(true).create_new(true).open(&tried)?;
    std::fs::remove_file(&tried)
}

/// The process that holds a lock, in parentheses; empty if the system does not say.
fn holder(path: &Path) -> String {
    locks::holder(path).map(|holder| format!(" ({holder})")).unwrap_or_default()
}

/// The error to show for an error of the driver.
pub(super) fn explain(path: &Path, error: sqlx::Error) -> RecordError {
    let path = path.to_owned();
    let code = match &error {
        sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<i64>().ok()).unwrap_or(0),
        _ => 0,
    };
    // The driver couldn't start its thread for SQLite.
    if let sqlx::Error::Io(error) = &error
        && error.kind() == std::io::ErrorKind::WouldBlock
    {
        return RecordError::Limit { path, limit: Limit::Threads };
    }
    // SQLite's message, without the driver's prefix.
    let message = match &error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        error => error.to_string(),
    };
    // SQLite quotes a damaged schema verbatim, so the message can contain control characters.
    let message: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if let sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) = error {
        return RecordError::Damaged { path, message };
    }
    // A truncated file ends within a page, which SQLite reports as a disk error.
    if code == SHORT_READ {
        return RecordError::Damaged { path, message: "the file is truncated".to_owned() };
    }
    // The low byte is SQLite's primary result code.
    match code & 0xff {
        11 | 26 => RecordError::Damaged { path, message },
        // This program's statements fit its own schema, so a missing table or column shows that it was altered.
        1 if message.starts_with("no such ") => RecordError::Altered { path, message, version: None },
        8 | 14 => {
            let files = [path.clone(), beside(&path, "-wal"), beside(&path, "-shm")];
            if let Some(limit) = Limit::of_open_files(OPENED) {
                return RecordError::Limit { path, limit };
            }
            // SQLite does not say why it could not create its log.
            if code & 0xff == 14
                && let Err(error) = try_file(&path)
            {
                return refused(&path, &error);
            }
            let verb = if code & 0xff == 8 { "write" } else { "open" };
            let message = format!("can't {verb} the database here");
            denied(&path, &files).unwrap_or(RecordError::Filesystem { path, message })
        }
        // A writer holds a lock on a byte of the log's index, by which it can be found.
        5 | 6 => RecordError::Busy { holder: holder(&beside(&path, "-shm")), path },
        10 => {
            let files = [path.clone(), beside(&path, "-wal"), beside(&path, "-shm")];
            // The log grows by whole pages of at most 64 KiB.
            match Limit::of_file_size(files.iter().map(PathBuf::as_path), 1 << 16) {
                Some(limit) => RecordError::Limit { path, limit },
                None => RecordError::Disk { path, message: format!("disk error; is the disk full? ({message})") },
            }
        }
        13 => RecordError::Disk { path, message: "the disk is full".into() },
        15 => RecordError::NoLocks(path),
        _ => RecordError::Statement { path, error },
    }
}
