//! The file that a worker's words for people go to.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stages::plain;

use system::files;

/// The most bytes that the log of one order may grow to: an honest worker writes a line in five seconds.
const LONGEST: u64 = 64 << 20;

/// Of a longer one, the beginning that is kept.
const KEPT: u64 = 1 << 20;

/// Between two looks at its size.
const EVERY: Duration = Duration::from_millis(250);

/// Bytes in which last words are looked for: a backtrace behind them may be long.
const LAST_WORDS: u64 = 1 << 16;

/// Characters of last words.
const LONGEST_WORDS: usize = 600;

#[derive(Debug)]
pub(super) struct Log {
    pub(super) path: PathBuf,
    /// Where the present order's part begins.
    from: u64,
    looked: Instant,
}

impl Log {
    /// The log at `path`, and the file as a worker writes to it: always at its end, wherever that is.
    ///
    /// # Errors
    /// When it can't be opened.
    pub(super) fn open(path: &Path) -> io::Result<(Self, File)> {
        let file = File::options().create(true).append(true).open(path)?;
        let from = file.metadata()?.len();
        Ok((Self { path: path.to_owned(), from, looked: Instant::now() }, file))
    }

    /// An order begins: where its part does.
    pub(super) fn begin(&mut self) -> u64 {
        // What came of the last one since it was last looked at.
        self.cut();
        self.from = self.length();
        self.from
    }

    pub(super) fn length(&self) -> u64 {
        self.path.metadata().map_or(0, |meta| meta.len())
    }

    /// Cuts the middle out of a log that would fill the disk: what it began with stays, and what comes next.
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
                writeln!(file, "\n[pipeline: cut here, since this part of the log grew beyond {} MiB]", LONGEST >> 20)
            };
            // The next look tries again.
            let _ = cut();
        }
    }

    /// Its last lines, on one.
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
    /// A worker that has ended may have written more since it was last looked at.
    fn drop(&mut self) {
        self.cut();
    }
}

/// The last lines of what a program said, on one.
pub(super) fn last_words(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    // A backtrace is for the log; what was said before it is why.
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("stack backtrace"));
    // Nor is advice on how to get one.
    let said = |line: &&str| !line.is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE");
    let lines: Vec<&str> = lines.filter(said).collect();
    brief(&lines[lines.len().saturating_sub(3)..].join(" / "), LONGEST_WORDS)
}

/// A worker's text as a line of bounded length that a terminal only shows.
pub fn brief(text: &str, longest: usize) -> String {
    // Cut first: a message may have 64 MiB, and an escape is several times as long as its character.
    match text.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", plain::line(&text[..at])),
        None => plain::line(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_without_end_keeps_its_beginning_and_its_newest_words() {
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
        assert!(text.ends_with("grew beyond 64 MiB]\nstill here\n"), "{}", &text[text.len() - 100..]);
        assert_eq!(log.begin(), text.len() as u64);
    }

    #[test]
    fn last_words_are_short_and_plain() {
        assert_eq!(last_words(b"a\nb\n\n c\x1b[2J\nd\nstack backtrace:\n 1: x\n"), "b / c\\u{1b}[2J / d");
        let note =
            b"memory allocation of 9 bytes failed\nnote: run with `RUST_BACKTRACE=1` environment variable to display";
        assert_eq!(last_words(note), "memory allocation of 9 bytes failed");
        let long = last_words(&[b'y'; 5000]);
        assert!(long.ends_with("y…") && long.chars().count() == LONGEST_WORDS + 1);
    }
}
