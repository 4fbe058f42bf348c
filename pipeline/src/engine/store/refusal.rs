//! What a user is told where the system refuses a file of the store.

use std::io;
use std::path::Path;

use crate::failure::Failure;
use system::{files, limits, permission};

/// What can be done when the system refuses a file.
pub fn advice(error: &io::Error) -> &'static str {
    use io::ErrorKind as E;
    if let Some(advice) = limits::advice(error) {
        return advice;
    }
    if files::is_not_regular(error) {
        return "move it away, then run the same again";
    }
    match error.kind() {
        E::PermissionDenied => "make it readable and writable for this user, or name another place with --store",
        E::ReadOnlyFilesystem => "name a writable place with --db and --store",
        E::TimedOut => "see what the other process does; then run the same again",
        E::NotFound => "something removed it: run the same again",
        _ => "is the disk sound? name another place with --store",
    }
}

/// A place that can't be used, as a user sees it: `elsewhere` says how to name another.
pub fn refused(place: &Path, error: &io::Error, elsewhere: &str) -> Failure {
    // Some errors name a path of their own, which lies there.
    let own = error.to_string();
    let message = match own.starts_with(&place.display().to_string()) {
        true => own,
        false => format!("{}: {own}", place.display()),
    };
    let path = files::path_of(error).unwrap_or(place);
    let denied = || permission::unwritable(path.ancestors().take(2)).map(|denied| denied.hint);
    let hint = match error.kind() {
        _ if limits::is_outside(error) && error.kind() != io::ErrorKind::ReadOnlyFilesystem => advice(error).to_owned(),
        _ if files::is_not_regular(error) => advice(error).to_owned(),
        io::ErrorKind::PermissionDenied => denied().unwrap_or_else(|| elsewhere.to_owned()),
        io::ErrorKind::TimedOut => advice(error).to_owned(),
        _ => elsewhere.to_owned(),
    };
    // Wrong is a place where nothing can ever be written; a full disk is not.
    let passes = limits::is_outside(error) && error.kind() != io::ErrorKind::ReadOnlyFilesystem
        || error.kind() == io::ErrorKind::TimedOut;
    if passes { Failure::failed(message, hint) } else { Failure::input(message, hint) }
}
