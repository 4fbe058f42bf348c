//! Hints for system errors on files of the store.

use std::io;

use system::{files, limits};

/// A hint for a system error on a file.
pub fn advice(error: &io::Error) -> &'static str {
    use io::ErrorKind as E;
    if let Some(advice) = limits::advice(error) {
        return advice;
    }
    if files::is_not_regular(error) {
        return "move it away, then run the same command again";
    }
    match error.kind() {
        E::PermissionDenied => "make it readable and writable for this user, or choose another folder with --store",
        E::ReadOnlyFilesystem => "choose writable paths with --db and --store",
        E::TimedOut => "check the other process, then run the same command again",
        E::NotFound => "the file was removed; run the same command again",
        _ => "check the disk, or choose another folder with --store",
    }
}
