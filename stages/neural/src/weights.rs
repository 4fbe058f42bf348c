//! Tensor files: the safetensors format without `__metadata__`, whose entries could be in any order and so change the
//! bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::failure::{NeuralError, Result, WithName as _, ensure};
use crate::raw;
use crate::real::Real;

/// A tensor as a file holds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array<'a> {
    /// Sizes, outermost first.
    shape: Vec<usize>,
    data: ArrayData<'a>,
}

/// The element types that our files hold.
#[derive(Debug, Clone, PartialEq)]
enum ArrayData<'a> {
    /// Weights, moments, hidden state.
    F32(Cow<'a, [f32]>),
    /// The same for training in double precision, and figures that are always kept in double precision.
    F64(Cow<'a, [f64]>),
    /// Counters.
    U64(Vec<u64>),
}

impl<'a> Array<'a> {
    pub(crate) fn f32(shape: &[usize], data: &'a [f32]) -> Self {
        Self { shape: shape.to_vec(), data: ArrayData::F32(data.into()) }
    }

    /// The elements of single floats; none for other types.
    #[cfg(test)]
    pub(crate) fn floats(&self) -> &[f32] {
        if let ArrayData::F32(data) = &self.data { data } else { &[] }
    }

    pub(crate) fn doubles(shape: &[usize], data: &'a [f64]) -> Self {
        Self { shape: shape.to_vec(), data: ArrayData::F64(data.into()) }
    }

    pub(crate) fn f64(data: &[f64]) -> Self {
        Self { shape: vec![data.len()], data: ArrayData::F64(data.to_vec().into()) }
    }

    pub(crate) fn u64(data: &[u64]) -> Self {
        Self { shape: vec![data.len()], data: ArrayData::U64(data.into()) }
    }
}

/// Writes tensors to a file, which is complete when this returns. The receiver makes it durable.
///
/// The bytes depend on the tensors alone: the format's writer sorts them by element type and name.
pub(crate) fn save(path: &Path, arrays: &[(String, Array<'_>)]) -> Result<()> {
    let bytes: Vec<(Dtype, Cow<'_, [u8]>)> = arrays
        .iter()
        .map(|(_, array)| match &array.data {
            ArrayData::F32(data) => (Dtype::F32, raw::bytes(data).into()),
            ArrayData::F64(data) => (Dtype::F64, raw::bytes(data).into()),
            ArrayData::U64(data) => (Dtype::U64, data.iter().flat_map(|x| x.to_le_bytes()).collect()),
        })
        .collect();
    let mut views = Vec::new();
    for ((name, array), (dtype, bytes)) in arrays.iter().zip(&bytes) {
        views.push((name.as_str(), TensorView::new(*dtype, array.shape.clone(), bytes)?));
    }
    safetensors::serialize_to_file(views, None, path).of_file(path)
}

/// A file's tensors by name. Each must be taken once; a tensor that is left over is an error.
#[derive(Debug)]
pub(crate) struct Arrays(BTreeMap<String, Array<'static>>);

impl Arrays {
    /// Reads a whole file.
    ///
    /// # Errors
    /// If the file can't be read, is not in the format, or has an element type that our files don't use.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).of_file(path)?;
        let file = SafeTensors::deserialize(&bytes).of_file(path)?;
        let mut arrays = BTreeMap::new();
        for (tensor, view) in file.iter() {
            let data = match view.dtype() {
                Dtype::F32 => ArrayData::F32(chunks(view.data(), f32::from_le_bytes).into()),
                Dtype::F64 => ArrayData::F64(chunks(view.data(), f64::from_le_bytes).into()),
                Dtype::U64 => ArrayData::U64(chunks(view.data(), u64::from_le_bytes)),
                other => {
                    return Err(format!(
                        "{}: {tensor} has the type {other:?}; allowed: F32, F64 and U64",
                        path.display()
                    )
                    .into());
                }
            };
            arrays.insert(tensor.to_owned(), Array { shape: view.shape().to_vec(), data });
        }
        Ok(Self(arrays))
    }

    /// The shape of a tensor, if the file has it.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.0.get(name)?.shape)
    }

    /// Whether a tensor holds doubles.
    pub(crate) fn is_double(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|array| matches!(array.data, ArrayData::F64(_)))
    }

    /// Takes f32 elements of the given shape.
    ///
    /// # Errors
    /// If the file has no tensor of that name, type and shape.
    pub(crate) fn take_f32(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let ArrayData::F32(data) = self.take_shaped(name, shape)? else {
            return Err(format!("{name} does not hold 32-bit floats").into());
        };
        Ok(data.into_owned())
    }

    /// Takes f64 elements of the given shape.
    ///
    /// # Errors
    /// If the file has no tensor of that name, type and shape.
    pub(crate) fn take_doubles(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
        let ArrayData::F64(data) = self.take_shaped(name, shape)? else {
            return Err(format!("{name} does not hold 64-bit floats").into());
        };
        Ok(data.into_owned())
    }

    fn take_shaped(&mut self, name: &str, shape: &[usize]) -> Result<ArrayData<'static>> {
        let array = self.take(name)?;
        ensure!(array.shape == shape, "{name} has the shape {:?} instead of {shape:?}", array.shape);
        Ok(array.data)
    }

    /// Takes `N` doubles.
    ///
    /// # Errors
    /// If the file has no tensor of that name, type and count.
    pub(crate) fn take_f64<const N: usize>(&mut self, name: &str) -> Result<[f64; N]> {
        let ArrayData::F64(data) = self.take(name)?.data else {
            return Err(format!("{name} does not hold 64-bit floats").into());
        };
        (&*data).try_into().ok().ok_or_else(|| NeuralError::from(format!("{name} does not hold {N} numbers")))
    }

    /// Takes `N` counters.
    ///
    /// # Errors
    /// If the file has no tensor of that name, type and count.
    pub(crate) fn take_u64<const N: usize>(&mut self, name: &str) -> Result<[u64; N]> {
        let ArrayData::U64(data) = self.take(name)?.data else {
            return Err(format!("{name} does not hold 64-bit integers").into());
        };
        data.try_into().ok().ok_or_else(|| NeuralError::from(format!("{name} does not hold {N} numbers")))
    }

    /// Fails if a tensor was not taken.
    pub(crate) fn finish(self) -> Result<()> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("unexpected tensor {name}").into()),
        }
    }

    fn take(&mut self, name: &str) -> Result<Array<'static>> {
        self.0.remove(name).ok_or_else(|| NeuralError::from(format!("{name} is missing")))
    }
}

/// A float type that files hold.
pub(crate) trait Stored: Real {
    /// Elements for a file.
    fn array<'a>(shape: &[usize], data: &'a [Self]) -> Array<'a>;
    /// Elements from a file.
    ///
    /// # Errors
    /// If the file has no tensor of that name, type and shape.
    fn take(arrays: &mut Arrays, name: &str, shape: &[usize]) -> Result<Vec<Self>>;
}

impl Stored for f32 {
    fn array<'a>(shape: &[usize], data: &'a [Self]) -> Array<'a> {
        Array::f32(shape, data)
    }

    fn take(arrays: &mut Arrays, name: &str, shape: &[usize]) -> Result<Vec<Self>> {
        arrays.take_f32(name, shape)
    }
}

impl Stored for f64 {
    fn array<'a>(shape: &[usize], data: &'a [Self]) -> Array<'a> {
        Array::doubles(shape, data)
    }

    fn take(arrays: &mut Arrays, name: &str, shape: &[usize]) -> Result<Vec<Self>> {
        arrays.take_doubles(name, shape)
    }
}

fn chunks<T, const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| read(*chunk)).collect()
}
