//! The object store: read-only files named by the SHA-256 of their content, `sha256/ab/cdef…`.

mod advice;
mod databases;

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::lock;
use crate::stat_cache::{Lookup, StatCache};
pub use advice::advice;
use identity::{Digest, ObjectId};
use system::files;

/// Objects up to this size are read even if their size is wrong, since that takes only a moment.
const SMALL: u64 = 64 << 20;

/// A store folder, shared by the threads of a process.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    cache: Mutex<StatCache>,
}

/// A stored object, with a lock that prevents its removal until a reference to it is recorded.
#[derive(Debug)]
pub struct Put {
    /// Its name.
    pub id: ObjectId,
    /// Its size.
    pub bytes: u64,
    _hold: File,
}

/// The condition of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Its content matches its name.
    Sound,
    /// The file does not exist.
    Missing,
    /// Its content does not match its name; it was set aside if possible.
    Damaged,
}

impl Store {
    /// Opens a store, creating its folders.
    pub fn open(root: &Path) -> io::Result<Self> {
        for folder in ["sha256", "locks", "logs", "tmp"] {
            let folder = root.join(folder);
            std::fs::create_dir_all(&folder).map_err(|error| match error.kind() {
                // The error of `create_dir_all` doesn't say which folder.
                io::ErrorKind::AlreadyExists => {
                    io::Error::new(io::ErrorKind::NotADirectory, format!("{}: not a folder", folder.display()))
                }
                _ => files::at(&folder)(error),
            })?;
        }
        Ok(Self::over(root))
    }

    /// A store for reading only: no folder is created.
    pub fn over(root: &Path) -> Self {
        Self { root: root.to_owned(), cache: Mutex::new(StatCache::load(&root.join("stat-cache"))) }
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path of an object's file, whether it exists or not.
    pub fn path(&self, id: ObjectId) -> PathBuf {
        let name = id.to_string();
        self.root.join("sha256").join(&name[..2]).join(&name[2..])
    }

    /// Creates an empty folder for an execution's outputs, on the store's filesystem.
    pub fn scratch(&self, name: &str) -> io::Result<PathBuf> {
        let folder = self.root.join("tmp").join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// The existing scratch folders, each named by the uid of its execution.
    pub fn scratch_folders(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.root.join("tmp")).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }

    /// Moves a finished file into the store: hashes, syncs, makes read-only and renames it, so that even after a power
    /// cut an object is complete or does not exist.
    pub fn put(&self, file: &Path) -> io::Result<Put> {
        let hold = lock::hold_content(&self.root)?;
        let id = ObjectId(files::digest(file)?);
        let bytes = file.metadata()?.len();
        let path = self.path(id);
        if path.exists() && self.check(id)? == Health::Sound {
            std::fs::remove_file(file)?;
        } else {
            let folder = path.parent().unwrap_or(&self.root);
            if !folder.exists() {
                self.clear(folder);
                std::fs::create_dir_all(folder)?;
                File::open(self.root.join("sha256"))?.sync_all()?;
            }
            File::open(file)?.sync_all()?;
            self.open_to_readers(file)?;
            std::fs::rename(file, &path)?;
            File::open(folder)?.sync_all()?;
        }
        tracing::debug!(%id, bytes, "put");
        Ok(Put { id, bytes, _hold: hold })
    }

    /// Makes a file read-only, and readable for every user who can read the folder of objects: a worker may have made
    /// it readable only for its own user, whatever the umask.
    fn open_to_readers(&self, file: &Path) -> io::Result<()> {
        let mode = self.root.join("sha256").metadata()?.permissions().mode() & 0o444;
        std::fs::set_permissions(file, Permissions::from_mode(mode))
    }

    /// Sets aside whatever is in place of a folder of objects.
    fn clear(&self, folder: &Path) {
        if folder.symlink_metadata().is_ok() {
            let aside = self.root.join("damaged");
            let name = format!("{}-is-no-folder", folder.file_name().unwrap_or_default().display());
            // If this fails, creating the folder fails too, and reports why.
            let _ = std::fs::create_dir_all(&aside).and_then(|()| std::fs::rename(folder, aside.join(name)));
        }
    }

    /// Checks an object before use; a damaged one is set aside.
    pub fn check(&self, id: ObjectId) -> io::Result<Health> {
        self.health(id, false, || None)
    }

    /// Like [`Self::check`], with the recorded size from `bytes`: a large object of a different size counts as damaged
    /// without being read.
    pub fn check_sized(&self, id: ObjectId, bytes: impl FnOnce() -> Option<u64>) -> io::Result<Health> {
        self.health(id, false, bytes)
    }

    /// Whether all objects are unchanged since they were last read. If not, use [`Self::check`].
    pub fn are_unchanged(&self, objects: &[ObjectId]) -> bool {
        let cache = self.lock();
        objects.iter().all(|id| cache.vouches(&self.path(*id), id.0))
    }

    /// Checks an object of recorded size `bytes` without the cache, by reading all of it; a damaged one is set aside.
    pub fn verify(&self, id: ObjectId, bytes: Option<u64>) -> io::Result<Health> {
        self.health(id, true, || bytes)
    }

    fn health(&self, id: ObjectId, read: bool, bytes: impl FnOnce() -> Option<u64>) -> io::Result<Health> {
        let path = self.path(id);
        // Anything but a regular file is not read, since that might never end.
        if files::irregular(&path).is_some() {
            self.lock().forget(&path);
            let aside = self.root.join("damaged");
            let _ = std::fs::create_dir_all(&aside)
                .and_then(|()| std::fs::rename(&path, aside.join(format!("{id}-is-no-file"))));
            return Ok(Health::Damaged);
        }
        if read {
            self.lock().forget(&path);
        }
        // The recorded size matters only if the file must be read. A small file is read anyway: the record may be
        // wrong.
        if !self.lock().knows(&path)
            && let Ok(there) = path.metadata()
            && there.len() > SMALL
            && let Some(bytes) = bytes()
            && there.len() != bytes
        {
            let size = there.len();
            tracing::warn!(%id, bytes, size, "wrong size");
            let aside = self.root.join("damaged");
            let _ = std::fs::create_dir_all(&aside)
                .and_then(|()| std::fs::rename(&path, aside.join(format!("{id}-has-{size}-bytes"))));
            return Ok(Health::Damaged);
        }
        let read = match self.digest_of(&path) {
            // Make this user's own file readable; failing for another user's file is an error, not damage.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => match self.open_to_readers(&path) {
                Ok(()) => self.digest_of(&path),
                Err(_) => Err(error),
            },
            other => other,
        };
        let found = match read {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Health::Missing),
            // Something else is in place of its folder; `put` sets that aside.
            Err(_) if path.parent().is_some_and(|folder| folder.symlink_metadata().is_ok() && !folder.is_dir()) => {
                return Ok(Health::Missing);
            }
            Err(error) => return Err(files::at(&path)(error)),
        };
        if found == id.0 {
            return Ok(Health::Sound);
        }
        // The digest may be from the cache: read the file before calling it damaged.
        self.lock().forget(&path);
        if self.digest_of(&path)? == id.0 {
            return Ok(Health::Sound);
        }
        tracing::warn!(%id, %found, "damaged");
        self.lock().forget(&path);
        // If the file can't be moved, it stays, and every check finds it damaged again.
        let aside = self.root.join("damaged");
        let _ = std::fs::create_dir_all(&aside)
            .and_then(|()| std::fs::rename(&path, aside.join(format!("{id}-is-{found}"))));
        Ok(Health::Damaged)
    }

    /// The digest of an object or of a file outside the store, such as a corpus. Reads without holding the cache's
    /// lock, so that large files are hashed in parallel.
    pub fn digest_of(&self, file: &Path) -> io::Result<Digest> {
        let looked = self.lock().look(file)?;
        match looked {
            Lookup::Known(digest) => Ok(digest),
            Lookup::Unknown(before) => {
                let digest = files::digest(file)?;
                self.lock().learn(file, before, digest, SystemTime::now())?;
                Ok(digest)
            }
        }
    }

    /// All objects in the store, with their sizes.
    pub fn objects(&self) -> io::Result<Vec<(ObjectId, u64)>> {
        let mut found = Vec::new();
        let sha256 = self.root.join("sha256");
        if !sha256.try_exists()? {
            return Ok(found);
        }
        for folder in std::fs::read_dir(sha256)? {
            let folder = folder?;
            if !folder.path().is_dir() {
                continue;
            }
            for file in std::fs::read_dir(folder.path())? {
                let file = file?;
                let name = format!("{}{}", folder.file_name().display(), file.file_name().display());
                if let Ok(id) = name.parse() {
                    found.push((id, file.metadata()?.len()));
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Removes the objects that `unneeded` returns; calls it under a lock that keeps other processes from adding
    /// references. Returns the number of bytes removed, or `None` if another process is adding objects.
    pub fn remove<E: From<io::Error>>(
        &self,
        unneeded: impl FnOnce() -> Result<Vec<ObjectId>, E>,
    ) -> Result<Option<u64>, E> {
        let Some(_own) = lock::try_own_content(&self.root)? else { return Ok(None) };
        let mut bytes = 0;
        for id in unneeded()? {
            let path = self.path(id);
            match path.symlink_metadata() {
                Ok(meta) => {
                    std::fs::remove_file(&path)?;
                    bytes += meta.len();
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
            self.lock().forget(&path);
        }
        Ok(Some(bytes))
    }

    /// Saves the cache of digests.
    pub fn save_cache(&self) {
        self.lock().save();
    }

    fn lock(&self) -> MutexGuard<'_, StatCache> {
        // After a panic elsewhere, the cache is at worst incomplete.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
