//! The stage `train`: computes a segment of a trajectory, step by step.

mod engine;
mod inspect;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use identity::observations::{Evaluation, Event, Looks, Measured, Step};
use stages::files::{Ids, count_types};
use stages::params::{OnNonfinite, Schedule, Train, read};
use stages::protocol::{Checkpoint, Order, Reply, Segment};
use stages::schedule::rate;

use crate::batches::BatchReader;
use crate::evaluate::Score;
use crate::failure::{NeuralError, Result, ensure};
use crate::log::log;
use crate::model::Shape;
use crate::pace::Pace;
use crate::real::Real;
use crate::state::TrainingState;
use crate::step::{Recipe, StepOutcome, StepRequest};
use crate::stopwatch::Stopwatch;
use crate::weights::Stored;
use engine::Engine;

/// The time between two lines about progress in the log.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// Receives the replies of training while it is in progress.
pub(crate) type Observe<'a> = dyn FnMut(Reply) -> Result<()> + 'a;

/// Computes the segment of one order.
#[derive(Debug)]
pub(crate) struct Trainer<T: Real> {
    train: Train,
    segment: Segment,
    folder: PathBuf,
    batches: BatchReader,
    /// The held-out text, if a rule looks at the validation loss.
    valid: Option<Ids>,
    /// The validation losses that these rules have seen, by step.
    looks: Looks,
    /// The state of training. With a GPU, its weights, moments and hidden state are those of the last checkpoint.
    state: TrainingState<T>,
    recipe: Recipe,
    engine: Engine<T>,
    threads: usize,
    pace: Pace,
    watch: Stopwatch,
}

/// How training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrainingEnd {
    /// The step after the last one computed.
    pub(crate) reached: u64,
    /// Whether a stop was requested.
    pub(crate) stopped: bool,
}

/// The result of a look at the validation loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// Training continues.
    On,
    /// Training ends here, since the loss has stopped falling.
    Enough,
    /// A stop was requested during the look.
    Interrupted,
}

impl<T: Stored> Trainer<T> {
    /// Reads the files that an order names.
    ///
    /// # Errors
    /// If a file can't be read, or doesn't match the others.
    pub(crate) fn open(order: &Order) -> Result<Self> {
        let train: Train = read("train", &order.params)?;
        let segment = order.segment.clone().ok_or("the job `train` has no segment")?;
        let Segment { from, to, length, .. } = segment;
        ensure!(from <= to && to <= length, "a segment must have from <= to <= length, not {from}, {to}, {length}");
        ensure!(
            segment.inspect.is_none_or(|step| (from..to).contains(&step)),
            "the step to inspect is not in {from}..{to}"
        );
        let input = |name: &str| {
            order.inputs.get(name).ok_or_else(|| NeuralError::from(format!("the job has no input `{name}`")))
        };
        let shape = Shape::new(&train, count_types(input("vocab")?)?)?;
        let batches = BatchReader::open(input("plan")?, input("train")?, shape.vocab)?;
        let valid = if train.reads_valid() { Some(Ids::open(input("valid")?)?) } else { None };
        ensure!(
            valid.as_ref().is_none_or(|valid| valid.len() >= 2),
            "training needs the validation loss, but valid has fewer than 2 tokens"
        );
        let (rows, threads) = (usize::try_from(batches.plan.size)?, order.threads as usize);
        let file = |path: &Option<PathBuf>, what: &str| {
            let missing = || NeuralError::from(format!("the segment starts at step {from} but names no {what}"));
            path.clone().ok_or_else(missing)
        };
        let state = if from == 0 {
            TrainingState::new(&train, shape, rows, threads)?
        } else {
            let (weights, state) = (file(&segment.weights, "weights")?, file(&segment.state, "state")?);
            TrainingState::load(&train, shape, rows, threads, from, &weights, &state)?
        };
        let folder = order.folder.clone();
        let looks = segment.looks.iter().map(|(step, loss)| (*step, loss.0)).collect();
        let recipe = Recipe::new(&train, &batches.plan, to);
        let engine = Engine::new(&train, &recipe, &state, threads)?;
        let watch = Stopwatch::start();
        let pace = Pace::new(threads);
        Ok(Self { train, segment, folder, batches, valid, state, recipe, engine, threads, pace, looks, watch })
    }

    /// Seconds by phase.
    pub(crate) fn phases(&self) -> serde_json::Value {
        self.watch.report()
    }

    /// The most threads that a step was computed with.
    pub(crate) fn most_threads(&self) -> usize {
        self.pace.most()
    }

    /// The first step to compute.
    pub(crate) fn from(&self) -> u64 {
        self.segment.from
    }

    /// The segment to run, in one line.
    pub(crate) fn summary(&self) -> String {
        let (Train { optimizer, learning_rate, .. }, Segment { from, to, length, .. }) = (&self.train, &self.segment);
        let Shape { vocab, embedding, hidden, layers, .. } = self.state.model.shape;
        let optimizer = format!("{optimizer:?}").to_lowercase();
        format!(
            "train: steps {from}..{to} of {length}, {vocab} types, embedding {embedding}, {layers} x {hidden} hidden, \
             {optimizer} at {learning_rate:?}, {} thread{}",
            self.threads,
            if self.threads == 1 { "" } else { "s" }
        )
    }

    /// The training loop. Symbols follow Zaremba et al. 2014: θ the weights, η the learning rate, L the loss, n the
    /// number of updates made, which is also the next step. `allowed` is called before each step and
    /// returns how many threads may compute it.
    ///
    /// # Errors
    /// If a file can't be read or written, or if libtorch fails. A loss that is not finite is not an error.
    pub(crate) fn run(
        &mut self,
        observe: &mut Observe<'_>,
        stop: &AtomicBool,
        allowed: &dyn Fn() -> usize,
    ) -> Result<TrainingEnd> {
        let probes = self.train.probes;
        let mut n = self.segment.from;
        let (mut written, mut last_saved, mut said) = (Instant::now(), None, (Instant::now(), n));
        loop {
            let stopped = stop.load(Ordering::Relaxed) && n < self.segment.to;
            let ends = n == self.segment.to || stopped || self.gives_up();
            let late =
                written.elapsed() >= Duration::from_secs(self.segment.checkpoint_seconds) && n > self.segment.from;
            let wanted =
                ends && self.segment.inspect.is_none() || late || self.segment.checkpoints.binary_search(&n).is_ok();
            // If a stop is requested during a look, this point is reached twice.
            if wanted && last_saved != Some(n) {
                observe(Reply::Checkpoint(self.save(n)?))?;
                (written, last_saved) = (Instant::now(), Some(n));
            }
            let looked = if stopped { Looked::On } else { self.look(n, ends, stop, observe)? };
            match looked {
                _ if stopped => return Ok(TrainingEnd { reached: n, stopped }),
                Looked::Interrupted if ends => return Ok(TrainingEnd { reached: n, stopped: true }),
                _ if ends => return Ok(TrainingEnd { reached: n, stopped: false }),
                Looked::Interrupted => continue, // A stop was requested; it ends the training above.
                Looked::Enough => {
                    if last_saved != Some(n) {
                        observe(Reply::Checkpoint(self.save(n)?))?;
                    }
                    return Ok(TrainingEnd { reached: n, stopped: false });
                }
                Looked::On => {}
            }

            self.use_threads(allowed());
            let begun = Instant::now();
            let first = n * self.recipe.accumulate;
            let epoch = self.batches.plan.epoch(first);
            let eta = rate(&self.train, n, epoch, self.segment.length, &self.state.plateau);
            let probed = probes > 0 && n.is_multiple_of(probes);
            let inspected = self.segment.inspect == Some(n);
            if inspected {
                self.engine.note_predictions();
            }
            let Self { state, batches, recipe, watch, .. } = self;
            let request = StepRequest { n, eta, probed, stop };
            let Some(outcome) = self.engine.step(state, batches, recipe, request, watch)? else {
                continue; // A stop was requested; it ends the training above.
            };
            let StepOutcome { loss, norm, clip, update_ratio, overshoot, probes, tokens } = outcome;
            let seconds = begun.elapsed().as_secs_f64();
            self.pace.took(seconds);
            if inspected {
                let noted = self.engine.take_predictions();
                observe(Reply::Predictions(inspect::write(&noted, &self.batches.plan, &self.folder, n)?))?;
            }

            let step = Step {
                step: n,
                epoch,
                loss: Measured(loss),
                learning_rate: eta,
                grad_norm: Measured(norm),
                clipped: clip < 1.0,
                update_ratio: update_ratio.map(Measured),
                overshoot: overshoot.map(Measured),
                logit_max: probes.map(|probes| Measured(probes.logit_max)),
                entropy: probes.map(|probes| Measured(probes.entropy)),
                sharpness: probes.map(|probes| Measured(probes.sharpness)),
                tokens,
                seconds,
            };
            observe(Reply::Step(step))?;
            self.judge(n, loss, observe)?;
            n += 1;
            if said.0.elapsed() >= SAY_EVERY {
                self.say(n, n - said.1, said.0.elapsed(), loss);
                said = (Instant::now(), n);
            }
        }
    }

    /// Sets the number of threads for the next step: as many of the `allowed` ones as make it fastest. This is for the
    /// CPU, where their number changes no bit. On a GPU the threads are libtorch's, and their number stays the same.
    fn use_threads(&mut self, allowed: usize) {
        if let Engine::Cpu(steps) = &mut self.engine {
            self.threads = self.pace.threads(allowed);
            steps.use_threads(self.threads);
            self.state.optimizer.use_threads(self.threads);
        }
    }

    /// Writes checkpoint `n`.
    fn save(&mut self, n: u64) -> Result<Checkpoint> {
        self.engine.store(&mut self.state)?;
        self.state.save(&self.folder, n)
    }

    /// Whether training ends here because too many losses in a row were not finite.
    fn gives_up(&self) -> bool {
        matches!(self.train.on_nonfinite, OnNonfinite::StopAfter(patience) if self.state.nonfinite >= patience)
    }

    /// Counts a loss that is not finite, and reports the trajectory's first such loss as an event.
    fn judge(&mut self, step: u64, loss: f64, observe: &mut Observe<'_>) -> Result<()> {
        if !self.state.notice(loss) {
            return Ok(());
        }
        let message = format!("the loss first became {}", Measured(loss).kind());
        log(&format!("train: step {step}: {message}"));
        observe(Reply::Event(Event { step: Some(step), kind: "nonfinite".to_owned(), message }))
    }

    /// Looks at the validation loss after `n` updates, if a rule requires it; `ends` says that no step follows.
    ///
    /// For a plateau schedule, a look belongs to the step after it: checkpoint n is the state before the look at n, so
    /// training that resumes from it looks again and sees the same loss.
    fn look(&mut self, n: u64, ends: bool, stop: &AtomicBool, observe: &mut Observe<'_>) -> Result<Looked> {
        let Train { schedule, early_stopping, ref checkpoints, .. } = self.train;
        let plateau = match schedule {
            Schedule::Plateau { rate, every, patience } if !ends && n > 0 && n.is_multiple_of(every) => {
                Some((rate, patience))
            }
            _ => None,
        };
        let early = early_stopping.filter(|rule| rule.looks_at(n));
        // There is a checkpoint at the end of training, too.
        let last = ends && (n == self.segment.length || self.gives_up());
        let candidate =
            checkpoints.keep_the_best() && (last || (checkpoints.every > 0 && n.is_multiple_of(checkpoints.every)));
        if plateau.is_none() && early.is_none() && !candidate {
            return Ok(Looked::On);
        }
        let loss = match self.looks.get(&n) {
            Some(loss) => *loss,
            None => {
                let Some(valid) = &self.valid else { return Ok(Looked::On) };
                let begun = Instant::now();
                let found = self.engine.score(&self.state.model, valid, self.threads, stop)?;
                let Some(Score { loss, tokens }) = found else { return Ok(Looked::Interrupted) };
                let (seconds, split) = (begun.elapsed().as_secs_f64(), "valid".to_owned());
                observe(Reply::Evaluation(Evaluation { split, step: Some(n), loss: Measured(loss), tokens, seconds }))?;
                self.looks.insert(n, loss);
                loss
            }
        };
        if let Some((rate, patience)) = plateau
            && self.state.plateau.look(loss, rate, patience)
        {
            let lowered = self.train.learning_rate * self.state.plateau.factor;
            let message = format!("validation loss {loss:.4} is not a new best: learning rate lowered to {lowered}");
            log(&format!("train: step {n}: {message}"));
            observe(Reply::Event(Event { step: Some(n), kind: "rate_lowered".to_owned(), message }))?;
        }
        let enough = early.is_some_and(|rule| rule.end(&self.looks).is_some_and(|end| end <= n));
        Ok(if enough { Looked::Enough } else { Looked::On })
    }

    /// Logs the progress in one line.
    fn say(&self, n: u64, steps: u64, time: Duration, loss: f64) {
        let tokens = steps * self.train.accumulate * self.batches.plan.tokens_per_step();
        let speed = tokens as f64 / time.as_secs_f64();
        log(&format!("train: step {n} of {}, loss {loss:.4}, {speed:.0} tokens per second", self.segment.to));
    }
}
