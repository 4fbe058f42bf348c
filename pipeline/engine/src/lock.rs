//! Claims and liveness by advisory file locks: they vanish with their holder, so there is no heartbeat and no timeout.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use system::{files, locks};

/// How long somebody who adds objects waits for somebody who removes some.
const REMOVING: Duration = Duration::from_secs(120);

/// How long a process waits for its own lock, at which another may look for a moment.
const OWN: Duration = Duration::from_secs(30);

/// A held lock; its file goes with it.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while the lock is still held: whoever opened the file before finds, once it has the lock, that the
        // name is gone, and tries anew (see `try_lock`).
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// The folder of lock files.
fn folder(store: &Path) -> PathBuf {
    store.join("locks")
}

/// The lock that a living process holds.
pub fn process_path(store: &Path, process: &str) -> PathBuf {
    folder(store).join(format!("process-{process}"))
}

/// Takes the lock `name`; `None` while another holds it, in this process or any other.
///
/// # Errors
/// When the folder can't be written, or the filesystem has no working locks.
pub fn try_lock(store: &Path, name: &str) -> io::Result<Option<Lock>> {
    try_lock_at(folder(store).join(name))
}

/// The same of a lock file anywhere.
///
/// # Errors
/// As of [`try_lock`].
pub fn try_lock_at(path: PathBuf) -> io::Result<Option<Lock>> {
    use std::os::unix::fs::MetadataExt as _;
    loop {
        let file = files::open_for_locking(&path).map_err(files::at(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // A holder that ended in between removed the name: then this lock is on a file that nobody else will open.
        match std::fs::metadata(&path) {
            Ok(named) if named.ino() == file.metadata()?.ino() => return Ok(Some(Lock { file, path })),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// Takes this process's own lock, which says that it lives.
///
/// # Errors
/// When the folder can't be written, or locks do not work there: a lock that can be taken twice is none.
pub fn enlist(store: &Path, process: &str) -> io::Result<Lock> {
    std::fs::create_dir_all(folder(store))?;
    let path = process_path(store, process);
    // The name is nobody else's; but another process that sweeps, or looks who lives, may hold the lock for a moment; one
    // that is stopped in that moment, for longer.
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
    // What every output needs later is looked at now, before anything is computed.
    drop(content_file(store)?);
    if try_lock_at(path)?.is_some() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "this filesystem has no working file locks"));
    }
    Ok(lock)
}

/// Whether a process still holds its lock. One whose lock can't be looked at, another user's for one, may well live: to take
/// it for dead would end its runs.
pub fn is_alive(store: &Path, process: &str) -> bool {
    match files::open(&process_path(store, process)) {
        Ok(file) => file.try_lock_shared().is_err(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Whether any process but `own` holds its lock.
pub fn is_anyone_alive(store: &Path, own: Option<&str>) -> bool {
    let entries = std::fs::read_dir(folder(store)).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_prefix("process-")?.to_owned()))
        .any(|process| own != Some(process.as_str()) && is_alive(store, &process))
}

/// Removes the lock files that killed processes left.
pub fn sweep(store: &Path) {
    for entry in std::fs::read_dir(folder(store)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with("process-") || name.starts_with("key-")) {
            // Taking it and letting it go removes it.
            drop(try_lock_at(entry.path()));
        }
    }
}

/// A shared hold on the store's content, during which nothing is removed from it.
///
/// # Errors
/// When the folder can't be written.
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

/// The right to remove objects; `None` while any process is adding some.
///
/// # Errors
/// When the folder can't be written.
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

/// Who holds a file's lock, as a parenthesis; nothing where the system does not tell.
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
    fn who_holds_a_lock_that_can_not_be_opened_may_well_live() {
        let store = tempfile::tempdir().unwrap();
        let own = enlist(store.path(), "own").unwrap();
        // Nobody can open this, whatever they may read: it leads to itself.
        std::os::unix::fs::symlink("process-theirs", process_path(store.path(), "theirs")).unwrap();
        assert!(is_alive(store.path(), "theirs"));
        assert!(is_anyone_alive(store.path(), Some("own")));
        assert!(!is_alive(store.path(), "nobody"));
        drop(own);
    }
}
