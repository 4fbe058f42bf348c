//! The framing of TensorFlow's record files: lengths and checksums around opaque bytes.
//!
//! A record is its length (u64, little-endian), the masked CRC-32C of those eight bytes, the bytes, and their masked
//! CRC-32C. Format: `tensorflow/core/lib/io/record_writer.h`.

use std::io::{ErrorKind, Read};

/// Longer records are passed over: TensorFlow writes a model's graph as one record, and numbers are short.
const LONGEST: u64 = 64 << 20;
/// The length and its checksum.
const HEADER: usize = 12;
/// The checksum after the bytes.
const FOOTER: usize = 4;
/// How much is read at once.
const READ: usize = 1 << 18;

/// Reads records one at a time and lends them out of its buffer.
pub(super) struct Records<'a> {
    input: &'a mut dyn Read,
    /// What was read ahead is `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Of `start`, in the file.
    byte: u64,
}

/// What comes next in a file of records.
pub(super) enum Next<'b> {
    /// A record's bytes, whose checksum is right.
    Record(&'b [u8]),
    /// A record that was passed over.
    TooLong,
    /// The file ends between two records.
    End,
    /// The file ends within a record's header.
    TruncatedHeader,
    /// The file ends within a record.
    Truncated,
    /// The checksum of a length is wrong: where the next record begins is unknown.
    WrongLength,
    /// The checksum of a record's bytes is wrong.
    WrongBytes,
}

impl<'a> Records<'a> {
    /// The records of a file that is at its beginning.
    pub(super) fn new(input: &'a mut dyn Read) -> Self {
        Self { input, buffer: vec![0; READ], start: 0, end: 0, byte: 0 }
    }

    /// The byte of the file at which the next record begins.
    pub(super) fn byte(&self) -> u64 {
        self.byte
    }

    /// How many bytes the buffer holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.buffer.capacity()
    }

    /// The next record.
    pub(super) fn next(&mut self) -> std::io::Result<Next<'_>> {
        if !self.fill(HEADER)? {
            return Ok(if self.start == self.end { Next::End } else { Next::TruncatedHeader });
        }
        let Some(length) = length(&self.buffer[self.start..self.end]) else { return Ok(Next::WrongLength) };
        if length > LONGEST {
            return self.pass_over(length);
        }
        let record = length as usize + HEADER + FOOTER;
        if !self.fill(record)? {
            return Ok(Next::Truncated);
        }
        let bytes = self.start + HEADER..self.start + record - FOOTER;
        let checksum = self.buffer[bytes.end..].first_chunk().copied().map(u32::from_le_bytes);
        if checksum != Some(masked(crc32c::crc32c(&self.buffer[bytes.clone()]))) {
            return Ok(Next::WrongBytes);
        }
        self.consume(record);
        Ok(Next::Record(&self.buffer[bytes]))
    }

    /// Passes over a record without holding it.
    fn pass_over(&mut self, length: u64) -> std::io::Result<Next<'_>> {
        self.consume(HEADER);
        let (mut left, mut checksum) = (length, 0);
        while left > 0 {
            if !self.fill(1)? {
                return Ok(Next::Truncated);
            }
            let taken = usize::try_from(left).unwrap_or(usize::MAX).min(self.end - self.start);
            checksum = crc32c::crc32c_append(checksum, &self.buffer[self.start..self.start + taken]);
            self.consume(taken);
            left -= taken as u64;
        }
        if !self.fill(FOOTER)? {
            return Ok(Next::Truncated);
        }
        let stored = self.buffer[self.start..].first_chunk().copied().map(u32::from_le_bytes);
        self.consume(FOOTER);
        Ok(if stored == Some(masked(checksum)) { Next::TooLong } else { Next::WrongBytes })
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.byte = self.byte.saturating_add(bytes as u64);
    }

    /// Reads until so many bytes are ahead; false where the file ends before. The buffer grows with what the file has,
    /// not with what a length says.
    fn fill(&mut self, wanted: usize) -> std::io::Result<bool> {
        while self.end - self.start < wanted {
            if self.start > 0 && self.buffer.len() - self.start < wanted {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
            if self.end == self.buffer.len() {
                self.buffer.resize(2 * self.buffer.len(), 0);
            }
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// The length that a record's header states, if its checksum is right.
pub(super) fn length(header: &[u8]) -> Option<u64> {
    let (length, rest) = header.split_first_chunk()?;
    let (checksum, _) = rest.split_first_chunk()?;
    (masked(crc32c::crc32c(length)) == u32::from_le_bytes(*checksum)).then_some(u64::from_le_bytes(*length))
}

/// A checksum as it is stored. A CRC over bytes that hold their own CRC would be of little use, hence the mask.
pub(super) fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}
