//! The database as it was, kept beside it before it is brought to another schema.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::open::refused;
use super::{Record, RecordError, Result, beside, options};

/// What the name of a copy ends in while it is written.
const UNFINISHED: &str = ".unfinished";

/// A copy that has no name of its own yet. It is gone with the value.
pub(super) struct Aside {
    database: PathBuf,
    unfinished: PathBuf,
}

impl Aside {
    /// Copies what is committed. Whoever calls holds the write lock, so that nothing is committed until the copy has its name;
    /// and the gate, so that nobody else writes one.
    ///
    /// # Errors
    /// Where there is no room for it.
    pub(super) fn write(database: &Path) -> Result<Self> {
        let aside = Self { database: database.to_owned(), unfinished: beside(database, UNFINISHED) };
        aside.clear();
        let written = aside.fill();
        match written {
            // It has no name yet, so that the disk's failure is told of the database.
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
        // SQLite writes into an empty file, which nobody else may read from the start.
        let file = File::options().write(true).create_new(true).mode(0o600).open(&self.unfinished).map_err(failed)?;
        let mut reader = Record::connect(&self.database, options(&self.database).read_only(true))?;
        let name = self.unfinished.display().to_string();
        reader.wait(async |c| sqlx::query("VACUUM INTO ?1").bind(name).execute(c).await.map(|_| ()))?;
        drop(reader);
        file.set_permissions(Permissions::from_mode(meta.permissions().mode() & 0o7777)).map_err(failed)?;
        file.sync_all().map_err(failed)
    }

    /// Gives the copy its name, which is none that is there: `experiments.db.schema7`, or else `experiments.db.schema7-2`.
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
    /// Removes what is unfinished, also by a process that was killed: its journal would be played back into the next copy.
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

/// Removes a copy of a database that stays as it is. Where that fails the next attempt removes it, or it does no harm.
pub(super) fn remove(copy: &Path) {
    let _ = std::fs::remove_file(copy);
}

fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
