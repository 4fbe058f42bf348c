//! The model: an embedding, LSTM layers and a softmax layer, as plain tensors under PyTorch's names.
//!
//! Shapes: T tokens per window, B rows, V types, E embedding, H hidden. Layouts are time-major, which libtorch's `lstm`
//! reads without a copy. The order of the gates is i, f, g, o.

use std::path::Path;

use stages::params::{Init, Train};
use tch::{Kind, Tensor};

use crate::failure::{Result, WithName as _, ensure};
use crate::real::Real;
use crate::weights::{Array, Arrays, Stored as _, save};
use crate::{init, raw};

/// The sizes that determine every tensor's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Types, V.
    pub(crate) vocab: usize,
    /// Width of a word vector, E.
    pub(crate) embedding: usize,
    /// Width of a layer, H.
    pub(crate) hidden: usize,
    /// LSTM layers.
    pub(crate) layers: usize,
    /// Whether the softmax layer uses the embedding's matrix.
    pub(crate) tied: bool,
}

impl Shape {
    /// The shape that an experiment asks for.
    ///
    /// # Errors
    /// If `tied` is set and the two widths differ, or if the vocabulary is empty.
    pub(crate) fn new(train: &Train, vocab: u32) -> Result<Self> {
        ensure!(
            !train.tied || train.embedding == train.hidden,
            "train.tied = true requires train.embedding = train.hidden, but they are {} and {}",
            train.embedding,
            train.hidden
        );
        ensure!(vocab > 0, "the vocabulary is empty");
        Ok(Self {
            vocab: vocab as usize,
            embedding: usize::try_from(train.embedding)?,
            hidden: usize::try_from(train.hidden)?,
            layers: usize::try_from(train.layers)?,
            tied: train.tied,
        })
    }

    /// The shape of the model in a weights file.
    fn of(arrays: &Arrays) -> Result<Self> {
        let matrix = |name: &str| match arrays.shape(name) {
            Some([rows, columns]) => Ok([*rows, *columns]),
            Some(_) => Err(format!("{name} is not a matrix")),
            None => Err(format!("{name} is missing")),
        };
        let [vocab, embedding] = matrix("encoder.weight")?;
        let [_, hidden] = matrix("lstm.weight_hh_l0")?;
        let layers = (0..).take_while(|l| arrays.shape(&format!("lstm.weight_ih_l{l}")).is_some()).count();
        Ok(Self { vocab, embedding, hidden, layers, tied: arrays.shape("decoder.weight").is_none() })
    }

    /// Every tensor's name and sizes, in the order of [`Model::tensors`].
    pub(crate) fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut all = vec![("encoder.weight".to_owned(), vec![self.vocab, self.embedding])];
        for l in 0..self.layers {
            let input = if l == 0 { self.embedding } else { self.hidden };
            all.push((format!("lstm.weight_ih_l{l}"), vec![4 * self.hidden, input]));
            all.push((format!("lstm.weight_hh_l{l}"), vec![4 * self.hidden, self.hidden]));
            all.push((format!("lstm.bias_ih_l{l}"), vec![4 * self.hidden]));
            all.push((format!("lstm.bias_hh_l{l}"), vec![4 * self.hidden]));
        }
        if !self.tied {
            all.push(("decoder.weight".to_owned(), vec![self.vocab, self.hidden]));
        }
        all.push(("decoder.bias".to_owned(), vec![self.vocab]));
        all
    }
}

/// The hidden state h and cell c of one layer, each [1, B, H].
pub(crate) type Carry = (Tensor, Tensor);

/// The weights of a model.
#[derive(Debug)]
pub(crate) struct Model {
    /// The shape of everything below.
    pub(crate) shape: Shape,
    /// Every weight: the embedding, four tensors for each layer, the softmax layer.
    pub(crate) tensors: Vec<Tensor>,
}

impl Model {
    /// An untrained model, drawn from the seed.
    pub(crate) fn new<T: Real>(shape: Shape, scheme: Init, forget_bias: f64, seed: u64) -> Result<Self> {
        let drawn = |(name, sizes): &(String, Vec<usize>)| {
            let mut values = init::draw(scheme, seed, name, sizes);
            if name.starts_with("lstm.bias_ih") {
                let forget = shape.hidden..2 * shape.hidden;
                values[forget].iter_mut().for_each(|b| *b = (f64::from(*b) + forget_bias) as f32);
            }
            // Every precision starts from the same numbers, drawn in single precision.
            tensor(&values.iter().map(|x| T::of(x.wide())).collect::<Vec<_>>(), sizes)
        };
        Ok(Self { shape, tensors: shape.tensors().iter().map(drawn).collect::<Result<_>>()? })
    }

    /// Reads a weights file. The shape follows from its tensors.
    ///
    /// # Errors
    /// If the file can't be read, or if its tensors don't make up one model.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let mut arrays = Arrays::load(path)?;
        let mut read = || -> Result<Self> {
            let shape = Shape::of(&arrays)?;
            let mut tensors = Vec::new();
            let double = arrays.is_double("encoder.weight");
            for (name, sizes) in shape.tensors() {
                tensors.push(match double {
                    true => tensor(&f64::take(&mut arrays, &name, &sizes)?, &sizes)?,
                    false => tensor(&f32::take(&mut arrays, &name, &sizes)?, &sizes)?,
                });
            }
            Ok(Self { shape, tensors })
        };
        let model = read().of_file(path)?;
        arrays.finish().of_file(path)?;
        Ok(model)
    }

    /// Writes a weights file.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let mut arrays = Vec::new();
        for ((name, sizes), tensor) in self.shape.tensors().into_iter().zip(&self.tensors) {
            arrays.push((name, array(&sizes, tensor)?));
        }
        save(path, &arrays)
    }

    /// The element type of every tensor.
    pub(crate) fn kind(&self) -> Kind {
        self.tensors[0].kind()
    }

    /// The embedding's matrix [V, E].
    pub(crate) fn encoder(&self) -> &Tensor {
        &self.tensors[0]
    }

    /// The softmax layer's matrix [V, H].
    pub(crate) fn decoder(&self) -> &Tensor {
        if self.shape.tied { self.encoder() } else { &self.tensors[self.tensors.len() - 2] }
    }

    /// The softmax layer's bias [V].
    pub(crate) fn decoder_bias(&self) -> &Tensor {
        &self.tensors[self.tensors.len() - 1]
    }

    /// The hidden state before any token, zeros, for `rows` rows.
    pub(crate) fn zero_carry(&self, rows: usize) -> Result<Vec<Carry>> {
        let sizes = [1, i64::try_from(rows)?, i64::try_from(self.shape.hidden)?];
        let zeros = || Tensor::f_zeros(sizes, (self.kind(), tch::Device::Cpu));
        (0..self.shape.layers).map(|_| Ok((zeros()?, zeros()?))).collect()
    }
}

/// A tensor of these elements and sizes.
pub(crate) fn tensor<T: Real>(values: &[T], sizes: &[usize]) -> Result<Tensor> {
    let sizes: Vec<i64> = sizes.iter().map(|&n| i64::try_from(n)).collect::<Result<_, _>>()?;
    Ok(Tensor::f_from_slice(values)?.f_reshape(sizes)?)
}

/// A tensor's elements, for a file.
pub(crate) fn array<'a>(sizes: &[usize], tensor: &'a Tensor) -> Result<Array<'a>> {
    Ok(match tensor.kind() {
        Kind::Double => f64::array(sizes, raw::floats(tensor)?),
        _ => f32::array(sizes, raw::floats(tensor)?),
    })
}
