//! What computes the steps of a training: the loops of the CPU, or a GPU.

use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail, ensure};
use stages::files::Ids;
use stages::params::{Device, Precision, Train};
use stages::protocol::Predicted;

use crate::batches::BatchReader;
use crate::card::{Card, GPU};
use crate::cpu;
use crate::evaluate::{Score, score};
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
    /// That of a training which continues from `state`.
    ///
    /// # Errors
    /// When there is no such device, or it can't compute in this precision.
    pub(super) fn new(train: &Train, recipe: &Recipe, state: &TrainingState<T>, threads: usize) -> Result<Self> {
        let rounds = train.precision == Precision::Bf16;
        Ok(match train.device {
            Device::Cpu => {
                ensure!(
                    !rounds || cpu::has_bf16(),
                    "train.precision = \"bf16\" wants a CPU that multiplies bf16 numbers"
                );
                Self::Cpu(Steps { softmax: Softmax::new(threads).rounding(rounds), threads })
            }
            Device::Cuda => Self::Cuda(Box::new(Card::new(state, recipe.dropout, train.precision, GPU)?)),
            Device::Auto => bail!("BUG: an order that leaves the device open"),
        })
    }

    /// One update; `None` if it was stopped midway.
    ///
    /// # Errors
    /// Those of libtorch and of the corpus.
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

    /// Brings `state` up to date with what a GPU has made of it.
    ///
    /// # Errors
    /// Those of libtorch.
    pub(super) fn store(&self, state: &mut TrainingState<T>) -> Result<()> {
        match self {
            Self::Cpu(_) => Ok(()),
            Self::Cuda(card) => card.store(state),
        }
    }

    /// Scores a split with the weights as they are, which on the CPU are those of `model`; `None` if it was stopped.
    ///
    /// # Errors
    /// Those of [`crate::evaluate::score`].
    pub(super) fn score(&self, model: &Model, ids: &Ids, threads: usize, stop: &AtomicBool) -> Result<Option<Score>> {
        match self {
            Self::Cpu(_) => score(model, ids, &mut || threads, stop, |_, _| Ok(())),
            Self::Cuda(card) => card.score(ids, stop),
        }
    }

    /// From now on what is predicted of each token is noted.
    pub(super) fn note_predictions(&mut self) {
        match self {
            Self::Cpu(steps) => steps.softmax.note_predictions(),
            Self::Cuda(card) => card.note_predictions(),
        }
    }

    /// What was noted, and no more is.
    pub(super) fn take_predictions(&mut self) -> Vec<Predicted> {
        match self {
            Self::Cpu(steps) => steps.softmax.take_predictions(),
            Self::Cuda(card) => card.take_predictions(),
        }
    }
}
