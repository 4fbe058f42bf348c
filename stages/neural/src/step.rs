//! One update on the CPU, and what an update is asked for and yields on any device.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use stages::params::Train;
use stages::plan::BatchPlan;
use tch::Tensor;

use crate::batches::BatchReader;
use crate::dropout::Dropout;
use crate::layers::{self, Slopes};
use crate::model::{Carry, Model};
use crate::norms::{clip_coefficient, global_norm, promised, update_ratio};
use crate::raw;
use crate::real::Real;
use crate::softmax::{PredictionProbes, Softmax, WindowLoss};
use crate::state::TrainingState;
use crate::stopwatch::{Phase, Stopwatch};

/// What all steps of a training have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) dropout: Dropout,
    /// Windows of the plan whose gradients are averaged into one update.
    pub(crate) accumulate: u64,
    /// The recipe's loss is this many times the mean.
    pub(crate) scale: f64,
    /// On the recipe's scale; 0 is off.
    pub(crate) clip_norm: f64,
    /// Windows of the plan in all: none is read beyond them.
    pub(crate) windows: u64,
}

impl Recipe {
    /// That of a training which ends before step `to`.
    pub(crate) fn new(train: &Train, plan: &BatchPlan, to: u64) -> Self {
        Self {
            dropout: Dropout { share: train.dropout, seed: train.seed },
            accumulate: train.accumulate,
            scale: train.loss_scale.factor(plan.unroll),
            clip_norm: train.clip_norm,
            windows: to.saturating_mul(train.accumulate),
        }
    }
}

/// Which update is asked for, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepRequest<'a> {
    /// Its number, from 0.
    pub(crate) n: u64,
    /// The learning rate η.
    pub(crate) eta: f64,
    pub(crate) probed: bool,
    /// Becomes true when the update is no longer wanted. It is looked at between two windows, so that a stop need not wait
    /// for a step that accumulates thousands of them.
    pub(crate) stop: &'a AtomicBool,
}

/// What a step came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepOutcome {
    /// Mean loss of its tokens, before the update.
    pub(crate) loss: f64,
    /// Norm of the mean loss's gradient.
    pub(crate) norm: f64,
    /// What clipping multiplied it by.
    pub(crate) clip: f64,
    /// Where probed: ‖Δθ‖ / ‖θ‖.
    pub(crate) update_ratio: Option<f64>,
    /// Where probed: what it took off the loss of its own tokens, over what the gradient promised.
    pub(crate) overshoot: Option<f64>,
    /// Where probed: what its predictions looked like.
    pub(crate) probes: Option<PredictionProbes>,
    pub(crate) tokens: u64,
}

/// The overshoot ratio ρ of an update that took the mean loss from `before` to `after` where the gradient promised
/// `promised` less; nothing to say of an update that moves nothing.
pub(crate) fn overshoot(before: f64, after: f64, promised: f64) -> Option<f64> {
    (promised != 0.0).then(|| (before - after) / promised)
}

/// A hidden state to return to: a window replaces the tensors, and never writes into them.
pub(crate) fn copy(carry: &[Carry]) -> Vec<Carry> {
    carry.iter().map(|(h, c)| (h.shallow_clone(), c.shallow_clone())).collect()
}

/// The step's way over the CPU.
#[derive(Debug)]
pub(crate) struct Steps<T: Real> {
    pub(crate) softmax: Softmax<T>,
    pub(crate) threads: usize,
}

impl<T: Real> Steps<T> {
    /// From now on so many threads compute: no bit depends on their number.
    pub(crate) fn use_threads(&mut self, threads: usize) {
        self.softmax.use_threads(threads);
        self.threads = threads;
    }

    /// One update; `None` if it was stopped before its last window, which leaves the state as it was.
    ///
    /// # Errors
    /// Those of libtorch and of the corpus.
    pub(crate) fn step(
        &mut self,
        state: &mut TrainingState<T>,
        batches: &BatchReader,
        recipe: &Recipe,
        request: StepRequest<'_>,
        watch: &mut Stopwatch,
    ) -> Result<Option<StepOutcome>> {
        let StepRequest { n, eta, probed, stop } = request;
        let first = n * recipe.accumulate;
        let carry = copy(&state.carry);
        let mut learnt = self.window(state, batches, recipe, first, probed, watch)?; // L and ∂L/∂θ
        for window in first + 1..first + recipe.accumulate {
            if stop.load(Ordering::Relaxed) {
                state.carry = carry;
                state.zeros = learnt.slopes.recycle::<T>()?;
                return Ok(None);
            }
            learnt.add::<T>(self.window(state, batches, recipe, window, probed, watch)?)?;
        }
        let Accumulated { loss, slopes, probes, tokens, seen, .. } = learnt;
        let share = 1.0 / recipe.accumulate as f64; // of each window in the update
        let norm = share * global_norm::<T>(&slopes, self.threads)?;
        let clip = clip_coefficient(recipe.scale * norm, recipe.clip_norm);
        watch.lap(Phase::Norm);
        let before = if probed { Some(state.weights()?) } else { None };
        watch.lap(Phase::Rest);
        let coefficient = T::of(clip) * T::of(recipe.scale) * T::of(share);
        let TrainingState { model, optimizer, .. } = state;
        optimizer.update(&mut model.tensors, &slopes, coefficient, eta, n + 1)?;
        watch.lap(Phase::Update);
        let (mut moved, mut overshot) = (None, None);
        if let Some(before) = before {
            moved = Some(update_ratio(&model.tensors, &before, self.threads)?);
            let promised = share * promised(&slopes, &model.tensors, &before, self.threads)?;
            overshot = overshoot(loss, self.look_again(model, recipe, seen)?, promised);
            watch.lap(Phase::Probes);
        }
        state.zeros = slopes.recycle::<T>()?;
        watch.lap(Phase::Rest);
        Ok(Some(StepOutcome { loss, norm, clip, update_ratio: moved, overshoot: overshot, probes, tokens }))
    }

    /// The mean loss of windows that were learnt from, by the weights as they are now: the same tokens from the same hidden
    /// state, with the same activations dropped.
    fn look_again(&mut self, model: &Model, recipe: &Recipe, seen: Vec<Seen>) -> Result<f64> {
        let (mut sum, mut tokens) = (0.0, 0);
        for Seen { window, inputs, targets, mut carry } in seen {
            let mask = |layer: usize, a: &Tensor| recipe.dropout.mask::<T>(window, layer, &a.size());
            let (y, _) = layers::forward::<T>(model, inputs, &mut carry, mask, self.threads)?;
            sum += self.softmax.score_as_learnt(model, &y, &targets)?;
            tokens += targets.len();
        }
        Ok(sum / tokens as f64)
    }

    /// Runs the model over one window of the plan, forward and back; the hidden state moves on to its end.
    fn window(
        &mut self,
        state: &mut TrainingState<T>,
        batches: &BatchReader,
        recipe: &Recipe,
        window: u64,
        probed: bool,
        watch: &mut Stopwatch,
    ) -> Result<Accumulated> {
        let TrainingState { model, carry, zeros, .. } = state;
        let (inputs, targets) = batches.read(window)?; // T·B ids each, time-major
        if batches.plan.resets_state(window) {
            *carry = model.zero_carry(usize::try_from(batches.plan.size)?)?;
        }
        watch.lap(Phase::Rest);
        let seen =
            probed.then(|| Seen { window, inputs: inputs.clone(), targets: targets.clone(), carry: copy(carry) });
        let mask = |layer: usize, a: &Tensor| recipe.dropout.mask::<T>(window, layer, &a.size());
        let (y, below) = layers::forward::<T>(model, inputs, carry, mask, self.threads)?; // [T·B, H]
        watch.lap(Phase::Forward);
        let (loss, upper) = self.softmax.learn(model, &y, &targets, probed, watch)?; // −1/(T·B) Σ ln p(target)
        let slopes = layers::backward(model, below, upper, zeros.take(), self.threads)?; // ∂L/∂θ
        watch.lap(Phase::Backward);
        let WindowLoss { mean, probes } = loss;
        let (tokens, seen) = (targets.len() as u64, seen.into_iter().collect());
        Ok(Accumulated { loss: mean, slopes, probes, seen, tokens, windows: 1 })
    }
}

/// What some windows of a plan, all of one size, amount to.
struct Accumulated {
    /// The mean loss of their tokens.
    loss: f64,
    /// The sum of their losses' gradients.
    slopes: Slopes,
    probes: Option<PredictionProbes>,
    /// Where probed: the windows.
    seen: Vec<Seen>,
    tokens: u64,
    windows: u64,
}

/// A window that was learnt from.
struct Seen {
    window: u64,
    inputs: Vec<u32>,
    targets: Vec<u32>,
    /// The hidden state before it.
    carry: Vec<Carry>,
}

impl Accumulated {
    /// Adds one window.
    fn add<T: Real>(&mut self, other: Self) -> Result<()> {
        let windows = self.windows as f64;
        let mean = |whole: f64, one: f64| (whole * windows + one) / (windows + 1.0);
        self.loss = mean(self.loss, other.loss);
        self.slopes.add::<T>(&other.slopes)?;
        self.probes = self.probes.zip(other.probes).map(|(all, one)| {
            // A logit that is not a number stays the largest.
            let larger = if one.logit_max > all.logit_max || one.logit_max.is_nan() { one } else { all };
            PredictionProbes {
                logit_max: larger.logit_max,
                entropy: mean(all.entropy, one.entropy),
                sharpness: mean(all.sharpness, one.sharpness),
            }
        });
        self.seen.extend(other.seen);
        self.tokens += other.tokens;
        self.windows += 1;
        Ok(())
    }
}

impl<T: Real> TrainingState<T> {
    /// A copy of every weight.
    fn weights(&self) -> Result<Vec<Vec<T>>> {
        self.model.tensors.iter().map(|tensor| Ok(raw::floats(tensor)?.to_vec())).collect()
    }
}
