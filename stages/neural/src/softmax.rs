//! The softmax layer with its loss and gradient, by hand.
//!
//! Two thirds of a step's arithmetic and nearly all of its memory traffic are here, at N · V logits. Autograd would
//! hold four arrays of that size and pass over them twelve times; here is one array, turned row by row, in cache, from
//! logits into the loss's gradient.

use std::marker::PhantomData;

use anyhow::Result;
use tch::{Device, Tensor};

use crate::model::Model;
use crate::real::Real;
use crate::rows::{Look, Partition, Turn, raise};
use crate::stopwatch::{Phase, Stopwatch};
use crate::{parallel, raw};

/// Rows are cut into this many blocks, whatever the number of threads, so that sums have one order.
const BLOCKS: usize = 16;

/// What a window's predictions amount to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss {
    /// Mean negative log-likelihood in nats a token.
    pub(crate) mean: f64,
    /// Where asked for: the largest absolute logit, and the mean entropy of the predictions in nats.
    pub(crate) probes: Option<(f64, f64)>,
}

/// The gradients of the mean loss.
#[derive(Debug)]
pub(crate) struct Gradients {
    /// By the matrix, [V, H].
    pub(crate) weight: Tensor,
    /// By the bias, [V].
    pub(crate) bias: Tensor,
    /// By the layer's inputs, [N, H].
    pub(crate) y: Tensor,
}

/// The layer's memory: one array of logits, used again at each step.
#[derive(Debug)]
pub(crate) struct Softmax<T> {
    logits: Tensor,
    threads: usize,
    /// Whether products may round their factors to bf16.
    rounds: bool,
    real: PhantomData<T>,
}

impl<T: Real> Softmax<T> {
    pub(crate) fn new(threads: usize) -> Self {
        Self { logits: Tensor::new(), threads, rounds: false, real: PhantomData }
    }

    /// The same, whose products round their factors to bf16 while it learns.
    pub(crate) fn rounding(self, rounds: bool) -> Self {
        Self { rounds, ..self }
    }

    /// Makes products in the precision of this layer.
    fn product<P>(&self, make: impl FnOnce() -> Result<P>) -> Result<P> {
        if !self.rounds {
            return make();
        }
        raw::round_factors(true)?;
        let made = make();
        raw::round_factors(false)?;
        made
    }

    /// The loss of predicting `targets` [N] from `y` [N, H], and its gradients.
    ///
    /// # Errors
    /// Those of libtorch.
    pub(crate) fn learn(
        &mut self,
        model: &Model,
        y: &Tensor,
        targets: &[u32],
        probe: bool,
        watch: &mut Stopwatch,
    ) -> Result<(Loss, Gradients)> {
        self.fit(model, y)?;
        self.product(|| self.multiply(model, y))?;
        watch.lap(Phase::Products);
        let probes = if probe { Some(self.probe(model)?) } else { None };
        watch.lap(Phase::Rest);
        let vocab = model.shape.vocab;
        let mut bias = vec![T::ZERO; BLOCKS * vocab];
        let mut losses = vec![0.0f64; targets.len()];
        let scale = T::ONE / T::of(targets.len() as f64);
        let lift = raw::floats::<T>(model.decoder_bias())?;
        let rows = targets.len().div_ceil(BLOCKS);
        let blocks = raw::floats_mut::<T>(&mut self.logits)?.chunks_mut(rows * vocab);
        let blocks = blocks.zip(targets.chunks(rows)).zip(losses.chunks_mut(rows)).zip(bias.chunks_mut(vocab));
        parallel::each(self.threads, blocks.collect(), |(((logits, targets), losses), bias)| {
            for ((row, &target), loss) in logits.chunks_mut(vocab).zip(targets).zip(losses) {
                *loss = raw::widest(Turn { row, lift, target: target as usize, scale, bias });
            }
        });
        let (summed, others) = bias.split_at_mut(vocab);
        for part in others.chunks(vocab) {
            summed.iter_mut().zip(part).for_each(|(sum, part)| *sum += *part);
        }
        watch.lap(Phase::Softmax);
        let bias = Tensor::f_from_slice(summed)?;
        let (weight, y) = self.product(|| Ok((self.logits.f_tr()?.f_mm(y)?, self.logits.f_mm(model.decoder())?)))?;
        let gradients = Gradients { weight, bias, y };
        watch.lap(Phase::Products);
        Ok((Loss { mean: losses.iter().sum::<f64>() / targets.len() as f64, probes }, gradients))
    }

    /// The sum, in nats, of the losses of predicting `targets` [N] from `y` [N, H].
    ///
    /// # Errors
    /// Those of libtorch.
    pub(crate) fn score(&mut self, model: &Model, y: &Tensor, targets: &[u32]) -> Result<f64> {
        self.fit(model, y)?;
        self.multiply(model, y)?;
        let vocab = model.shape.vocab;
        let mut losses = vec![0.0f64; targets.len()];
        let rows = targets.len().div_ceil(BLOCKS);
        let lift = raw::floats::<T>(model.decoder_bias())?;
        let blocks = raw::floats_mut::<T>(&mut self.logits)?.chunks_mut(rows * vocab);
        let blocks = blocks.zip(targets.chunks(rows)).zip(losses.chunks_mut(rows));
        parallel::each(self.threads, blocks.collect(), |((logits, targets), losses)| {
            for ((row, &target), loss) in logits.chunks_mut(vocab).zip(targets).zip(losses) {
                let (max, sum) = raw::widest(Partition { row: &mut *row, lift });
                *loss = max.wide() - row[target as usize].wide() + sum.wide().ln();
            }
        });
        Ok(losses.iter().sum())
    }

    /// Makes room for the logits of `y` [N, H].
    fn fit(&mut self, model: &Model, y: &Tensor) -> Result<()> {
        let sizes = [y.size()[0], i64::try_from(model.shape.vocab)?];
        if self.logits.size() != sizes {
            self.logits = Tensor::f_empty(sizes, (T::KIND, Device::Cpu))?;
        }
        Ok(())
    }

    /// Sets the logits to y · Wᵀ, [N, V]. The bias is added where a row is read: here it would be another pass over all.
    fn multiply(&self, model: &Model, y: &Tensor) -> Result<()> {
        let _same = y.f_mm_out(&self.logits, &model.decoder().f_tr()?)?;
        Ok(())
    }

    /// The largest absolute logit, and the mean entropy of the predictions in nats.
    fn probe(&self, model: &Model) -> Result<(f64, f64)> {
        let vocab = model.shape.vocab;
        let logits = raw::floats::<T>(&self.logits)?;
        let mut looks = vec![(0.0, 0.0); logits.len() / vocab];
        let rows = looks.len().div_ceil(BLOCKS);
        let blocks = logits.chunks(rows * vocab).zip(looks.chunks_mut(rows));
        let lift = raw::floats::<T>(model.decoder_bias())?;
        parallel::each(self.threads, blocks.collect(), |(logits, looks)| {
            for (row, look) in logits.chunks(vocab).zip(looks) {
                let mut row = row.to_vec();
                raise(&mut row, lift);
                *look = raw::widest(Look { row: &row });
            }
        });
        // Not f64::max, which would pass NaN over.
        let largest = looks.iter().fold(0, |bits, (largest, _)| f64::to_bits(*largest).max(bits));
        let entropy = looks.iter().map(|(_, entropy)| entropy).sum::<f64>() / looks.len() as f64;
        Ok((f64::from_bits(largest), entropy))
    }
}
