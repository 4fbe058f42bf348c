//! Files opened without waiting.
//!
//! `open` on a FIFO waits until its other end is opened, for ever if need be. So nothing that somebody else may have put
//! in a file's place is opened before its kind is known, and `O_NONBLOCK` covers a swap in between.

use identity::Digest;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What stands in the place of a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}, not a regular file")]
pub struct NotRegular(&'static str);

/// An error with the path it is about, for callers that know only the folder.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
struct PathError {
    path: PathBuf,
    error: io::Error,
}

/// Adds the path to an error that says nothing useful without it.
pub fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error + '_ {
    move |error| {
        if !is_not_regular(&error) && error.kind() != io::ErrorKind::PermissionDenied {
            return error;
        }
        io::Error::new(error.kind(), PathError { path: path.to_owned(), error })
    }
}

/// The path that [`at`] added.
pub fn path_of(error: &io::Error) -> Option<&Path> {
    error.get_ref()?.downcast_ref::<PathError>().map(|at| at.path.as_path())
}

/// Whether an error says that something else stands in a file's place.
pub fn is_not_regular(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| match inner.downcast_ref::<PathError>() {
        Some(at) => is_not_regular(&at.error),
        None => inner.is::<NotRegular>(),
    })
}

/// What stands at a path where a regular file belongs; `None` for such a file, or for nothing at all.
pub fn irregular(path: &Path) -> Option<NotRegular> {
    let followed = path.metadata();
    let kind = match &followed {
        Ok(meta) if meta.is_file() => return None,
        Ok(meta) => meta.file_type(),
        Err(_) => path.symlink_metadata().ok()?.file_type(),
    };
    Some(NotRegular(match followed {
        // A link that can be followed further than this user may go is a matter of permissions.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return None,
        Err(_) if kind.is_symlink() => "a symbolic link that leads to no file",
        Err(_) => return None,
        Ok(_) if kind.is_dir() => "a folder",
        Ok(_) if kind.is_fifo() => "a FIFO",
        Ok(_) if kind.is_socket() => "a socket",
        Ok(_) => "a device",
    }))
}

fn open_as(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let refuse = |what| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    if let Some(what) = irregular(path) {
        return refuse(what);
    }
    let file = options.custom_flags(libc::O_NONBLOCK).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => refuse(irregular(path).unwrap_or(NotRegular("something else"))),
    }
}

/// Opens a regular file for reading.
///
/// # Errors
/// When there is none, or the system refuses.
pub fn open(path: &Path) -> io::Result<File> {
    open_as(path, File::options().read(true))
}

/// The digest of a regular file's bytes.
///
/// # Errors
/// As of [`open`], and when it can't be read.
pub fn digest(path: &Path) -> io::Result<Digest> {
    Digest::of_reader(open(path)?)
}

/// Opens a regular file that is only locked, and makes it where it is missing.
///
/// # Errors
/// When something else stands there, or the system refuses.
pub fn open_for_locking(path: &Path) -> io::Result<File> {
    let writable = open_as(path, File::options().create(true).truncate(false).write(true));
    match writable {
        // Locking needs no right to write: the file may be that of another user, of whom one shares the rest.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && path.is_file() => {
            open(path).map_err(|_| error)
        }
        other => other,
    }
}

/// All bytes of a regular file.
///
/// # Errors
/// When there is none, or the system refuses.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Replaces a cache as a whole, whatever stands in its place: nothing is lost with one.
///
/// # Errors
/// When the system refuses.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(std::process::id().to_string());
    // Left by a process of the same number, which is dead.
    let _ = std::fs::remove_file(&beside);
    let write = || {
        io::Write::write_all(&mut File::options().write(true).create_new(true).open(&beside)?, bytes)?;
        if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            std::fs::rename(path, path.with_extension(format!("{}-aside", std::process::id())))?;
        }
        std::fs::rename(&beside, path)
    };
    write().inspect_err(|_| drop(std::fs::remove_file(&beside)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_regular_file_is_opened_and_nothing_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
        std::fs::create_dir(path("folder")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        for (name, target) in [("circle", "circle"), ("nowhere", "missing"), ("device", "/dev/null"), ("file", "real")]
        {
            std::os::unix::fs::symlink(target, path(name)).unwrap();
        }
        std::fs::write(path("real"), "text").unwrap();
        for (name, what) in [
            ("fifo", "a FIFO"),
            ("folder", "a folder"),
            ("socket", "a socket"),
            ("device", "a device"),
            ("circle", "a symbolic link that leads to no file"),
            ("nowhere", "a symbolic link that leads to no file"),
        ] {
            for error in [open(&path(name)).unwrap_err(), open_for_locking(&path(name)).unwrap_err()] {
                assert_eq!(error.to_string(), format!("{what}, not a regular file"), "{name}");
                let error = at(&path(name))(error);
                assert!(is_not_regular(&error) && path_of(&error) == Some(path(name).as_path()), "{name}");
            }
            if name != "device" {
                replace(&path(name), b"new").unwrap();
                assert_eq!(read(&path(name)).unwrap(), b"new", "{name}");
            }
        }
        assert_eq!(read(&path("file")).unwrap(), b"text");
        assert_eq!(open(&path("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(open_for_locking(&path("made")).is_ok() && path("made").is_file());
    }
}
