//! Training on a GPU: the same mathematics as on the CPU, as libtorch operations, with the LSTM layers in cuDNN.
//!
//! The GPU computes while the CPU continues. The whole forward and backward pass is enqueued, the next window's tokens
//! and dropout are prepared meanwhile, and only then does the CPU wait for the loss and the norm. It does not wait for
//! the update, behind which the next step is enqueued. Weights, moments and hidden state stay on the GPU until a
//! checkpoint needs them.

mod loaded;
mod sharpness;
mod softmax;
mod update;
mod window;

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Result;
use stages::files::Ids;
use stages::params::Precision;
use stages::protocol::Predicted;
use tch::{Device, Kind, Tensor, no_grad};

pub(crate) use self::loaded::Loaded;
use self::window::{DrawnWindow, SentWindow};
use crate::batches::BatchReader;
use crate::dropout::Dropout;
use crate::evaluate::Score;
use crate::model::Carry;
use crate::norms::clip_coefficient;
use crate::optimizer::OptimizerState;
use crate::real::Real;
use crate::softmax::PredictionProbes;
use crate::state::TrainingState;
use crate::step::{Recipe, StepOutcome, StepRequest, copy, overshoot};

/// The GPU to use: the first that CUDA lists.
pub(crate) const GPU: Device = Device::Cuda(0);

/// The state of training on the GPU.
#[derive(Debug)]
pub(crate) struct Card<T> {
    loaded: Loaded,
    /// The update rule's moments, [P] each, in the order of the blocks.
    moments: Vec<Tensor>,
    carry: Vec<Carry>,
    rounds: bool,
    /// The window after the last one computed, with its number, if it has been read ahead.
    next: Option<(u64, DrawnWindow)>,
    /// The predictions for each token, if they are being recorded.
    noted: Option<Vec<Predicted>>,
    real: PhantomData<T>,
}

/// The results of a window, on the GPU.
struct Learnt {
    /// The mean log-likelihood, in double precision.
    likelihood: Tensor,
    /// The gradients of the loss with respect to all weights, [P].
    slope: Tensor,
    /// The largest logit, the mean entropy and the sharpness, in double precision.
    probes: Option<[Tensor; 3]>,
}

impl<T: Real> Card<T> {
    /// Copies a state to a device.
    ///
    /// # Errors
    /// If there is no such device, or if it has too little memory.
    pub(crate) fn new(
        state: &TrainingState<T>,
        dropout: Dropout,
        precision: Precision,
        device: Device,
    ) -> Result<Self> {
        let loaded = Loaded::new(&state.model, dropout.share == 0.0, device)?;
        let flat = |slices: &[Vec<T>]| -> Result<Tensor> {
            let ordered: Vec<&[T]> = loaded.order.iter().map(|i| slices[*i].as_slice()).collect();
            Ok(Tensor::f_from_slice(&ordered.concat())?.f_to_device(device)?)
        };
        let moments = state.optimizer.moments().map(flat).collect::<Result<_>>()?;
        let carry = loaded.gather(&state.carry)?;
        let rounds = precision == Precision::Bf16;
        Ok(Self { loaded, moments, carry, rounds, next: None, noted: None, real: PhantomData })
    }

    /// Copies weights, hidden state and moments back into `state`.
    pub(crate) fn store(&self, state: &mut TrainingState<T>) -> Result<()> {
        state.model.tensors = self.loaded.weights()?;
        state.carry = self.loaded.scatter(&self.carry)?;
        for (slices, flat) in state.optimizer.moments_mut().zip(&self.moments) {
            let whole = Vec::<T>::try_from(&flat.f_to_device(Device::Cpu)?)?;
            let mut rest = whole.as_slice();
            for i in &self.loaded.order {
                let (own, others) = rest.split_at(slices[*i].len());
                slices[*i].copy_from_slice(own);
                rest = others;
            }
        }
        Ok(())
    }

    /// Scores a split with the current weights; see [`crate::evaluate::score`].
    pub(crate) fn score(&self, ids: &Ids, stop: &AtomicBool) -> Result<Option<Score>> {
        self.loaded.score(ids, stop, |_, _| Ok(()))
    }

    /// Starts recording the predictions for each token.
    pub(crate) fn note_predictions(&mut self) {
        self.noted = Some(Vec::new());
    }

    /// Stops recording, and returns what was recorded.
    pub(crate) fn take_predictions(&mut self) -> Vec<Predicted> {
        self.noted.take().unwrap_or_default()
    }

    /// Makes one update. Returns `None`, with the state as it was before, if a stop was requested before the update's
    /// last window.
    pub(crate) fn step(
        &mut self,
        batches: &BatchReader,
        recipe: &Recipe,
        optimizer: &OptimizerState<T>,
        request: StepRequest<'_>,
    ) -> Result<Option<StepOutcome>> {
        let StepRequest { n, eta, probed, stop } = request;
        let first = n * recipe.accumulate;
        let end = first + recipe.accumulate;
        let carry = copy(&self.carry);
        let mut whole: Option<Learnt> = None;
        let mut seen = Vec::new();
        for window in first..end {
            if window > first && stop.load(Ordering::Relaxed) {
                self.carry = carry;
                return Ok(None);
            }
            let ready = match self.next.take() {
                Some((drawn, ready)) if drawn == window => ready,
                _ => DrawnWindow::new::<T>(batches, recipe, self.loaded.shape, window)?,
            };
            let before = probed.then(|| copy(&self.carry));
            let (shape, next) = (self.loaded.shape, window + 1);
            // Enqueuing a window takes this thread as long as computing it takes the GPU, so another thread reads the
            // next window and draws its dropout.
            let (one, drawn) = std::thread::scope(|scope| {
                let draw = || DrawnWindow::new::<T>(batches, recipe, shape, next);
                // If no thread can be started, the next window is read when it is needed.
                let start = || std::thread::Builder::new().spawn_scoped(scope, draw).ok();
                let ahead = (next < recipe.windows).then(start).flatten();
                (self.learn(batches, &ready, probed), ahead.map(std::thread::ScopedJoinHandle::join))
            });
            let one = one?;
            seen.extend(before.map(|carry: Vec<Carry>| (ready, carry)));
            self.next = match drawn {
                Some(Ok(drawn)) => Some((next, drawn?)),
                Some(Err(panic)) => std::panic::resume_unwind(panic),
                None => None,
            };
            whole = Some(match whole {
                None => one,
                Some(sum) => sum.plus(&one)?,
            });
        }
        let Some(Learnt { likelihood, slope, probes }) = whole else {
            return Err("BUG: a step without windows".into());
        };
        let share = 1.0 / recipe.accumulate as f64;
        let norm = slope.f_norm()?;
        // This waits for the GPU.
        let loss = -share * f64::try_from(&likelihood)?;
        let mut norm = f64::try_from(&norm)?;
        if norm.is_infinite() {
            // Perhaps only the sum of the squares is too large for single precision.
            norm = f64::try_from(&slope.f_to_kind(Kind::Double)?.f_norm()?)?;
        }
        norm *= share;
        let clip = clip_coefficient(recipe.scale * norm, recipe.clip_norm);
        let coefficient = T::of(clip) * T::of(recipe.scale) * T::of(share);
        let before = if probed { Some(self.loaded.flat()?) } else { None };
        let (update, decay) = optimizer.numbers(eta, n + 1);
        self.loaded.update(&mut self.moments, update, decay, coefficient, &slope)?;
        let (mut update_ratio, mut overshot) = (None, None);
        if let Some(before) = before {
            let way = before.f_sub(&self.loaded.flat()?)?.f_to_kind(Kind::Double)?;
            update_ratio = Some(length(&way)? / length(&before.f_to_kind(Kind::Double)?)?);
            let promised = share * f64::try_from(&way.f_dot(&slope.f_to_kind(Kind::Double)?)?)?;
            overshot = overshoot(loss, share * self.look_again(batches, seen)?, promised);
        }
        let read = |[logit_max, entropy, sharpness]: [Tensor; 3]| -> Result<PredictionProbes> {
            let (entropy, sharpness) = (share * f64::try_from(&entropy)?, share * f64::try_from(&sharpness)?);
            Ok(PredictionProbes { logit_max: f64::try_from(&logit_max)?, entropy, sharpness })
        };
        let probes = probes.map(read).transpose()?;
        let tokens = recipe.accumulate * batches.plan.tokens_per_step();
        Ok(Some(StepOutcome { loss, norm, clip, update_ratio, overshoot: overshot, probes, tokens }))
    }

    /// The sum of the mean losses, under the updated weights, of the windows that the update was computed from.
    fn look_again(&self, batches: &BatchReader, seen: Vec<(DrawnWindow, Vec<Carry>)>) -> Result<f64> {
        let b = i64::try_from(batches.plan.size)?;
        let mut sum = 0.0;
        for (drawn, mut carry) in seen {
            if drawn.resets {
                carry = self.loaded.zero_carry(b)?;
            }
            let SentWindow { inputs, targets, masks } = drawn.send(self.loaded.device, b)?;
            sum -= no_grad(|| self.loaded.likelihood(&inputs, &targets, &mut carry, &masks, self.rounds))?
                / targets.numel() as f64;
        }
        Ok(sum)
    }

    /// Runs the model forward and backward over a window, and advances the hidden state to the window's end.
    fn learn(&mut self, batches: &BatchReader, drawn: &DrawnWindow, probed: bool) -> Result<Learnt> {
        let b = i64::try_from(batches.plan.size)?;
        let loaded = &self.loaded;
        let SentWindow { inputs, targets, masks } = drawn.send(loaded.device, b)?;
        if drawn.resets {
            self.carry = loaded.zero_carry(b)?;
        }
        let x = loaded.embed(&inputs)?.set_requires_grad(true); // [T, B, E]
        let y = loaded.layers(&x, &mut self.carry, &masks, true)?; // [T, B, H]
        let rows = y.f_detach()?.f_flatten(0, 1)?; // [N, H]
        let upper = loaded.softmax(&rows, &targets, probed, self.rounds, self.noted.as_mut())?;
        // Given ∂L/∂y, the other gradients are those of the dot product of y with this constant.
        let product = y.f_flatten(0, -1)?.f_dot(&upper.y.f_flatten(0, -1)?)?;
        let mut wanted = vec![&x];
        wanted.extend(loaded.recurrent());
        let mut below = Tensor::f_run_backward(&[product], &wanted, false, false)?;
        let dx = below.remove(0);
        let vocab = i64::try_from(loaded.shape.vocab)?;
        let mut encoder = Tensor::f_embedding_dense_backward(&dx, &inputs, vocab, -1, false)?;
        let decoder = match loaded.shape.tied {
            // A tied matrix gets gradients from both of its uses.
            true => {
                let _same = encoder.f_add_(&upper.weight)?;
                None
            }
            false => Some(upper.weight),
        };
        let slopes: Vec<Tensor> = std::iter::once(encoder).chain(below).chain(decoder).chain([upper.bias]).collect();
        let flat = |i: &usize| slopes[*i].f_flatten(0, -1);
        let slope = Tensor::f_cat(&loaded.order.iter().map(flat).collect::<Result<Vec<_>, _>>()?, 0)?;
        Ok(Learnt { likelihood: upper.likelihood, slope, probes: upper.probes })
    }
}

impl Learnt {
    /// The sum of the results of two windows, with the larger one of their largest logits.
    fn plus(self, other: &Self) -> Result<Self> {
        let probes = match (self.probes, &other.probes) {
            (Some([a, b, c]), Some([d, e, f])) => Some([a.f_maximum(d)?, b.f_add(e)?, c.f_add(f)?]),
            _ => None,
        };
        let likelihood = self.likelihood.f_add(&other.likelihood)?;
        Ok(Self { likelihood, slope: self.slope.f_add(&other.slope)?, probes })
    }
}

/// ‖x‖.
fn length(x: &Tensor) -> Result<f64> {
    Ok(f64::try_from(&x.f_norm()?)?)
}
