//! Opening a database: what stands in its place, who passes first, and what a refusal means to a user.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{BUSY, OPENED, RecordError, Result, beside};
use system::files;
use system::limits::{self, Limit};
use system::{locks, permission};

/// Files that SQLite, and this program, keep beside a database.
pub const BESIDE: [&str; 4] = ["-wal", "-shm", "-journal", "-open"];

/// SQLite's code for a file that ends where a page should go on.
const SHORT_READ: i64 = 522;

/// Refuses a path that SQLite can't be given.
pub(super) fn check_name(path: &Path) -> Result<()> {
    if path.to_str().is_some() { Ok(()) } else { Err(RecordError::NotUtf8(path.to_owned())) }
}

/// Refuses to make a database under a name that SQLite, or this program, gives to a file beside one: the next run there would
/// overwrite it. One that has such a name already is used as it is.
pub(super) fn check_new_name(path: &Path) -> Result<()> {
    let name = path.to_string_lossy();
    match BESIDE.into_iter().find(|ending| name.ends_with(ending)) {
        Some(ending) if !path.exists() => Err(RecordError::Reserved { path: path.to_owned(), ending }),
        _ => Ok(()),
    }
}

/// Refuses what SQLite would wait for, or stumble over: the database and the files beside it are regular files.
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

/// What the system's refusal of a file means to a user.
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

/// The permission that this user lacks to write some files in the database's folder, or the folder itself.
fn denied(path: &Path, files: &[PathBuf]) -> Option<RecordError> {
    if let Some(denied) = permission::unreadable(path) {
        return Some(RecordError::Denied(denied));
    }
    permission::unwritable(files.iter().map(PathBuf::as_path).chain(path.parent())).map(RecordError::Denied)
}

/// Two processes that meet on a fresh file race for the journal's mode as well as for the tables: one at a time passes
/// this gate, as long as it holds the file.
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

/// Makes the database's file where there is none. SQLite's own would be 0644 whatever the umask allows, and the log
/// beside it gets the mode of the database.
pub(super) fn make(path: &Path) -> Result<()> {
    // One that is there is not touched: to close it would free the locks of every connection of this process to it.
    match std::fs::File::options().write(true).create_new(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(refused(path, &error)),
    }
}

/// Whether a file can be made beside the database.
fn try_file(path: &Path) -> std::io::Result<()> {
    let tried = beside(path, &format!("-try-{}", std::process::id()));
    std::fs::File::options().write(true).create_new(true).open(&tried)?;
    std::fs::remove_file(&tried)
}

/// Who holds a lock, as a parenthesis; nothing where the system does not tell.
fn holder(path: &Path) -> String {
    locks::holder(path).map(|holder| format!(" ({holder})")).unwrap_or_default()
}

/// Says what a driver's error means to a user.
pub(super) fn explain(path: &Path, error: sqlx::Error) -> RecordError {
    let path = path.to_owned();
    let code = match &error {
        sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<i64>().ok()).unwrap_or(0),
        _ => 0,
    };
    // The driver starts a thread that speaks to SQLite.
    if let sqlx::Error::Io(error) = &error
        && error.kind() == std::io::ErrorKind::WouldBlock
    {
        return RecordError::Limit { path, limit: Limit::Threads };
    }
    // Without the driver's own words around SQLite's.
    let message = match &error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        error => error.to_string(),
    };
    // A damaged schema is quoted as it is.
    let message: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if let sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) = error {
        return RecordError::Damaged { path, message };
    }
    // A truncated file ends within a page; SQLite counts that among the disk's failures.
    if code == SHORT_READ {
        return RecordError::Damaged { path, message: "the file is too short".to_owned() };
    }
    // The low byte is SQLite's primary result code.
    match code & 0xff {
        11 | 26 => RecordError::Damaged { path, message },
        // Our own statements fit our own schema.
        1 if message.starts_with("no such ") => RecordError::Altered { path, message, version: None },
        8 | 14 => {
            let files = [path.clone(), beside(&path, "-wal"), beside(&path, "-shm")];
            if let Some(limit) = Limit::of_open_files(OPENED) {
                return RecordError::Limit { path, limit };
            }
            // SQLite does not say why it could not make its log.
            if code & 0xff == 14
                && let Err(error) = try_file(&path)
            {
                return refused(&path, &error);
            }
            let verb = if code & 0xff == 8 { "written" } else { "opened" };
            let message = format!("the database can't be {verb} here");
            denied(&path, &files).unwrap_or(RecordError::Filesystem { path, message })
        }
        // Who writes holds a byte of the log's index.
        5 | 6 => RecordError::Busy { holder: holder(&beside(&path, "-shm")), path },
        10 => {
            let files = [path.clone(), beside(&path, "-wal"), beside(&path, "-shm")];
            // A page with its header in the log.
            match Limit::of_file_size(files.iter().map(PathBuf::as_path), 1 << 16) {
                Some(limit) => RecordError::Limit { path, limit },
                None => RecordError::Disk { path, message: format!("the disk failed; is it full? ({message})") },
            }
        }
        13 => RecordError::Disk { path, message: "the disk is full".into() },
        15 => RecordError::NoLocks(path),
        _ => RecordError::Statement { path, error },
    }
}
