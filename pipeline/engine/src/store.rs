//! The object store: files named by the SHA-256 of their content, `sha256/ab/cdef…`, read-only, never changed.

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

/// Bytes of an object that is read whatever its recorded size: it takes a moment.
const SMALL: u64 = 64 << 20;

/// A store folder. Shared by the threads of a process.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    cache: Mutex<StatCache>,
}

/// An object that was put, and the hold that keeps it from being removed until its reference is recorded.
#[derive(Debug)]
pub struct Put {
    /// Its name.
    pub id: ObjectId,
    /// Its size.
    pub bytes: u64,
    _hold: File,
}

/// How an object stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Its bytes are what its name says.
    Sound,
    /// There is no such file.
    Missing,
    /// Its bytes are something else; it was set aside, where that was possible.
    Damaged,
}

impl Store {
    /// Opens a store, making its folders.
    ///
    /// # Errors
    /// When they can't be made.
    pub fn open(root: &Path) -> io::Result<Self> {
        for folder in ["sha256", "locks", "logs", "tmp"] {
            let folder = root.join(folder);
            std::fs::create_dir_all(&folder).map_err(|error| match error.kind() {
                // `create_dir_all` says no more than that.
                io::ErrorKind::AlreadyExists => {
                    io::Error::new(io::ErrorKind::NotADirectory, format!("{}: not a folder", folder.display()))
                }
                _ => files::at(&folder)(error),
            })?;
        }
        Ok(Self::over(root))
    }

    /// A store that is only read: no folder is made.
    pub fn over(root: &Path) -> Self {
        Self { root: root.to_owned(), cache: Mutex::new(StatCache::load(&root.join("stat-cache"))) }
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where an object's file is, if it is there.
    pub fn path(&self, id: ObjectId) -> PathBuf {
        let name = id.to_string();
        self.root.join("sha256").join(&name[..2]).join(&name[2..])
    }

    /// A new, empty folder for an execution's outputs, on the store's filesystem.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn scratch(&self, name: &str) -> io::Result<PathBuf> {
        let folder = self.root.join("tmp").join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// The scratch folders that are there: each is named by the uid of its execution.
    pub fn scratch_folders(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.root.join("tmp")).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }

    /// Takes a finished file into the store: hashed, synced, made read-only and renamed, so that an object is there
    /// whole or not at all, also after a power cut.
    ///
    /// # Errors
    /// When the disk says so.
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

    /// Makes a file read-only, for those who can read the folder of objects: a worker may have written it for its own user
    /// alone, whatever the umask says.
    fn open_to_readers(&self, file: &Path) -> io::Result<()> {
        let mode = self.root.join("sha256").metadata()?.permissions().mode() & 0o444;
        std::fs::set_permissions(file, Permissions::from_mode(mode))
    }

    /// Sets aside what stands in place of a folder of objects.
    fn clear(&self, folder: &Path) {
        if folder.symlink_metadata().is_ok() {
            let aside = self.root.join("damaged");
            let name = format!("{}-is-no-folder", folder.file_name().unwrap_or_default().display());
            // Where that fails, so does the making of the folder, which says why.
            let _ = std::fs::create_dir_all(&aside).and_then(|()| std::fs::rename(folder, aside.join(name)));
        }
    }

    /// Looks at an object before its use; a damaged one is set aside.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn check(&self, id: ObjectId) -> io::Result<Health> {
        self.health(id, false, || None)
    }

    /// The same of an object whose recorded size `bytes` looks up: one of another size is damaged, and is not read.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn check_sized(&self, id: ObjectId, bytes: impl FnOnce() -> Option<u64>) -> io::Result<Health> {
        self.health(id, false, bytes)
    }

    /// Whether objects are there as they were when they were last read; one that may not be is for [`Self::check`] to look at.
    pub fn are_unchanged(&self, objects: &[ObjectId]) -> bool {
        let cache = self.lock();
        objects.iter().all(|id| cache.vouches(&self.path(*id), id.0))
    }

    /// Reads every byte of an object of the recorded size, whatever the cache says; a damaged one is set aside.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn verify(&self, id: ObjectId, bytes: Option<u64>) -> io::Result<Health> {
        self.health(id, true, || bytes)
    }

    fn health(&self, id: ObjectId, read: bool, bytes: impl FnOnce() -> Option<u64>) -> io::Result<Health> {
        let path = self.path(id);
        // Whatever stands in an object's place and is no file is not read: it might never end.
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
        // Asked only where the file would be read. A small one is read all the same: the record may be what is wrong.
        if !self.lock().knows(&path)
            && let Ok(there) = path.metadata()
            && there.len() > SMALL
            && let Some(bytes) = bytes()
            && there.len() != bytes
        {
            let size = there.len();
            tracing::warn!(%id, bytes, size, "of another size");
            let aside = self.root.join("damaged");
            let _ = std::fs::create_dir_all(&aside)
                .and_then(|()| std::fs::rename(&path, aside.join(format!("{id}-has-{size}-bytes"))));
            return Ok(Health::Damaged);
        }
        let read = match self.digest_of(&path) {
            // One's own file is made readable; another user's stays, and is no damage.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => match self.open_to_readers(&path) {
                Ok(()) => self.digest_of(&path),
                Err(_) => Err(error),
            },
            other => other,
        };
        let found = match read {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Health::Missing),
            // Something else stands in place of its folder; `put` sets that aside.
            Err(_) if path.parent().is_some_and(|folder| folder.symlink_metadata().is_ok() && !folder.is_dir()) => {
                return Ok(Health::Missing);
            }
            Err(error) => return Err(files::at(&path)(error)),
        };
        if found == id.0 {
            return Ok(Health::Sound);
        }
        // Nothing is condemned unread.
        self.lock().forget(&path);
        if self.digest_of(&path)? == id.0 {
            return Ok(Health::Sound);
        }
        tracing::warn!(%id, %found, "damaged");
        self.lock().forget(&path);
        // Where nothing can be written it stays, and is found damaged again at each look.
        let aside = self.root.join("damaged");
        let _ = std::fs::create_dir_all(&aside)
            .and_then(|()| std::fs::rename(&path, aside.join(format!("{id}-is-{found}"))));
        Ok(Health::Damaged)
    }

    /// The digest of a file: an object, or one outside the store, such as a corpus. It is read without the cache's lock, so
    /// that large files are hashed side by side.
    ///
    /// # Errors
    /// When it can't be read.
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

    /// Every object that is there, with its size.
    ///
    /// # Errors
    /// When the folders can't be read.
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

    /// Removes objects for which `unneeded` says so under the lock that keeps others from adding references; none
    /// while another process adds some. Says how many bytes went.
    ///
    /// # Errors
    /// When a file can't be removed.
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

    /// Writes the cache of digests down.
    pub fn save_cache(&self) {
        self.lock().save();
    }

    fn lock(&self) -> MutexGuard<'_, StatCache> {
        // A panic elsewhere leaves a cache that is at worst incomplete.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
