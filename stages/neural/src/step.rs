//! One update on the CPU, and the request and outcome of an update on any device.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Result;
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

/// What all steps of a segment have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) dropout: Dropout,
    /// Windows of the plan whose gradients are averaged into one update.
    pub(crate) accumulate: u64,
    /// The loss that the recipe's numbers are meant for is the mean loss times this factor.
    pub(crate) scale: f64,
    /// The maximum norm of the gradient of that loss; 0 is off.
    pub(crate) clip_norm: f64,
    /// The number of windows of the plan from step 0 to the segment's end.
    pub(crate) windows: u64,
}

impl Recipe {
    /// The recipe for a segment that ends before step `to`.
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

/// A request for one update.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepRequest<'a> {
    /// The number of the step, from 0.
    pub(crate) n: u64,
    /// The learning rate η.
    pub(crate) eta: f64,
    pub(crate) probed: bool,
    /// Becomes true when the update is no longer needed. It is checked between windows, so that a stop does not wait
    /// for a step that accumulates thousands of them.
    pub(crate) stop: &'a AtomicBool,
}

/// The outcome of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepOutcome {
    /// The mean loss of its tokens, before the update.
    pub(crate) loss: f64,
    /// The norm of the mean loss's gradient.
    pub(crate) norm: f64,
    /// The factor by which clipping multiplied the gradient.
    pub(crate) clip: f64,
    /// If probed: ‖Δθ‖ / ‖θ‖.
    pub(crate) update_ratio: Option<f64>,
    /// If probed: the decrease of the loss of the step's own tokens, divided by the decrease that the gradient
    /// predicts.
    pub(crate) overshoot: Option<f64>,
    /// If probed: measurements of the predictions.
    pub(crate) probes: Option<PredictionProbes>,
    pub(crate) tokens: u64,
}

/// The overshoot ratio ρ of an update that took the mean loss from `before` to `after`, where the gradient predicts a
/// decrease of `promised`; `None` for an update that moves nothing.
pub(crate) fn overshoot(before: f64, after: f64, promised: f64) -> Option<f64> {
    (promised != 0.0).then(|| (before - after) / promised)
}

/// A copy of a hidden state, to return to later. A shallow copy is enough, since a window replaces the tensors and
/// never writes into them.
pub(crate) fn copy(carry: &[Carry]) -> Vec<Carry> {
    carry.iter().map(|(h, c)| (h.shallow_clone(), c.shallow_clone())).collect()
}

/// Computes steps on the CPU.
#[derive(Debug)]
pub(crate) struct Steps<T: Real> {
    pub(crate) softmax: Softmax<T>,
    pub(crate) threads: usize,
}

impl<T: Real> Steps<T> {
    /// Sets the number of threads. No bit of the results depends on it.
    pub(crate) fn use_threads(&mut self, threads: usize) {
        self.softmax.use_threads(threads);
        self.threads = threads;
    }

    /// Makes one update. Returns `None`, with the state as it was before, if a stop was requested before the update's
    /// last window.
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

    /// The mean loss, under the updated weights, of the windows that the update was computed from: the same tokens from
    /// the same hidden state, with the same activations dropped.
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

    /// Runs the model forward and backward over one window of the plan, and advances the hidden state to the window's
    /// end.
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

/// The accumulated results of some windows of the plan, all of the same size.
struct Accumulated {
    /// The mean loss of their tokens.
    loss: f64,
    /// The sum of their losses' gradients.
    slopes: Slopes,
    probes: Option<PredictionProbes>,
    /// If probed: the windows themselves, to measure their losses again after the update.
    seen: Vec<Seen>,
    tokens: u64,
    windows: u64,
}

/// A window that an update was computed from.
struct Seen {
    window: u64,
    inputs: Vec<u32>,
    targets: Vec<u32>,
    /// The hidden state before the window.
    carry: Vec<Carry>,
}

impl Accumulated {
    /// Adds the results of one window.
    fn add<T: Real>(&mut self, other: Self) -> Result<()> {
        let windows = self.windows as f64;
        let mean = |whole: f64, one: f64| (whole * windows + one) / (windows + 1.0);
        self.loss = mean(self.loss, other.loss);
        self.slopes.add::<T>(&other.slopes)?;
        self.probes = self.probes.zip(other.probes).map(|(all, one)| {
            // A NaN counts as the largest logit.
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
