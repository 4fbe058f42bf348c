//! Reads part of a text file as blocks of valid UTF-8.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::StageError;

/// A text file of the corpus.
#[derive(Debug)]
pub(crate) struct Text {
    path: PathBuf,
    file: File,
    /// The experiment's key that names the file, for messages.
    key: String,
    start: u64,
    length: u64,
    block: usize,
}

/// Some editors write this mark at the start of a UTF-8 file; it is not text.
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

impl Text {
    /// Opens the file that the experiment names under `key`; `block` is the number of bytes per read, at least 4.
    pub(crate) fn open(path: &Path, key: String, block: usize) -> Result<Self, StageError> {
        let file = File::open(path).map_err(StageError::io(path))?;
        let length = file.metadata().map_err(StageError::io(path))?.len();
        let mut first = [0; 3];
        let marked = length >= 3 && file.read_exact_at(&mut first, 0).is_ok() && first == BYTE_ORDER_MARK;
        Ok(Self { path: path.to_owned(), file, key, start: if marked { 3 } else { 0 }, length, block })
    }

    /// The offset of the text, after a byte order mark.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// The size of the file in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// The experiment's key that names the file.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The offset of the first line that starts at or after byte `from`; the file's size if there is none.
    pub(crate) fn line_start(&self, from: u64) -> Result<u64, StageError> {
        if from == 0 {
            return Ok(0);
        }
        // A line starts after a newline, so the search begins at the byte before `from`.
        let mut at = (from - 1).min(self.length);
        let mut buffer = vec![0; self.block];
        loop {
            let n = self.file.read_at(&mut buffer, at).map_err(StageError::io(&self.path))?;
            if n == 0 {
                return Ok(self.length);
            }
            if let Some(newline) = buffer[..n].iter().position(|byte| *byte == b'\n') {
                return Ok(at + newline as u64 + 1);
            }
            at += n as u64;
        }
    }

    /// Passes the text of `range` to `visit`, block by block, together with the number of bytes of the range that are
    /// read so far, until `visit` breaks. The error for text that isn't UTF-8 names the line and the byte.
    pub(crate) fn blocks(
        &self,
        range: Range<u64>,
        mut visit: impl FnMut(&str, u64) -> Result<ControlFlow<()>, StageError>,
    ) -> Result<(), StageError> {
        let mut buffer = vec![0; self.block];
        // The number of bytes at the start of the buffer that begin a character that the last block cut in two.
        let mut carried = 0;
        let mut at = range.start;
        while at < range.end {
            let room = (self.block - carried).min(usize::try_from(range.end - at).unwrap_or(usize::MAX));
            let n = self.file.read_at(&mut buffer[carried..carried + room], at).map_err(StageError::io(&self.path))?;
            if n == 0 {
                return Err(StageError::format(&self.path, "the file shrank while it was being read"));
            }
            let start = at - carried as u64;
            at += n as u64;
            let filled = &buffer[..carried + n];
            let valid = match std::str::from_utf8(filled) {
                Ok(text) => text,
                Err(error) if error.error_len().is_none() && at < range.end => {
                    std::str::from_utf8(&filled[..error.valid_up_to()]).unwrap_or_default()
                }
                Err(error) => return Err(self.not_utf8(start + error.valid_up_to() as u64)?),
            };
            if visit(valid, at - range.start)?.is_break() {
                break;
            }
            let done = valid.len();
            carried = filled.len() - done;
            buffer.copy_within(done..done + carried, 0);
        }
        Ok(())
    }

    /// The error for the byte at `offset`. Lines are counted only here, from the start of the file.
    fn not_utf8(&self, offset: u64) -> Result<StageError, StageError> {
        let mut line = 1;
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, offset).map_err(StageError::io(&self.path))?;
        let mut before = BufReader::new(File::open(&self.path).map_err(StageError::io(&self.path))?.take(offset));
        loop {
            let part = before.fill_buf().map_err(StageError::io(&self.path))?;
            if part.is_empty() {
                break;
            }
            line += part.iter().filter(|byte| **byte == b'\n').count();
            let n = part.len();
            before.consume(n);
        }
        Ok(StageError::input(
            &self.key,
            format!("{} is not UTF-8: line {line}, byte offset {offset} is 0x{:02x}", self.key, byte[0]),
            "convert the file first, for example: iconv -f latin1 -t utf-8 old.txt > new.txt",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], block: usize) -> (tempfile::TempDir, Text) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, bytes).unwrap();
        let text = Text::open(&path, "corpus.text".into(), block).unwrap();
        (folder, text)
    }

    #[test]
    fn a_line_starts_after_a_newline() {
        for block in 4..9 {
            let (_folder, text) = text(b"ab\n\ncdefghijk\nx", block);
            let starts: Vec<u64> = (0..=16).map(|from| text.line_start(from).unwrap()).collect();
            assert_eq!(starts, [0, 3, 3, 3, 4, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 15, 15]);
        }
    }

    #[test]
    fn characters_across_blocks_stay_whole() {
        let whole = "aé中😀".repeat(9);
        for block in 4..20 {
            let (_folder, text) = text(whole.as_bytes(), block);
            let mut seen = String::new();
            text.blocks(0..text.len(), |part, _| {
                seen.push_str(part);
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
            assert_eq!(seen, whole);
        }
    }

    #[test]
    fn the_first_bad_byte_is_named() {
        for (bytes, expected) in [
            (&b"one\ntwo\nth\xffree"[..], "corpus.text is not UTF-8: line 3, byte offset 10 is 0xff"),
            (b"cut short \xe4\xb8", "corpus.text is not UTF-8: line 1, byte offset 10 is 0xe4"),
        ] {
            for block in 4..30 {
                let (_folder, text) = text(bytes, block);
                let error = text.blocks(0..text.len(), |_, _| Ok(ControlFlow::Continue(()))).unwrap_err();
                assert_eq!(error.to_string(), expected);
            }
        }
    }
}
