//! Everything that training carries from one step to the next, and the two files that it is saved in.
//!
//! Checkpoint n is `weights-<n>.safetensors`, which holds the model, and `state-<n>.safetensors`, which holds the rest.
//! Training that resumes from the two computes the same bits as if it had not been interrupted.

use std::path::Path;

use stages::params::Train;
use stages::protocol::Checkpoint;
use stages::schedule::Plateau;
use tch::Tensor;

use crate::failure::{Result, WithName as _, ensure};
use crate::model::{Carry, Model, Shape, array, tensor};
use crate::optimizer::OptimizerState;
use crate::real::Real;
use crate::weights::{Array, Arrays, Stored, save};

/// The state of training between two steps.
#[derive(Debug)]
pub(crate) struct TrainingState<T> {
    /// The weights.
    pub(crate) model: Model,
    /// The update rule with its moments.
    pub(crate) optimizer: OptimizerState<T>,
    /// A zeroed tensor for the embedding's gradient, reused from step to step.
    pub(crate) zeros: Option<Tensor>,
    /// The hidden state of each layer at the end of the last window.
    pub(crate) carry: Vec<Carry>,
    /// What a plateau schedule remembers.
    pub(crate) plateau: Plateau,
    /// The number of consecutive steps, up to the last one computed, whose loss was not finite.
    pub(crate) nonfinite: u64,
    /// Whether any loss of the trajectory was not finite.
    pub(crate) diverged: bool,
}

impl<T: Real> TrainingState<T> {
    /// The state before step 0.
    pub(crate) fn new(train: &Train, shape: Shape, rows: usize, threads: usize) -> Result<Self> {
        Self::around(Model::new::<T>(shape, train.init, train.forget_bias, train.seed)?, train, rows, threads)
    }

    fn around(model: Model, train: &Train, rows: usize, threads: usize) -> Result<Self> {
        Ok(Self {
            optimizer: OptimizerState::new(train, &model.shape.tensors(), threads),
            zeros: None,
            carry: model.zero_carry(rows)?,
            plateau: Plateau::START,
            nonfinite: 0,
            diverged: false,
            model,
        })
    }

    /// Counts a loss that is not finite; returns whether it is the first one of the trajectory.
    pub(crate) fn notice(&mut self, loss: f64) -> bool {
        if loss.is_finite() {
            self.nonfinite = 0;
            return false;
        }
        self.nonfinite += 1;
        !std::mem::replace(&mut self.diverged, true)
    }
}

impl<T: Stored> TrainingState<T> {
    /// The state before step `n`, from a checkpoint's two files.
    ///
    /// # Errors
    /// If a file can't be read, or belongs to another model, update rule or step.
    pub(crate) fn load(
        train: &Train,
        shape: Shape,
        rows: usize,
        threads: usize,
        n: u64,
        weights: &Path,
        state: &Path,
    ) -> Result<Self> {
        let model = Model::load(weights)?;
        let path = || weights.display().to_string();
        ensure!(model.shape == shape, "{}: the weights have a different shape: {:?}", path(), model.shape);
        ensure!(model.kind() == T::KIND, "{}: the weights have a different precision: {:?}", path(), model.kind());
        let mut this = Self::around(model, train, rows, threads)?;
        let mut arrays = Arrays::load(state)?;
        let read = |this: &mut Self, arrays: &mut Arrays| -> Result<()> {
            let [step, nonfinite, diverged] = arrays.take_u64("counters")?;
            ensure!(step == n, "this is the state at step {step}, not at step {n}");
            let [factor, best, looks] = arrays.take_f64("plateau")?;
            this.plateau = Plateau { factor, best, looks: looks as u64 };
            (this.nonfinite, this.diverged) = (nonfinite, diverged != 0);
            for (l, (h, c)) in this.carry.iter_mut().enumerate() {
                let sizes = [1, rows, shape.hidden];
                *h = tensor(&T::take(arrays, &format!("h_l{l}"), &sizes)?, &sizes)?;
                *c = tensor(&T::take(arrays, &format!("c_l{l}"), &sizes)?, &sizes)?;
            }
            this.optimizer.load(&shape.tensors(), arrays)
        };
        read(&mut this, &mut arrays).of_file(state)?;
        arrays.finish().of_file(state)?;
        Ok(this)
    }

    /// Writes checkpoint `n`, whose files are complete when this returns.
    pub(crate) fn save(&self, folder: &Path, n: u64) -> Result<Checkpoint> {
        let weights = folder.join(format!("weights-{n}.safetensors"));
        let state = folder.join(format!("state-{n}.safetensors"));
        self.model.save(&weights)?;
        let Plateau { factor, best, looks } = self.plateau;
        let mut arrays = vec![
            ("counters".to_owned(), Array::u64(&[n, self.nonfinite, u64::from(self.diverged)])),
            ("plateau".to_owned(), Array::f64(&[factor, best, looks as f64])),
        ];
        for (l, (h, c)) in self.carry.iter().enumerate() {
            let sizes = h.size().iter().map(|&n| usize::try_from(n)).collect::<Result<Vec<_>, _>>()?;
            arrays.push((format!("h_l{l}"), array(&sizes, h)?));
            arrays.push((format!("c_l{l}"), array(&sizes, c)?));
        }
        self.optimizer.save(&self.model.shape.tensors(), &mut arrays);
        save(&state, &arrays)?;
        Ok(Checkpoint { step: n, weights, state })
    }
}
