//! Advisory file locks that show which process is alive and which work it has claimed. A lock vanishes with its holder,
//! so no heartbeat or timeout is needed.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use system::{files, locks};

/// How long a process that adds objects waits for another that is removing objects.
const REMOVING: Duration = Duration::from_secs(120);

/// How long a process waits for its own lock, which another process may hold briefly to test it.
const OWN: Duration = Duration::from_secs(30);

/// A held lock; dropping it removes its file.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file is removed while the lock is still held: a process that opened the file before finds, once it has
        // the lock, that the name is gone, and tries again (see `try_lock_at`).
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// The folder of lock files.
fn folder(store: &Path) -> PathBuf {
    store.join("locks")
}

/// The path of the lock that a process holds while it lives.
pub fn process_path(store: &Path, process: &str) -> PathBuf {
    folder(store).join(format!("process-{process}"))
}

/// Takes the lock `name`; `None` while it is held, by this process or another.
pub fn try_lock(store: &Path, name: &str) -> io::Result<Option<Lock>> {
    try_lock_at(folder(store).join(name))
}

/// Like [`try_lock`], for a lock file anywhere.
pub fn try_lock_at(path: PathBuf) -> io::Result<Option<Lock>> {
    use std::os::unix::fs::MetadataExt as _;
    loop {
        let file = files::open_for_locking(&path).map_err(files::at(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // If the previous holder has just removed the name, this lock is on a file that no other process will open.
        match std::fs::metadata(&path) {
            Ok(named) if named.ino() == file.metadata()?.ino() => return Ok(Some(Lock { file, path })),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// Takes this process's own lock, which shows that it is alive.
///
/// # Errors
/// If the folder can't be written, or file locks don't work there: taking the lock twice must fail.
pub fn enlist(store: &Path, process: &str) -> io::Result<Lock> {
    std::fs::create_dir_all(folder(store))?;
    let path = process_path(store, process);
    // The name is unique, but another process that sweeps or checks for living processes may hold the lock for a
    // moment, or for longer if it is suspended at that moment.
    let begun = Instant::now();
    let lock = loop {
        match try_lock_at(path.clone())? {
            Some(lock) => break lock,
            None if begun.elapsed() > OWN => {
                let words = format!("{}: another process{} holds this lock", path.display(), by(&path));
                return Err(io::Error::new(io::ErrorKind::TimedOut, words));
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    // Every output needs this file later, so open it once before anything is computed.
    drop(content_file(store)?);
    if try_lock_at(path)?.is_some() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "file locks don't work on this filesystem"));
    }
    Ok(lock)
}

/// Whether a process still holds its lock. A process whose lock can't be tested, such as another user's, counts as
/// alive, since its runs would be ended otherwise.
pub fn is_alive(store: &Path, process: &str) -> bool {
    match files::open(&process_path(store, process)) {
        Ok(file) => file.try_lock_shared().is_err(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Whether any process other than `own` holds its lock.
pub fn is_anyone_alive(store: &Path, own: Option<&str>) -> bool {
    let entries = std::fs::read_dir(folder(store)).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_prefix("process-")?.to_owned()))
        .any(|process| own != Some(process.as_str()) && is_alive(store, &process))
}

/// Removes the lock files of killed processes.
pub fn sweep(store: &Path) {
    for entry in std::fs::read_dir(folder(store)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with("process-") || name.starts_with("key-")) {
            // Taking and dropping a lock removes its file.
            drop(try_lock_at(entry.path()));
        }
    }
}

/// A shared lock on the store's content, during which nothing is removed from it.
pub fn hold_content(store: &Path) -> io::Result<File> {
    let file = content_file(store)?;
    let begun = Instant::now();
    loop {
        match file.try_lock_shared() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() < REMOVING => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                let holder = by(&folder(store).join("content"));
                let words = format!("another process{holder} has been removing objects for {} s", REMOVING.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, words));
            }
        }
    }
}

/// An exclusive lock on the store's content, for removing objects; `None` while any process is adding some.
pub fn try_own_content(store: &Path) -> io::Result<Option<File>> {
    let file = content_file(store)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn content_file(store: &Path) -> io::Result<File> {
    std::fs::create_dir_all(folder(store))?;
    let path = folder(store).join("content");
    files::open_for_locking(&path).map_err(files::at(&path))
}

/// The process that holds a file's lock, in parentheses; empty if the system does not say.
fn by(path: &Path) -> String {
    locks::holder(path).map(|holder| format!(" ({holder})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_vanishes_with_its_holder() {
        let store = tempfile::tempdir().unwrap();
        let own = enlist(store.path(), "a").unwrap();
        assert!(is_alive(store.path(), "a"));
        assert!(!is_alive(store.path(), "b"));
        assert!(is_anyone_alive(store.path(), None));
        assert!(!is_anyone_alive(store.path(), Some("a")));
        let claim = try_lock(store.path(), "key-1").unwrap().unwrap();
        assert!(try_lock(store.path(), "key-1").unwrap().is_none());
        sweep(store.path());
        assert!(is_alive(store.path(), "a"));
        drop(claim);
        assert!(try_lock(store.path(), "key-1").unwrap().is_some());
        drop(own);
        assert!(!is_alive(store.path(), "a"));
        let hold = hold_content(store.path()).unwrap();
        assert!(try_own_content(store.path()).unwrap().is_none());
        drop(hold);
        assert!(try_own_content(store.path()).unwrap().is_some());
    }

    #[test]
    fn a_process_whose_lock_can_not_be_opened_counts_as_alive() {
        let store = tempfile::tempdir().unwrap();
        let own = enlist(store.path(), "own").unwrap();
        // A link to itself, which no user can open, whatever their permissions.
        std::os::unix::fs::symlink("process-theirs", process_path(store.path(), "theirs")).unwrap();
        assert!(is_alive(store.path(), "theirs"));
        assert!(is_anyone_alive(store.path(), Some("own")));
        assert!(!is_alive(store.path(), "nobody"));
        drop(own);
    }
}
