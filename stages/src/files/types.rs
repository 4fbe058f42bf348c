//! The distinct tokens of a corpus, with their counts.
//!
//! A types file, integers little-endian: the 8 bytes `PLTYPES1`; the header's length (u32) and the header (JSON of
//! [`Cut`]); the number of types (u32); for each its count (u64), its length in bytes (u32) and its UTF-8 bytes.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::StageError;
use crate::params::Unit;

const MAGIC: &[u8; 8] = b"PLTYPES1";

/// How text was cut into tokens. `sample` cuts its prompt in the same way, and joins tokens into text accordingly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Unit of a token.
    pub unit: Unit,
    /// Whether the text was lowercased first.
    pub lowercase: bool,
    /// Token for the end of a line; empty for none.
    pub eos: String,
}

/// Distinct tokens in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Types {
    /// How text was cut.
    pub cut: Cut,
    /// The distinct tokens; an id is an index into this list.
    pub types: Vec<String>,
    /// How often each type occurs in train.
    pub counts: Vec<u64>,
}

/// The type for tokens outside the vocabulary.
pub const UNKNOWN: &str = "<unk>";

impl Types {
    /// Writes the file.
    pub fn save(&self, path: &Path) -> Result<(), StageError> {
        let write = || -> std::io::Result<()> {
            let mut out = BufWriter::new(File::create(path)?);
            let header = serde_json::to_vec(&self.cut)?;
            out.write_all(MAGIC)?;
            out.write_all(&u32::try_from(header.len()).map_err(std::io::Error::other)?.to_le_bytes())?;
            out.write_all(&header)?;
            out.write_all(&u32::try_from(self.types.len()).map_err(std::io::Error::other)?.to_le_bytes())?;
            for (text, count) in self.types.iter().zip(&self.counts) {
                out.write_all(&count.to_le_bytes())?;
                out.write_all(&u32::try_from(text.len()).map_err(std::io::Error::other)?.to_le_bytes())?;
                out.write_all(text.as_bytes())?;
            }
            out.flush()
        };
        write().map_err(StageError::io(path))
    }

    /// Reads the file.
    pub fn load(path: &Path) -> Result<Self, StageError> {
        let file = File::open(path).map_err(StageError::io(path))?;
        let whole = file.metadata().map_err(StageError::io(path))?.len();
        let mut input = BufReader::new(file);
        let short = |error: std::io::Error| StageError::format(path, format!("truncated: {error}"));
        let mut magic = [0; 8];
        input.read_exact(&mut magic).map_err(short)?;
        if &magic != MAGIC {
            return Err(StageError::format(path, "not a types file"));
        }
        let text = |length: u32, input: &mut BufReader<File>| -> Result<Vec<u8>, StageError> {
            if u64::from(length) > whole {
                return Err(StageError::format(path, "a length exceeds the size of the file"));
            }
            let mut bytes = vec![0; length as usize];
            input.read_exact(&mut bytes).map_err(short)?;
            Ok(bytes)
        };
        let length = read_u32(&mut input).map_err(short)?;
        let header = text(length, &mut input)?;
        let cut = serde_json::from_slice(&header).map_err(|error| StageError::format(path, error.to_string()))?;
        let n = read_u32(&mut input).map_err(short)?;
        let mut this = Self { cut, types: Vec::new(), counts: Vec::new() };
        for _ in 0..n {
            let mut count = [0; 8];
            input.read_exact(&mut count).map_err(short)?;
            let length = read_u32(&mut input).map_err(short)?;
            let bytes = text(length, &mut input)?;
            this.counts.push(u64::from_le_bytes(count));
            this.types.push(String::from_utf8(bytes).map_err(|error| StageError::format(path, error.to_string()))?);
        }
        if !input.fill_buf().map_err(StageError::io(path))?.is_empty() {
            return Err(StageError::format(path, "unexpected data after the last type"));
        }
        Ok(this)
    }
}

/// Reads only the number of types of a types file, which is all that training needs.
pub fn count_types(path: &Path) -> Result<u32, StageError> {
    let mut input = BufReader::new(File::open(path).map_err(StageError::io(path))?);
    let mut read = || -> std::io::Result<u32> {
        let mut magic = [0; 8];
        input.read_exact(&mut magic)?;
        if &magic != MAGIC {
            return Err(std::io::Error::other("not a types file"));
        }
        let header = read_u32(&mut input)?;
        input.seek_relative(i64::from(header))?;
        read_u32(&mut input)
    };
    read().map_err(StageError::io(path))
}

fn read_u32(input: &mut impl Read) -> std::io::Result<u32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_survive_a_round_trip() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("types");
        let cut = Cut { unit: Unit::Char, lowercase: true, eos: String::new() };
        let types = Types { cut, types: vec!["\n".into(), "é".into(), "a b".into()], counts: vec![3, 2, 1] };
        types.save(&path).unwrap();
        assert_eq!(Types::load(&path).unwrap(), types);
        assert_eq!(count_types(&path).unwrap(), 3);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(Types::load(&path).unwrap_err().to_string().contains("truncated"));
        std::fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
        assert!(Types::load(&path).unwrap_err().to_string().contains("after the last type"));
    }
}
