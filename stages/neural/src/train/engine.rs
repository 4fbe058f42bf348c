//! What computes the steps of training: the loops of the CPU, or a GPU.

use std::sync::atomic::AtomicBool;

use stages::files::Ids;
use stages::params::{Device, Precision, Train};
use stages::protocol::Predicted;

use crate::batches::BatchReader;
use crate::card::{Card, GPU};
use crate::cpu;
use crate::evaluate::{Score, score};
use crate::failure::{Result, ensure};
use crate::model::Model;
use crate::real::Real;
use crate::softmax::Softmax;
use crate::state::TrainingState;
use crate::step::{Recipe, StepOutcome, StepRequest, Steps};
use crate::stopwatch::{Phase, Stopwatch};

/// What computes the steps.
#[derive(Debug)]
pub(super) enum Engine<T: Real> {
    Cpu(Steps<T>),
    Cuda(Box<Card<T>>),
}

impl<T: Real> Engine<T> {
    /// The engine for training that continues from `state`.
    ///
    /// # Errors
    /// If there is no such device, or if it can't compute in this precision.
    pub(super) fn new(train: &Train, recipe: &Recipe, state: &TrainingState<T>, threads: usize) -> Result<Self> {
        let rounds = train.precision == Precision::Bf16;
        Ok(match train.device {
            Device::Cpu => {
                ensure!(
                    !rounds || cpu::has_bf16(),
                    "train.precision = \"bf16\" requires AVX512-BF16, which this CPU lacks"
                );
                Self::Cpu(Steps { softmax: Softmax::new(threads).rounding(rounds), threads })
            }
            Device::Cuda => Self::Cuda(Box::new(Card::new(state, recipe.dropout, train.precision, GPU)?)),
            Device::Auto => return Err("BUG: the job does not say which device to use".into()),
        })
    }

    /// Makes one update; `None` if a stop was requested before it was complete.
    pub(super) fn step(
        &mut self,
        state: &mut TrainingState<T>,
        batches: &BatchReader,
        recipe: &Recipe,
        request: StepRequest<'_>,
        watch: &mut Stopwatch,
    ) -> Result<Option<StepOutcome>> {
        match self {
            Self::Cpu(steps) => steps.step(state, batches, recipe, request, watch),
            Self::Cuda(card) => {
                let outcome = card.step(batches, recipe, &state.optimizer, request);
                watch.lap(Phase::Gpu);
                outcome
            }
        }
    }

    /// Brings `state` up to date with the state on the GPU, if there is one.
    pub(super) fn store(&self, state: &mut TrainingState<T>) -> Result<()> {
        match self {
            Self::Cpu(_) => Ok(()),
            Self::Cuda(card) => card.store(state),
        }
    }

    /// Scores a split with the current weights, which on the CPU are those of `model`; `None` if a stop was requested.
    pub(super) fn score(&self, model: &Model, ids: &Ids, threads: usize, stop: &AtomicBool) -> Result<Option<Score>> {
        match self {
            Self::Cpu(_) => score(model, ids, &mut || threads, stop, |_, _| Ok(())),
            Self::Cuda(card) => card.score(ids, stop),
        }
    }

    /// Starts recording the predictions for each token.
    pub(super) fn note_predictions(&mut self) {
        match self {
            Self::Cpu(steps) => steps.softmax.note_predictions(),
            Self::Cuda(card) => card.note_predictions(),
        }
    }

    /// Stops recording, and returns what was recorded.
    pub(super) fn take_predictions(&mut self) -> Vec<Predicted> {
        match self {
            Self::Cpu(steps) => steps.softmax.take_predictions(),
            Self::Cuda(card) => card.take_predictions(),
        }
    }
}
