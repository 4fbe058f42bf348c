//! The framing of W&B's files: LevelDB's log format with another checksum, after a header.
//!
//! The file is cut into blocks of 32,768 bytes; the header of seven bytes counts as part of the first. A record is one
//! chunk, or several where it doesn't fit into its block: CRC-32 (u32, little-endian, of all that follows the length),
//! length of the data (u16), type (u8), data. Where a block has no room for a chunk's seven bytes, it ends in zeros.
//! Formats: <https://github.com/google/leveldb/blob/main/doc/log_format.md>; `wandb/sdk/internal/datastore.py`, whose
//! description names CRC-32C and whose code computes zlib's CRC-32.

use std::io::{ErrorKind, Read};

const BLOCK: usize = 32_768;
/// A chunk's header, and the file's.
const HEADER: usize = 7;
/// Longer records are passed over.
const LONGEST: usize = 64 << 20;

// Types of chunks.
const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// Reads records one at a time and lends them out of its buffers.
pub(super) struct Records<'a> {
    input: &'a mut dyn Read,
    block: Box<[u8; BLOCK]>,
    /// How much of the block the file has.
    filled: usize,
    /// Where in the block the next chunk begins.
    next: usize,
    /// Of the block, in the file.
    byte: u64,
    /// The parts of a record of several chunks.
    parts: Vec<u8>,
}

/// What comes next in a file of records.
pub(super) enum Next<'b> {
    /// A record's bytes, whose checksums are right.
    Record(&'b [u8]),
    /// A record that is too long, or lacks its beginning or its end, was passed over.
    Skipped,
    /// The file ends between two records.
    End,
    /// The file ends within a record.
    Truncated,
    /// A checksum is wrong.
    Wrong,
    /// A chunk has a type or a length that none can have.
    Impossible,
}

/// A chunk: where in the block its data lies.
enum Chunk {
    Data { kind: u8, from: usize, to: usize },
    Else(Next<'static>),
}

impl<'a> Records<'a> {
    /// The records of a file of which nothing was read yet, and its first seven bytes, as far as it has them.
    pub(super) fn new(input: &'a mut dyn Read) -> std::io::Result<(Self, Vec<u8>)> {
        let mut records = Self { input, block: Box::new([0; BLOCK]), filled: 0, next: 0, byte: 0, parts: Vec::new() };
        records.fill()?;
        records.next = HEADER.min(records.filled);
        let header = records.block[..records.next].to_vec();
        Ok((records, header))
    }

    /// The byte of the file at which the next record begins, or the padding before it.
    pub(super) fn byte(&self) -> u64 {
        self.byte.saturating_add(self.next as u64)
    }

    /// The next record.
    pub(super) fn next(&mut self) -> std::io::Result<Next<'_>> {
        self.parts.clear();
        let (mut begun, mut too_long) = (false, false);
        loop {
            let (kind, data) = match self.chunk()? {
                Chunk::Data { kind, from, to } => (kind, from..to),
                Chunk::Else(Next::End) if begun => return Ok(Next::Truncated),
                Chunk::Else(next) => return Ok(next),
            };
            match kind {
                // A record without an end is passed over, and this one is read next.
                FULL | FIRST if begun => {
                    self.next = data.start - HEADER;
                    return Ok(Next::Skipped);
                }
                FULL => return Ok(Next::Record(&self.block[data])),
                MIDDLE | LAST if !begun => return Ok(Next::Skipped),
                _ => {}
            }
            begun = true;
            too_long |= self.parts.len() + data.len() > LONGEST;
            if !too_long {
                self.parts.extend_from_slice(&self.block[data]);
            }
            if kind == LAST {
                return Ok(if too_long { Next::Skipped } else { Next::Record(&self.parts) });
            }
        }
    }

    fn chunk(&mut self) -> std::io::Result<Chunk> {
        if BLOCK - self.next < HEADER {
            self.byte = self.byte.saturating_add(BLOCK as u64);
            self.fill()?;
        }
        let ahead = &self.block[self.next..self.filled];
        if ahead.is_empty() {
            return Ok(Chunk::Else(Next::End));
        }
        let [c0, c1, c2, c3, l0, l1, kind, ..] = *ahead else { return Ok(Chunk::Else(Next::Truncated)) };
        let (checksum, length) = (u32::from_le_bytes([c0, c1, c2, c3]), u16::from_le_bytes([l0, l1]));
        let from = self.next + HEADER;
        let to = from + usize::from(length);
        // A file system that lost its last writes leaves zeros.
        if (checksum, length, kind) == (0, 0, 0) {
            return Ok(Chunk::Else(Next::Truncated));
        }
        if to > BLOCK || !(FULL..=LAST).contains(&kind) {
            return Ok(Chunk::Else(Next::Impossible));
        }
        if to > self.filled {
            return Ok(Chunk::Else(Next::Truncated));
        }
        // The type is the last byte of the header.
        if crc32fast::hash(&self.block[from - 1..to]) != checksum {
            return Ok(Chunk::Else(Next::Wrong));
        }
        self.next = to;
        Ok(Chunk::Data { kind, from, to })
    }

    /// Reads the next block, or what the file still has of it.
    fn fill(&mut self) -> std::io::Result<()> {
        (self.filled, self.next) = (0, 0);
        while self.filled < BLOCK {
            match self.input.read(&mut self.block[self.filled..]) {
                Ok(0) => break,
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
