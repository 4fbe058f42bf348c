//! The files that stages hand to one another.
//!
//! - *types* (outputs `types` of `tokenize` and `vocab` of `vocab`): the distinct tokens in the order of their ids, each
//!   with its count in train, behind a header that says how text was cut. [`Types`].
//! - *ids* (outputs `train`, `valid`, `test` of both): one token after another, each an unsigned 32-bit little-endian
//!   integer, nothing else; `numpy.fromfile(path, "<u4")` reads it. [`Ids`].
//!
//! A types file, integers little-endian: the 8 bytes `PLTYPES1`; the header's length (u32) and the header (JSON of
//! [`Cut`]); the number of types (u32); for each its count (u64), its length in bytes (u32) and its UTF-8 bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use safetensors::tensor::{SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::StageError;
use crate::params::Unit;

const MAGIC: &[u8; 8] = b"PLTYPES1";

/// How text was cut into tokens: what `sample` needs to read a prompt and to join a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// What a token is.
    pub unit: Unit,
    /// Whether the text was lowercased first.
    pub lowercase: bool,
    /// The token for a line's end, or nothing.
    pub eos: String,
}

/// Distinct tokens in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Types {
    /// How text was cut.
    pub cut: Cut,
    /// The types; an id is an index into this list.
    pub types: Vec<String>,
    /// How often each occurs in train.
    pub counts: Vec<u64>,
}

/// The first tensor, by name, in which two safetensors files differ: in its shape, its numbers, or in being there.
///
/// # Errors
/// When a file can't be read or breaks the format.
pub fn first_tensor_that_differs(a: &Path, b: &Path) -> Result<Option<String>, StageError> {
    let read = |path: &Path| std::fs::read(path).map_err(StageError::io(path));
    let (bytes_a, bytes_b) = (read(a)?, read(b)?);
    let (tensors_a, tensors_b) = (tensors(a, &bytes_a)?, tensors(b, &bytes_b)?);
    let names: BTreeSet<&String> = tensors_a.keys().chain(tensors_b.keys()).collect();
    Ok(names.into_iter().find(|name| tensors_a.get(*name) != tensors_b.get(*name)).cloned())
}

/// The tensors of a safetensors file by name.
fn tensors<'b>(path: &Path, bytes: &'b [u8]) -> Result<BTreeMap<String, TensorView<'b>>, StageError> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| StageError::format(path, error.to_string()))?;
    Ok(file.tensors().into_iter().collect())
}

/// The numbers of one 64-bit tensor of a safetensors file, the rest of which is not read.
///
/// # Errors
/// When the file can't be read, or has no such tensor.
pub fn f64s_of(path: &Path, name: &str) -> Result<Vec<f64>, StageError> {
    let mut file = File::open(path).map_err(StageError::io(path))?;
    let (_, header) = header_of(&mut file).map_err(StageError::io(path))?;
    let metadata: safetensors::tensor::Metadata =
        serde_json::from_slice(&header).map_err(|error| StageError::format(path, error.to_string()))?;
    let info = metadata.info(name).filter(|info| info.dtype == safetensors::Dtype::F64);
    let (from, to) = info.ok_or_else(|| StageError::format(path, format!("no tensor {name} of f64")))?.data_offsets;
    let read = |file: &mut File| -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start((8 + header.len() + from) as u64))?;
        file.take((to - from) as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read(&mut file).map_err(StageError::io(path))?;
    Ok(bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
}

/// The header of a safetensors file, and how many bytes come after it.
fn header_of(file: &mut File) -> std::io::Result<(u64, Vec<u8>)> {
    let whole = file.metadata()?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let mut header = Vec::new();
    file.take(length.min(whole)).read_to_end(&mut header)?;
    Ok((whole.saturating_sub(8).saturating_sub(length), header))
}

/// Checks that a safetensors file is as long as its header says.
///
/// # Errors
/// In words, what about it is not whole.
pub fn whole_tensors(path: &Path) -> Result<(), String> {
    let read = File::open(path).and_then(|mut file| header_of(&mut file));
    let (data, header) = read.map_err(|error| format!("cut short ({error})"))?;
    let metadata: safetensors::tensor::Metadata =
        serde_json::from_slice(&header).map_err(|error| format!("its header is no safetensors header ({error})"))?;
    let wanted = metadata.data_len() as u64;
    if data == wanted { Ok(()) } else { Err(format!("{data} bytes of tensors, where its header says {wanted}")) }
}

/// The type for tokens outside the vocabulary.
pub const UNKNOWN: &str = "<unk>";

impl Types {
    /// Writes the file.
    ///
    /// # Errors
    /// When it can't be written.
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
    ///
    /// # Errors
    /// When it can't be read or breaks the format.
    pub fn load(path: &Path) -> Result<Self, StageError> {
        let file = File::open(path).map_err(StageError::io(path))?;
        let whole = file.metadata().map_err(StageError::io(path))?.len();
        let mut input = BufReader::new(file);
        let short = |error: std::io::Error| StageError::format(path, format!("cut short: {error}"));
        let mut magic = [0; 8];
        input.read_exact(&mut magic).map_err(short)?;
        if &magic != MAGIC {
            return Err(StageError::format(path, "not a types file"));
        }
        let text = |length: u32, input: &mut BufReader<File>| -> Result<Vec<u8>, StageError> {
            if u64::from(length) > whole {
                return Err(StageError::format(path, "a length passes the file's end"));
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
            return Err(StageError::format(path, "something stands behind its last type"));
        }
        Ok(this)
    }
}

/// Only the number of types of a types file: all that training wants to know of it.
///
/// # Errors
/// As [`Types::load`].
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

/// A stream of token ids, read where it is needed: a corpus may be larger than memory.
#[derive(Debug)]
pub struct Ids {
    path: PathBuf,
    file: File,
    tokens: u64,
}

impl Ids {
    /// Opens the file.
    ///
    /// # Errors
    /// When it can't be read, or its length is not a multiple of four.
    pub fn open(path: &Path) -> Result<Self, StageError> {
        let file = File::open(path).map_err(StageError::io(path))?;
        let length = file.metadata().map_err(StageError::io(path))?.len();
        if !length.is_multiple_of(4) {
            return Err(StageError::format(path, "its length is not a multiple of 4 bytes"));
        }
        Ok(Self { path: path.to_owned(), file, tokens: length / 4 })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many tokens there are.
    pub fn len(&self) -> u64 {
        self.tokens
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tokens == 0
    }

    /// Appends the `count` tokens from `start` on to `out`.
    ///
    /// # Errors
    /// When the file can't be read or ends before.
    pub fn read(&self, start: u64, count: usize, out: &mut Vec<u32>) -> Result<(), StageError> {
        let mut bytes = vec![0; count * 4];
        self.file.read_exact_at(&mut bytes, start * 4).map_err(StageError::io(&self.path))?;
        out.extend(bytes.as_chunks::<4>().0.iter().map(|token| u32::from_le_bytes(*token)));
        Ok(())
    }

    /// Hands all tokens to `visit`, a block at a time.
    ///
    /// # Errors
    /// When the file can't be read, or `visit` says so.
    pub fn blocks(&self, visit: impl FnMut(&[u32]) -> Result<(), StageError>) -> Result<(), StageError> {
        self.first_blocks(self.tokens, visit)
    }

    /// Hands the first tokens to `visit`, a block at a time.
    ///
    /// # Errors
    /// As [`Self::blocks`].
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
    fn types_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("types");
        let cut = Cut { unit: Unit::Char, lowercase: true, eos: String::new() };
        let types = Types { cut, types: vec!["\n".into(), "é".into(), "a b".into()], counts: vec![3, 2, 1] };
        types.save(&path).unwrap();
        assert_eq!(Types::load(&path).unwrap(), types);
        assert_eq!(count_types(&path).unwrap(), 3);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(Types::load(&path).unwrap_err().to_string().contains("cut short"));
        std::fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
        assert!(Types::load(&path).unwrap_err().to_string().contains("behind its last type"));
    }

    #[test]
    fn the_tensor_that_differs_is_named() {
        use safetensors::tensor::Dtype;
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, tensors: &[(&str, [f32; 2])]| {
            let bytes: Vec<Vec<u8>> =
                tensors.iter().map(|(_, x)| x.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
            let view = |bytes| TensorView::new(Dtype::F32, vec![2], bytes).unwrap();
            let views = tensors.iter().zip(&bytes).map(|((name, _), bytes)| (*name, view(bytes)));
            let path = folder.path().join(name);
            safetensors::serialize_to_file(views, None, &path).unwrap();
            path
        };
        let first = file("first", &[("a", [1.0, 2.0]), ("b", [0.0, 1.0])]);
        let second = file("second", &[("a", [1.0, 2.0]), ("b", [-0.0, 1.0])]);
        let third = file("third", &[("b", [0.0, 1.0])]);
        assert_eq!(first_tensor_that_differs(&first, &first).unwrap(), None);
        assert_eq!(first_tensor_that_differs(&first, &second).unwrap().as_deref(), Some("b"));
        assert_eq!(first_tensor_that_differs(&first, &third).unwrap().as_deref(), Some("a"));
        std::fs::write(&third, "no tensors").unwrap();
        assert!(first_tensor_that_differs(&first, &third).is_err());
    }

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
