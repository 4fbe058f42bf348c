//! Which databases keep their objects in a store, each noted by a file: what one does not need another may.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::Store;
use crate::lock;
use identity::Digest;
use system::files;

/// How the name of a database's note begins while a process writes it; the process stands behind.
const NEW_NOTE: &str = "new-";

impl Store {
    /// Notes that a database keeps its objects here: one small file each, so that two at once are in nobody's way. A
    /// database whose folder holds the store is noted by its way from there, so that both can be moved together.
    ///
    /// # Errors
    /// When it can't be written.
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
        // A power cut may have left an empty one.
        if files::read(&file).is_ok_and(|there| there == noted) {
            return Ok(());
        }
        std::fs::create_dir_all(&folder)?;
        let beside = folder.join(format!("{NEW_NOTE}{process}"));
        std::fs::write(&beside, noted)?;
        File::open(&beside)?.sync_all()?;
        std::fs::rename(beside, file)
    }

    /// Removes notes that processes were writing when they were killed.
    fn sweep_notes(&self, folder: &Path) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let process = name.to_str().and_then(|name| name.strip_prefix(NEW_NOTE));
            if process.is_some_and(|process| !lock::is_alive(&self.root, process)) {
                // What can't be removed is tried again the next time.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// The databases other than `own` that keep their objects here, each with the file that notes it: what one record
    /// does not need another may. One that is not to be found may only be elsewhere for now.
    pub fn other_databases(&self, own: &Path) -> Vec<(PathBuf, PathBuf)> {
        let own = own.canonicalize().ok();
        let entries = std::fs::read_dir(self.root.join("databases")).into_iter().flatten().flatten();
        let noted = entries.filter_map(|entry| {
            let path = files::read(&entry.path()).ok()?;
            let path = self.root.join(PathBuf::from(std::ffi::OsString::from_vec(path)));
            // One that is not there has a folder at the most.
            let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
            let real = folder.map(|folder| folder.join(path.file_name().unwrap_or_default()));
            Some((path.canonicalize().ok().or(real).unwrap_or(path), entry.path()))
        });
        noted.filter(|(path, file)| is_digest(file) && Some(path) != own.as_ref()).collect()
    }
}

/// Whether a file is named as a database is noted, and not still being written.
fn is_digest(file: &Path) -> bool {
    file.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.parse::<Digest>().is_ok())
}
