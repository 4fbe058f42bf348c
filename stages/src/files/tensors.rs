//! Compares and checks safetensors files, and reads single tensors from them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use safetensors::tensor::{SafeTensors, TensorView};

use crate::StageError;

/// The first tensor, by name, that differs between two safetensors files in shape or values, or is in only one of them.
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

/// Reads one f64 tensor of a safetensors file, without reading the rest.
pub fn f64s_of(path: &Path, name: &str) -> Result<Vec<f64>, StageError> {
    let mut file = File::open(path).map_err(StageError::io(path))?;
    let (_, header) = header_of(&mut file).map_err(StageError::io(path))?;
    let metadata: safetensors::tensor::Metadata =
        serde_json::from_slice(&header).map_err(|error| StageError::format(path, error.to_string()))?;
    let info = metadata.info(name).filter(|info| info.dtype == safetensors::Dtype::F64);
    let (from, to) = info.ok_or_else(|| StageError::format(path, format!("no f64 tensor named {name}")))?.data_offsets;
    let read = |file: &mut File| -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start((8 + header.len() + from) as u64))?;
        file.take((to - from) as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read(&mut file).map_err(StageError::io(path))?;
    Ok(bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
}

/// The number of bytes after the header of a safetensors file, and the header.
fn header_of(file: &mut File) -> std::io::Result<(u64, Vec<u8>)> {
    let whole = file.metadata()?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let mut header = Vec::new();
    file.take(length.min(whole)).read_to_end(&mut header)?;
    Ok((whole.saturating_sub(8).saturating_sub(length), header))
}

/// Checks that a safetensors file is as long as its header says. The error says what is wrong, without the path.
pub fn whole_tensors(path: &Path) -> Result<(), String> {
    let read = File::open(path).and_then(|mut file| header_of(&mut file));
    let (data, header) = read.map_err(|error| format!("truncated ({error})"))?;
    let metadata: safetensors::tensor::Metadata =
        serde_json::from_slice(&header).map_err(|error| format!("not a safetensors header ({error})"))?;
    let wanted = metadata.data_len() as u64;
    if data == wanted { Ok(()) } else { Err(format!("{data} bytes of tensors, but the header says {wanted}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tensor_that_differs_is_named() {
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
}
