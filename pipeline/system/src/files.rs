//! Opens files without blocking.
//!
//! `open` on a FIFO blocks until its other end is opened, possibly forever. So the kind of a file is checked before it
//! is opened, in case another program has replaced it, and `O_NONBLOCK` covers a replacement after that check.

use identity::Digest;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What was found in place of a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a regular file, but {0}")]
pub struct NotRegular(&'static str);

/// An error with its path, for callers that know only the folder.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
struct PathError {
    path: PathBuf,
    error: io::Error,
}

/// Adds the path to an error whose message would not help without it.
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

/// Whether an error is [`NotRegular`].
pub fn is_not_regular(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| match inner.downcast_ref::<PathError>() {
        Some(at) => is_not_regular(&at.error),
        None => inner.is::<NotRegular>(),
    })
}

/// What is at a path instead of a regular file; `None` if it is a regular file or does not exist.
pub fn irregular(path: &Path) -> Option<NotRegular> {
    let followed = path.metadata();
    let kind = match &followed {
        Ok(meta) if meta.is_file() => return None,
        Ok(meta) => meta.file_type(),
        Err(_) => path.symlink_metadata().ok()?.file_type(),
    };
    Some(NotRegular(match followed {
        // A link into a folder that this user can't search is a matter of permissions.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return None,
        Err(_) if kind.is_symlink() => "a dangling symbolic link",
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
        false => refuse(irregular(path).unwrap_or(NotRegular("a special file"))),
    }
}

/// Opens a regular file for reading.
///
/// # Errors
/// [`NotRegular`], or the system's error.
pub fn open(path: &Path) -> io::Result<File> {
    open_as(path, File::options().read(true))
}

/// The digest of a regular file's bytes.
///
/// # Errors
/// As for [`open`], and if the file can't be read.
pub fn digest(path: &Path) -> io::Result<Digest> {
    Digest::of_reader(open(path)?)
}

/// Opens a regular file in order to lock it, and creates it if missing.
///
/// # Errors
/// [`NotRegular`], or the system's error.
pub fn open_for_locking(path: &Path) -> io::Result<File> {
    let writable = open_as(path, File::options().create(true).truncate(false).write(true));
    match writable {
        // Locking needs no write permission: the file may belong to another user who shares the folder.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && path.is_file() => {
            open(path).map_err(|_| error)
        }
        other => other,
    }
}

/// All bytes of a regular file.
///
/// # Errors
/// [`NotRegular`], or the system's error.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Replaces a cache file as a whole, whatever is in its place.
///
/// # Errors
/// The system's error.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(std::process::id().to_string());
    // A dead process with the same process id may have left a file there.
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
    fn only_regular_files_are_opened_and_nothing_blocks() {
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
            ("circle", "a dangling symbolic link"),
            ("nowhere", "a dangling symbolic link"),
        ] {
            for error in [open(&path(name)).unwrap_err(), open_for_locking(&path(name)).unwrap_err()] {
                assert_eq!(error.to_string(), format!("not a regular file, but {what}"), "{name}");
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
