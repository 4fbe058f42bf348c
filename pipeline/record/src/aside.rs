//! Makes a copy of the database, in the same folder, before its schema is updated.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::open::refused;
use super::{Record, RecordError, Result, beside, options};

/// The ending of a copy's name while it is being written.
const UNFINISHED: &str = ".unfinished";

/// A copy without its final name. It is removed when the value is dropped.
pub(super) struct Aside {
    database: PathBuf,
    unfinished: PathBuf,
}

impl Aside {
    /// Copies the committed rows. The caller holds the write lock, so that nothing more is committed until the copy has
    /// its final name, and the gate, so that no other process writes a copy at the same time.
    ///
    /// # Errors
    /// [`RecordError::NoRoom`] if the disk is full.
    pub(super) fn write(database: &Path) -> Result<Self> {
        let aside = Self { database: database.to_owned(), unfinished: beside(database, UNFINISHED) };
        aside.clear();
        let written = aside.fill();
        match written {
            // The copy has no name yet, so the error names the database.
            Err(RecordError::Disk { .. }) => Err(RecordError::NoRoom {
                path: database.to_owned(),
                bytes: database.metadata().map_or(0, |meta| meta.len()),
            }),
            other => other.map(|()| aside),
        }
    }

    fn fill(&self) -> Result<()> {
        let failed = |error: io::Error| refused(&self.unfinished, &error);
        let meta = self.database.metadata().map_err(|error| refused(&self.database, &error))?;
        // VACUUM INTO accepts an empty file, so create one that other users can't read.
        let file = File::options().write(true).create_new(true).mode(0o600).open(&self.unfinished).map_err(failed)?;
        let mut reader = Record::connect(&self.database, options(&self.database).read_only(true))?;
        let name = self.unfinished.display().to_string();
        reader.wait(async |c| sqlx::query("VACUUM INTO ?1").bind(name).execute(c).await.map(|_| ()))?;
        drop(reader);
        file.set_permissions(Permissions::from_mode(meta.permissions().mode() & 0o7777)).map_err(failed)?;
        file.sync_all().map_err(failed)
    }

    /// Gives the copy a name that is not taken: `experiments.db.schema7`, or else `experiments.db.schema7-2`.
    pub(super) fn name(self, version: i64) -> Result<PathBuf> {
        let taken = |path: &Path| path.symlink_metadata().is_ok();
        let first = beside(&self.database, &format!(".schema{version}"));
        let others = (2..).map(|number| beside(&self.database, &format!(".schema{version}-{number}")));
        let path = std::iter::once(first).chain(others).find(|path| !taken(path)).unwrap_or_default();
        let renamed = std::fs::rename(&self.unfinished, &path).and_then(|()| sync_folder(&path));
        renamed.map_err(|error| {
            remove(&path);
            refused(&path, &error)
        })?;
        Ok(path)
    }
}

impl Aside {
    /// Removes an unfinished copy, possibly left by a killed process, and its journal, which SQLite would replay into
    /// the next copy.
    fn clear(&self) {
        remove(&self.unfinished);
        remove(&beside(&self.unfinished, "-journal"));
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Removes a copy that is not needed because the database was not changed. If that fails, the copy does no harm.
pub(super) fn remove(copy: &Path) {
    let _ = std::fs::remove_file(copy);
}

fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
