//! Reads the tensors of a weights file, and checks their shapes.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use crate::StageError;

/// The tensors of a file; errors name the tensor.
pub(super) struct Tensors<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
}

/// A matrix in row-major order.
pub(super) struct MatrixRows {
    pub(super) values: Vec<f32>,
    pub(super) columns: usize,
}

impl MatrixRows {
    pub(super) fn row(&self, r: usize) -> &[f32] {
        &self.values[r * self.columns..][..self.columns]
    }
}

impl<'a> Tensors<'a> {
    /// Parses a file's `bytes`; `path` is for error messages.
    pub(super) fn new(path: &'a Path, bytes: &'a [u8]) -> Result<Self, StageError> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| StageError::format(path, error.to_string()))?;
        Ok(Self { path, tensors })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    pub(super) fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, StageError> {
        let (shape, values) = self.values(name)?;
        if shape != [length] {
            return Err(self.wrong(format!("{name} has the shape {shape:?} instead of [{length}]")));
        }
        Ok(values)
    }

    /// A matrix with the given rows and columns; `None` allows any number except 0.
    pub(super) fn matrix(
        &self,
        name: &str,
        rows: Option<usize>,
        columns: Option<usize>,
    ) -> Result<MatrixRows, StageError> {
        let (shape, values) = self.values(name)?;
        match shape[..] {
            [r, c]
                if r > 0
                    && c > 0
                    && rows.is_none_or(|rows| rows == r)
                    && columns.is_none_or(|columns| columns == c) =>
            {
                Ok(MatrixRows { values, columns: c })
            }
            _ => {
                let word = |n: Option<usize>| n.map_or("any".to_owned(), |n| n.to_string());
                Err(self.wrong(format!(
                    "{name} has the shape {shape:?} instead of [{}, {}]",
                    word(rows),
                    word(columns)
                )))
            }
        }
    }

    fn values(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), StageError> {
        let tensor = self.tensors.tensor(name).map_err(|error| self.wrong(format!("{name}: {error}")))?;
        let values = match tensor.dtype() {
            Dtype::F32 => tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            // Weights trained in double precision are rounded: sampling is in single precision.
            Dtype::F64 => {
                tensor.data().as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect()
            }
            other => return Err(self.wrong(format!("{name} has the type {other:?} instead of F32 or F64"))),
        };
        Ok((tensor.shape().to_vec(), values))
    }

    fn wrong(&self, message: String) -> StageError {
        StageError::format(self.path, message)
    }
}
