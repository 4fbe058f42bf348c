//! Recognises errors caused by a lack of resources, and the limits that this process has reached.

use std::io;
use std::path::Path;

/// Whether an error has an outside cause: a full disk or quota, a limit, a failing disk. The request itself was valid,
/// and may succeed later.
pub fn is_outside(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    let kinds = [E::StorageFull, E::QuotaExceeded, E::FileTooLarge, E::ReadOnlyFilesystem, E::OutOfMemory];
    // There is no kind for a failing disk or too many open files.
    let numbers = [libc::EIO, libc::EMFILE, libc::ENFILE];
    kinds.contains(&error.kind()) || error.raw_os_error().is_some_and(|number| numbers.contains(&number))
}

/// What to do about an outside cause; `None` if that depends on the request.
pub fn advice(error: &io::Error) -> Option<&'static str> {
    use io::ErrorKind as E;
    match (error.kind(), error.raw_os_error()) {
        (E::StorageFull | E::QuotaExceeded, _) => {
            Some("free some space, then run the same command again: finished work is kept")
        }
        (E::FileTooLarge, _) => Some(Limit::FILE_SIZE),
        (_, Some(libc::EMFILE)) => Some(Limit::OPEN_FILES),
        (_, Some(libc::ENFILE)) => {
            Some("close other programs, or raise the system's limit on open files (sysctl fs.file-max)")
        }
        (E::OutOfMemory, _) => Some("free some memory, then run the same command again: finished work is kept"),
        _ => None,
    }
}

/// A limit that this process has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// The number of open files: `ulimit -n`.
    #[error("the limit on open files is too low (ulimit -n)")]
    OpenFiles,
    /// The number of threads: `ulimit -u`, or a container's limit.
    #[error("can't start another thread (ulimit -u, or a container's pids limit)")]
    Threads,
    /// The size of a file in bytes: `ulimit -f`.
    #[error("a file has reached the size limit of {0} bytes (ulimit -f)")]
    FileSize(u64),
}

impl Limit {
    const OPEN_FILES: &'static str = "to raise the limit on open files: ulimit -n 4096";
    const THREADS: &'static str = "raise the limit on processes and threads (ulimit -u, or a container's pids limit), \
                                   or use fewer --jobs and --threads";
    const FILE_SIZE: &'static str = "to raise the limit on file sizes: ulimit -f unlimited";

    /// The hint to show.
    pub fn hint(self) -> &'static str {
        match self {
            Self::OpenFiles => Self::OPEN_FILES,
            Self::Threads => Self::THREADS,
            Self::FileSize(_) => Self::FILE_SIZE,
        }
    }

    /// The limit on open files, if fewer than `needed` are left.
    pub fn of_open_files(needed: u64) -> Option<Self> {
        let look = || Ok((soft("Max open files")?, std::fs::read_dir("/proc/self/fd")?.count() as u64));
        match look() {
            // One of the open files is the folder being read.
            Ok((limit, open)) => limit.is_some_and(|limit| open - 1 + needed > limit).then_some(Self::OpenFiles),
            Err(error) => is_spent(&error).then_some(Self::OpenFiles),
        }
    }

    /// The limit on file sizes, if one of some files is within `block` bytes of it.
    pub fn of_file_size<'p>(files: impl IntoIterator<Item = &'p Path>, block: u64) -> Option<Self> {
        let limit = soft("Max file size").ok()??;
        let largest = files.into_iter().filter_map(|file| Some(file.metadata().ok()?.len())).max()?;
        (largest.saturating_add(block) > limit).then_some(Self::FileSize(limit))
    }
}

fn is_spent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// A soft limit of this process; `None` if it is unlimited.
fn soft(name: &str) -> io::Result<Option<u64>> {
    let text = std::fs::read_to_string("/proc/self/limits")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    Ok(line.split_whitespace().next().and_then(|number| number.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_causes_are_distinguished_from_others() {
        for number in [libc::ENOSPC, libc::EDQUOT, libc::EFBIG, libc::EROFS, libc::EMFILE, libc::ENFILE, libc::EIO] {
            assert!(is_outside(&io::Error::from_raw_os_error(number)), "{number}");
        }
        for number in [libc::ENOENT, libc::EACCES, libc::ENOTDIR, libc::ELOOP] {
            assert!(!is_outside(&io::Error::from_raw_os_error(number)), "{number}");
        }
    }

    #[test]
    fn limits_of_this_process_are_read() {
        let limit = soft("Max open files").unwrap().unwrap();
        assert_eq!(Limit::of_open_files(0), None);
        assert_eq!(Limit::of_open_files(limit), Some(Limit::OpenFiles));
        assert_eq!(soft("Max nonsense").unwrap(), None);
    }
}
