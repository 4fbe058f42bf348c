//! Writes the files that users ask for, such as plots and reports.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::format;
use session::failure::Failure;
use session::places::Paths;

/// Writes a file atomically: an existing file stays until the new one is complete.
pub fn write(path: &Path, bytes: &[u8], paths: &Paths) -> Result<(), Failure> {
    let there = std::fs::canonicalize(path).ok();
    if there.is_some() && there == std::fs::canonicalize(&paths.db).ok() {
        let message = format!("{}: this is the database", format::path(path));
        return Err(Failure::input(message, "choose another file with -o"));
    }
    put(path, there, bytes).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => "create its folder first, or choose another file with -o",
            std::io::ErrorKind::StorageFull => "free some space, or choose another disk with -o",
            _ => "use -o to choose a file that can be written",
        };
        let message = format!("{}: can't be written: {error}", format::path(path));
        match error.kind() {
            std::io::ErrorKind::StorageFull => Failure::failed(message, hint),
            _ => Failure::input(message, hint),
        }
    })
}

fn put(path: &Path, there: Option<PathBuf>, bytes: &[u8]) -> std::io::Result<()> {
    // A device or a pipe can't be replaced by a file.
    if there.as_ref().is_some_and(|there| !there.is_file()) {
        return std::fs::write(path, bytes);
    }
    let target = there.unwrap_or_else(|| path.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let permissions = match target.metadata() {
        Ok(meta) => meta.permissions(),
        Err(_) => std::fs::Permissions::from_mode(0o666),
    };
    let mut file = tempfile::Builder::new().prefix(".pipeline-").permissions(permissions).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(&target).map(|_| ()).map_err(|error| error.error)
}
