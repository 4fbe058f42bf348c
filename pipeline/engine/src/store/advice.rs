//! What can be done where the system refuses a file of the store.

use std::io;

use system::{files, limits};

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
