//! The log file of a worker, which receives its standard error.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stages::plain;

use system::files;

/// Maximum bytes of one order's log. It is ample, since a normal worker writes a line every five seconds.
const LONGEST: u64 = 64 << 20;

/// Bytes kept at the beginning of a longer log.
const KEPT: u64 = 1 << 20;

/// Time between two checks of its size.
const EVERY: Duration = Duration::from_millis(250);

/// Bytes at the end of the log to search for the last output, which a long backtrace may follow.
const LAST_WORDS: u64 = 1 << 16;

/// Maximum number of characters in the last output.
const LONGEST_WORDS: usize = 600;

#[derive(Debug)]
pub(super) struct Log {
    pub(super) path: PathBuf,
    /// Where the current order's part begins.
    from: u64,
    looked: Instant,
}

impl Log {
    /// Opens the log at `path`; also returns the file, in append mode, for a worker to write to.
    pub(super) fn open(path: &Path) -> io::Result<(Self, File)> {
        let file = File::options().create(true).append(true).open(path)?;
        let from = file.metadata()?.len();
        Ok((Self { path: path.to_owned(), from, looked: Instant::now() }, file))
    }

    /// Starts the part of a new order, and returns its offset.
    pub(super) fn begin(&mut self) -> u64 {
        // The previous order's part may have grown since the last check.
        self.cut();
        self.from = self.length();
        self.from
    }

    pub(super) fn length(&self) -> u64 {
        self.path.metadata().map_or(0, |meta| meta.len())
    }

    /// Truncates a log that would fill the disk, keeping its beginning; new output is appended.
    pub(super) fn keep_within(&mut self) {
        if self.looked.elapsed() < EVERY {
            return;
        }
        self.looked = Instant::now();
        self.cut();
    }

    fn cut(&self) {
        if self.length().saturating_sub(self.from) > LONGEST {
            let cut = || -> io::Result<()> {
                let mut file = OpenOptions::new().append(true).open(&self.path)?;
                file.set_len(self.from + KEPT)?;
                writeln!(file, "\n[pipeline: log truncated here because it exceeded {} MiB]", LONGEST >> 20)
            };
            // The next check tries again.
            let _ = cut();
        }
    }

    /// The last lines of the log, joined to one.
    pub(super) fn last_words(&self) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = files::open(&self.path)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS)))?;
            let mut bytes = Vec::new();
            file.take(LAST_WORDS).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        last_words(&read().unwrap_or_default())
    }
}

impl Drop for Log {
    /// The worker may have written more since the last check.
    fn drop(&mut self) {
        self.cut();
    }
}

/// The last lines of a program's output, joined to one.
pub(super) fn last_words(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    // The cause is before the backtrace.
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("stack backtrace"));
    // Skip the hint on how to get a backtrace.
    let said = |line: &&str| !line.is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE");
    let lines: Vec<&str> = lines.filter(said).collect();
    brief(&lines[lines.len().saturating_sub(3)..].join(" / "), LONGEST_WORDS)
}

/// A worker's text as one line of bounded length, safe to print on a terminal.
pub fn brief(text: &str, longest: usize) -> String {
    // Truncate first: a message can have 64 MiB, and escapes are several times as long as their characters.
    match text.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", plain::line(&text[..at])),
        None => plain::line(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_log_keeps_its_beginning_and_its_newest_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "of an earlier order\n").unwrap();
        let (mut log, mut file) = Log::open(&path).unwrap();
        let block = vec![b'x'; 1 << 20];
        writeln!(file, "it begins").unwrap();
        for _ in 0..=LONGEST >> 20 {
            file.write_all(&block).unwrap();
        }
        log.looked = Instant::now().checked_sub(EVERY).unwrap();
        log.keep_within();
        writeln!(file, "still here").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.len() < 2 << 20 && text.starts_with("of an earlier order\nit begins\nx"), "{} bytes", text.len());
        assert!(text.ends_with("exceeded 64 MiB]\nstill here\n"), "{}", &text[text.len() - 100..]);
        assert_eq!(log.begin(), text.len() as u64);
    }

    #[test]
    fn the_last_output_is_short_and_escaped() {
        assert_eq!(last_words(b"a\nb\n\n c\x1b[2J\nd\nstack backtrace:\n 1: x\n"), "b / c\\u{1b}[2J / d");
        let note =
            b"memory allocation of 9 bytes failed\nnote: run with `RUST_BACKTRACE=1` environment variable to display";
        assert_eq!(last_words(note), "memory allocation of 9 bytes failed");
        let long = last_words(&[b'y'; 5000]);
        assert!(long.ends_with("y…") && long.chars().count() == LONGEST_WORDS + 1);
    }
}
