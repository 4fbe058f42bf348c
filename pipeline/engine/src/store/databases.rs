//! Keeps a note of each database that has objects in a store, since one database may need an object that another does
//! not.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::Store;
use crate::lock;
use identity::Digest;
use system::files;

/// Prefix of a note's name while it is being written; the identifier of the process follows.
const NEW_NOTE: &str = "new-";

impl Store {
    /// Notes that a database keeps its objects here. Each note is a separate file, so that concurrent processes don't
    /// conflict.
    /// If the database's folder contains the store, its path is relative to the store, so that both can be moved
    /// together.
    pub fn enrol(&self, database: &Path, process: &str) -> io::Result<()> {
        let (path, root) = (database.canonicalize()?, self.root.canonicalize()?);
        let way = path.parent().and_then(|folder| root.strip_prefix(folder).ok()).map(|below| {
            let up: PathBuf = below.components().map(|_| "..").collect();
            up.join(path.file_name().unwrap_or_default())
        });
        let noted = way.unwrap_or(path).into_os_string().into_encoded_bytes();
        let folder = self.root.join("databases");
        let file = folder.join(Digest::of(&noted).to_string());
        self.sweep_notes(&folder);
        // A power cut may have left an empty note.
        if files::read(&file).is_ok_and(|there| there == noted) {
            return Ok(());
        }
        std::fs::create_dir_all(&folder)?;
        let beside = folder.join(format!("{NEW_NOTE}{process}"));
        std::fs::write(&beside, noted)?;
        File::open(&beside)?.sync_all()?;
        std::fs::rename(beside, file)
    }

    /// Removes unfinished notes of killed processes.
    fn sweep_notes(&self, folder: &Path) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let process = name.to_str().and_then(|name| name.strip_prefix(NEW_NOTE));
            if process.is_some_and(|process| !lock::is_alive(&self.root, process)) {
                // If this fails, the next call tries again.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// The databases other than `own` that keep objects here, each with its note. A database that can't be found is
    /// included, since it may be only temporarily absent.
    pub fn other_databases(&self, own: &Path) -> Vec<(PathBuf, PathBuf)> {
        let own = own.canonicalize().ok();
        let entries = std::fs::read_dir(self.root.join("databases")).into_iter().flatten().flatten();
        let noted = entries.filter_map(|entry| {
            let path = files::read(&entry.path()).ok()?;
            let path = self.root.join(PathBuf::from(std::ffi::OsString::from_vec(path)));
            // A missing database can't be canonicalised, but its folder may exist.
            let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
            let real = folder.map(|folder| folder.join(path.file_name().unwrap_or_default()));
            Some((path.canonicalize().ok().or(real).unwrap_or(path), entry.path()))
        });
        noted.filter(|(path, file)| is_digest(file) && Some(path) != own.as_ref()).collect()
    }
}

/// Whether a file is named like a finished note.
fn is_digest(file: &Path) -> bool {
    file.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.parse::<Digest>().is_ok())
}
