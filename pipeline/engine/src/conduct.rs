//! Checks what a worker says against its order: a step out of turn, a number that can't be, or a file that is
//! not whole, must not reach the record.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use identity::observations::{Event, Step};
use stages::StageError;
use stages::expected::Expected;
use stages::protocol::{Checkpoint, Done, Order, PredictionsFile, Reply, Segment};

use crate::worker::brief;

/// Replies that may come between two steps. A look, a checkpoint and their events are a handful.
const MOST_BETWEEN_STEPS: usize = 100;

/// Characters of an event's kind, and of its message.
const LONGEST_EVENT: (usize, usize) = (40, 1000);

/// By how much two clocks may disagree.
const SLACK: Duration = Duration::from_secs(1);

/// Bytes of an order's report.
const LONGEST_REPORT: usize = 1 << 16;

/// An order as far as it is carried out.
#[derive(Debug)]
pub struct Conduct {
    folder: PathBuf,
    /// The split that an order without a segment has scored.
    split: Option<String>,
    segment: Option<Segment>,
    /// What its numbers must be.
    expected: Expected,
    /// Whether the training may end before its segment does, at losses that are not finite.
    may_give_up: bool,
    /// Whether it may at any look at its valid loss.
    may_stop_early: bool,
    /// The step to come.
    next: u64,
    /// Whether the last loss was finite.
    finite: bool,
    checkpoints: BTreeSet<u64>,
    /// Whether the predictions are told that are wanted.
    predicted: bool,
    evaluations: usize,
    /// The newest weights whose valid loss is known.
    looked: Option<u64>,
    /// Replies since the last step.
    between: usize,
    /// Units done of an order without steps.
    progress: u64,
    /// When the order was given.
    begun: Instant,
}

impl Conduct {
    /// Nothing is carried out yet.
    ///
    /// # Errors
    /// When an input of the order can't be read.
    pub fn new(order: &Order, may_give_up: bool, may_stop_early: bool) -> Result<Self, StageError> {
        Ok(Self {
            folder: order.folder.clone(),
            split: order.params.get("split").and_then(|split| split.as_str()).map(str::to_owned),
            next: order.segment.as_ref().map_or(0, |segment| segment.from),
            segment: order.segment.clone(),
            expected: Expected::of(order)?,
            may_give_up,
            may_stop_early,
            finite: true,
            checkpoints: BTreeSet::new(),
            predicted: false,
            evaluations: 0,
            looked: None,
            between: 0,
            progress: 0,
            begun: Instant::now(),
        })
    }

    /// Takes a reply in, and makes its texts ones that can be recorded and shown.
    ///
    /// # Errors
    /// In words, what about it is not as ordered.
    pub fn hear(&mut self, reply: &mut Reply) -> Result<(), String> {
        self.between = if let Reply::Step(_) | Reply::Progress { .. } = reply { 0 } else { self.between + 1 };
        if self.between > MOST_BETWEEN_STEPS {
            return Err(format!("it told of more than {MOST_BETWEEN_STEPS} things before step {}", self.next));
        }
        match reply {
            Reply::Step(step) => self.step(step),
            Reply::Checkpoint(checkpoint) => self.checkpoint(checkpoint),
            Reply::Predictions(predictions) => self.predictions(predictions),
            Reply::Evaluation(evaluation) => {
                self.evaluations += 1;
                if self.looked == evaluation.step && self.evaluations > 1 {
                    return Err(format!("it scored {} twice", brief(&evaluation.split, LONGEST_EVENT.0)));
                }
                let (split, step) = (&evaluation.split, evaluation.step);
                // Training scores the weights that it has just then.
                let wanted = match &self.segment {
                    Some(_) => step == Some(self.next),
                    None => step.is_none() && self.split.as_ref() == Some(split),
                };
                self.looked = step;
                if !wanted {
                    let split = brief(split, LONGEST_EVENT.0);
                    let at = step.map_or(String::new(), |step| format!(" at step {step}"));
                    return Err(format!("it scored {split}{at} unasked"));
                }
                self.took(evaluation.seconds)?;
                self.expected.evaluation(evaluation)
            }
            Reply::Event(event) => self.event(event),
            Reply::Progress { done, whole, .. } => self.advance(*done, *whole),
            Reply::Hello(_) | Reply::Done(_) | Reply::Failed { .. } => Ok(()),
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        let Some(segment) = &self.segment else { return Err("it trained unasked".to_owned()) };
        if step.step != self.next || step.step >= segment.to {
            let Segment { from, to, .. } = segment;
            return Err(format!("step {} of {from}..{to} came where step {} was due", step.step, self.next));
        }
        self.took(step.seconds)?;
        self.expected.step(step)?;
        self.next += 1;
        self.finite = step.loss.0.is_finite();
        Ok(())
    }

    /// Whether anything can have taken so long since the order was given. What isn't even a time is refused with the rest.
    fn took(&self, seconds: f64) -> Result<(), String> {
        let most = (self.begun.elapsed() + SLACK).as_secs_f64();
        if seconds > most {
            return Err(format!("it spent {seconds:?} seconds on what was ordered less than {most:.0} seconds ago"));
        }
        Ok(())
    }

    fn event(&self, event: &mut Event) -> Result<(), String> {
        let possible = |step: u64| {
            let segment = self.segment.as_ref();
            segment.is_some_and(|segment| (segment.from..=segment.to).contains(&step) && step <= self.next)
        };
        if let Some(step) = event.step.filter(|step| !possible(*step)) {
            return Err(format!("it told of an event at step {step} where step {} was due", self.next));
        }
        event.kind = brief(&event.kind, LONGEST_EVENT.0);
        event.message = brief(&event.message, LONGEST_EVENT.1);
        Ok(())
    }

    fn advance(&mut self, done: u64, whole: u64) -> Result<(), String> {
        if self.segment.is_some() {
            return Err("it told of progress where steps were due".to_owned());
        }
        // Each tells of more, so that they come to an end.
        if done <= self.progress || done > whole {
            return Err(format!("it was at {done} of {whole} after it was at {}", self.progress));
        }
        self.progress = done;
        Ok(())
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), String> {
        let Checkpoint { step, weights, state } = checkpoint;
        if self.segment.is_none() || *step != self.next {
            return Err(format!("checkpoint {step} came where step {} was due", self.next));
        }
        for file in [weights, state] {
            whole(file, &self.folder).map_err(|words| format!("checkpoint {step}: {}: {words}", file.display()))?;
        }
        self.checkpoints.insert(*step);
        Ok(())
    }

    fn predictions(&mut self, predictions: &PredictionsFile) -> Result<(), String> {
        let PredictionsFile { step, file } = predictions;
        let wanted = self.segment.as_ref().and_then(|segment| segment.inspect);
        if wanted != Some(*step) || *step != self.next {
            return Err(format!("the predictions of step {step} came where step {} was due", self.next));
        }
        own(file, &self.folder).map_err(|words| format!("{}: {words}", file.display()))?;
        self.predicted = true;
        Ok(())
    }

    /// The end of the order; `stop` says whether it was asked to end early.
    ///
    /// # Errors
    /// In words, what is missing.
    pub fn end(&self, done: &Done, stop: &AtomicBool) -> Result<(), String> {
        if done.report.to_string().len() > LONGEST_REPORT {
            return Err(format!("its report is longer than {LONGEST_REPORT} bytes"));
        }
        if i64::try_from(done.peak_memory).is_err() {
            return Err(format!("it says that it took {} bytes of memory", done.peak_memory));
        }
        if done.stopped {
            let asked = stop.load(Ordering::Relaxed);
            return if asked { Ok(()) } else { Err("it stopped unasked".to_owned()) };
        }
        let Some(Segment { from, to, checkpoints, looks, inspect, .. }) = &self.segment else {
            return match (self.evaluations, done.reached) {
                (1, None) => Ok(()),
                (n, _) => Err(format!("it ended with {n} scores, not one")),
            };
        };
        let next = self.next;
        if done.reached != Some(next) {
            return Err(format!("it ended at step {:?}, having told {next}", done.reached.unwrap_or(0)));
        }
        let gave_up = self.may_give_up && (next == *from || !self.finite);
        let looked = self.looked == Some(next) || looks.iter().any(|(step, _)| *step == next);
        if next < *to && !gave_up && !(self.may_stop_early && looked) {
            return Err(format!("it ended at step {next} of {from}..{to}"));
        }
        if inspect.is_some() && !self.predicted {
            return Err("it ended without the predictions that were wanted".to_owned());
        }
        let last = inspect.is_none().then_some(next);
        let wanted = checkpoints.iter().copied().filter(|step| *step < next).chain(last);
        match wanted.into_iter().find(|step| !self.checkpoints.contains(step)) {
            Some(step) => Err(format!("it ended without checkpoint {step}")),
            None => Ok(()),
        }
    }
}

/// Whether a file that a worker names is a whole one of tensors, in its own folder.
fn whole(file: &Path, folder: &Path) -> Result<(), String> {
    own(file, folder)?;
    stages::files::whole_tensors(file)
}

/// Whether it is a file there.
fn own(file: &Path, folder: &Path) -> Result<(), String> {
    if file.parent() != Some(folder) {
        return Err("outside the order's folder".to_owned());
    }
    if !file.symlink_metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("not a file".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
