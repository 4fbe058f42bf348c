//! Recognises shortages that are not the worker's fault: of open files, threads, memory or disk space.

use std::io;

use system::limits::Limit;

/// A resource that the system or this user has run short of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// Open files.
    Files,
    /// Threads and processes.
    Threads,
    /// Memory or address space.
    Memory,
    /// Space on a disk.
    Disk,
}

/// Messages of the loader, libtorch, C++, Rust and the system by which each shortage is recognised.
const WORDS: [(Shortage, &[&str]); 4] = [
    (Shortage::Files, &["Too many open files", "os error 24)", "os error 23)", "Error 24"]),
    (
        Shortage::Memory,
        &[
            "annot allocate memory",
            "an't allocate memory",
            "memory allocation of",
            "std::bad_alloc",
            "failed to map segment",
            "annot map zero-fill pages",
            "annot create shared object descriptor",
            "annot allocate TLS",
            "os error 12)",
            "failed to allocate an alternative stack",
            "failed to set up alternative stack guard page",
        ],
    ),
    (
        Shortage::Threads,
        &["can't start the thread", "failed to spawn thread", "Thread creation failed", "os error 11)"],
    ),
    (Shortage::Disk, &["No space left on device", "os error 28)", "os error 122)"]),
];

impl Shortage {
    /// The shortage behind a system error.
    pub fn of(error: &io::Error) -> Option<Self> {
        match (error.kind(), error.raw_os_error()) {
            (_, Some(23 | 24)) => Some(Self::Files),
            (io::ErrorKind::OutOfMemory, _) => Some(Self::Memory),
            (io::ErrorKind::WouldBlock, Some(_)) => Some(Self::Threads),
            (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, _) => Some(Self::Disk),
            _ => None,
        }
    }

    /// The shortage behind a program's message.
    pub fn told(words: &str) -> Option<Self> {
        // A GPU's resources don't depend on the limits of this system.
        if words.contains("CUDA") {
            return None;
        }
        WORDS.iter().find(|(_, signs)| signs.iter().any(|sign| words.contains(sign))).map(|(what, _)| *what)
    }

    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Files => "raise the limit on open files (ulimit -n), then run the same command again",
            Self::Threads => Limit::Threads.hint(),
            Self::Memory => {
                "raise the memory limit (ulimit -v, or the container's), free memory, or lower --jobs and --threads"
            }
            Self::Disk => "free some space, then run the same command again: finished work is kept",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortages_are_recognised_by_their_messages() {
        let words = [
            ("error while loading shared libraries: a.so: failed to map segment from shared object", Shortage::Memory),
            ("a.so: cannot open shared object file: Error 24", Shortage::Files),
            ("memory allocation of 720896 bytes failed", Shortage::Memory),
            ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes", Shortage::Memory),
            ("error: can't start the thread that reads requests: … (os error 11)", Shortage::Threads),
            ("libgomp: Thread creation failed: Resource temporarily unavailable", Shortage::Threads),
            ("/store/tmp/x: No space left on device (os error 28)", Shortage::Disk),
        ];
        for (words, what) in words {
            assert_eq!(Shortage::told(words), Some(what), "{words}");
        }
        for words in ["", "libtorch is missing", "CUDA error: std::bad_alloc", "exit code 3"] {
            assert_eq!(Shortage::told(words), None, "{words}");
        }
    }
}
