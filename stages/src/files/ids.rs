//! The ids of a corpus, one token after another.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::StageError;

/// A stream of token ids, read on demand: a corpus can be larger than memory.
#[derive(Debug)]
pub struct Ids {
    path: PathBuf,
    file: File,
    tokens: u64,
}

impl Ids {
    /// Opens the file; refuses one whose length is not a multiple of four.
    pub fn open(path: &Path) -> Result<Self, StageError> {
        let file = File::open(path).map_err(StageError::io(path))?;
        let length = file.metadata().map_err(StageError::io(path))?.len();
        if !length.is_multiple_of(4) {
            return Err(StageError::format(path, "file size is not a multiple of 4 bytes"));
        }
        Ok(Self { path: path.to_owned(), file, tokens: length / 4 })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of tokens.
    pub fn len(&self) -> u64 {
        self.tokens
    }

    /// Whether the file holds no tokens.
    pub fn is_empty(&self) -> bool {
        self.tokens == 0
    }

    /// Appends `count` tokens, from token `start` on, to `out`; fails if the file ends before that.
    pub fn read(&self, start: u64, count: usize, out: &mut Vec<u32>) -> Result<(), StageError> {
        let mut bytes = vec![0; count * 4];
        self.file.read_exact_at(&mut bytes, start * 4).map_err(StageError::io(&self.path))?;
        out.extend(bytes.as_chunks::<4>().0.iter().map(|token| u32::from_le_bytes(*token)));
        Ok(())
    }

    /// Passes all tokens to `visit`, a block at a time.
    pub fn blocks(&self, visit: impl FnMut(&[u32]) -> Result<(), StageError>) -> Result<(), StageError> {
        self.first_blocks(self.tokens, visit)
    }

    /// Passes the first `tokens` tokens to `visit`, a block at a time.
    pub fn first_blocks(
        &self,
        tokens: u64,
        mut visit: impl FnMut(&[u32]) -> Result<(), StageError>,
    ) -> Result<(), StageError> {
        const BLOCK: u64 = 1 << 16;
        let mut block = Vec::new();
        let mut start = 0;
        while start < tokens {
            let count = BLOCK.min(tokens - start);
            block.clear();
            self.read(start, count as usize, &mut block)?;
            visit(&block)?;
            start += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_little_endian_integers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        std::fs::write(&path, [1, 0, 0, 0, 0, 1, 0, 0]).unwrap();
        let ids = Ids::open(&path).unwrap();
        let mut all = Vec::new();
        ids.blocks(|block| {
            all.extend_from_slice(block);
            Ok(())
        })
        .unwrap();
        assert_eq!(all, [1, 256]);
        let mut last = Vec::new();
        ids.read(1, 1, &mut last).unwrap();
        assert_eq!(last, [256]);
        assert!(ids.read(1, 2, &mut last).is_err());
        std::fs::write(&path, [1, 0, 0]).unwrap();
        assert!(Ids::open(&path).is_err());
        std::fs::write(&path, []).unwrap();
        assert!(Ids::open(&path).unwrap().is_empty());
    }
}
