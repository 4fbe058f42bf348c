//! Checks a worker's messages against its order: a step out of sequence, an impossible number or an incomplete file
//! must not reach the record.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use identity::observations::{Event, Step};
use stages::StageError;
use stages::expected::Expected;
use stages::protocol::{Checkpoint, Done, Order, PredictionsFile, Reply, Segment};

use crate::worker::brief;

/// Maximum number of replies between two steps; an evaluation, a checkpoint and their events need only a few.
const MOST_BETWEEN_STEPS: usize = 100;

/// Maximum number of characters in an event's kind and in its message.
const LONGEST_EVENT: (usize, usize) = (40, 1000);

/// How much two clocks can disagree.
const SLACK: Duration = Duration::from_secs(1);

/// Maximum bytes of an order's report.
const LONGEST_REPORT: usize = 1 << 16;

/// The progress of an order.
#[derive(Debug)]
pub struct Conduct {
    folder: PathBuf,
    /// The split to evaluate, for an order without a segment.
    split: Option<String>,
    segment: Option<Segment>,
    /// The numbers that the order determines.
    expected: Expected,
    /// Whether NaN or infinite losses may end training before the end of the segment.
    may_give_up: bool,
    /// Whether an evaluation on the validation split may do so.
    may_stop_early: bool,
    /// The number of the next step.
    next: u64,
    /// Whether the last loss was finite.
    finite: bool,
    checkpoints: BTreeSet<u64>,
    /// Whether the requested predictions have arrived.
    predicted: bool,
    evaluations: usize,
    /// The step of the newest evaluation.
    looked: Option<u64>,
    /// Replies since the last step.
    between: usize,
    /// Units of work done, for an order without steps.
    progress: u64,
    /// When the order was sent.
    begun: Instant,
}

impl Conduct {
    /// Starts following an order. Fails if one of its inputs can't be read.
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

    /// Checks a reply, and makes its texts safe to record and print. The error says what contradicts the order.
    pub fn hear(&mut self, reply: &mut Reply) -> Result<(), String> {
        self.between = if let Reply::Step(_) | Reply::Progress { .. } = reply { 0 } else { self.between + 1 };
        if self.between > MOST_BETWEEN_STEPS {
            return Err(format!("sent more than {MOST_BETWEEN_STEPS} messages before step {}", self.next));
        }
        match reply {
            Reply::Step(step) => self.step(step),
            Reply::Checkpoint(checkpoint) => self.checkpoint(checkpoint),
            Reply::Predictions(predictions) => self.predictions(predictions),
            Reply::Evaluation(evaluation) => {
                self.evaluations += 1;
                if self.looked == evaluation.step && self.evaluations > 1 {
                    return Err(format!("evaluated {} twice", brief(&evaluation.split, LONGEST_EVENT.0)));
                }
                let (split, step) = (&evaluation.split, evaluation.step);
                // During training, the current weights are evaluated.
                let wanted = match &self.segment {
                    Some(_) => step == Some(self.next),
                    None => step.is_none() && self.split.as_ref() == Some(split),
                };
                self.looked = step;
                if !wanted {
                    let split = brief(split, LONGEST_EVENT.0);
                    let at = step.map_or(String::new(), |step| format!(" at step {step}"));
                    return Err(format!("evaluated {split}{at} without being asked"));
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
        let Some(segment) = &self.segment else { return Err("sent a step for a job without steps".to_owned()) };
        if step.step != self.next || step.step >= segment.to {
            let Segment { from, to, .. } = segment;
            return Err(format!("sent step {} of {from}..{to}, expected step {}", step.step, self.next));
        }
        self.took(step.seconds)?;
        self.expected.step(step)?;
        self.next += 1;
        self.finite = step.loss.0.is_finite();
        Ok(())
    }

    /// Refuses a duration longer than the age of the order. [`Expected`] refuses what is not a duration at all.
    fn took(&self, seconds: f64) -> Result<(), String> {
        let most = (self.begun.elapsed() + SLACK).as_secs_f64();
        if seconds > most {
            return Err(format!("reported {seconds:?} s of work for a job less than {most:.0} s old"));
        }
        Ok(())
    }

    fn event(&self, event: &mut Event) -> Result<(), String> {
        let possible = |step: u64| {
            let segment = self.segment.as_ref();
            segment.is_some_and(|segment| (segment.from..=segment.to).contains(&step) && step <= self.next)
        };
        if let Some(step) = event.step.filter(|step| !possible(*step)) {
            return Err(format!("sent an event of step {step} while at step {}", self.next));
        }
        event.kind = brief(&event.kind, LONGEST_EVENT.0);
        event.message = brief(&event.message, LONGEST_EVENT.1);
        Ok(())
    }

    fn advance(&mut self, done: u64, whole: u64) -> Result<(), String> {
        if self.segment.is_some() {
            return Err("sent progress, expected steps".to_owned());
        }
        // Progress must increase, so that these messages come to an end.
        if done <= self.progress || done > whole {
            return Err(format!("reported progress {done} of {whole} after reporting {}", self.progress));
        }
        self.progress = done;
        Ok(())
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), String> {
        let Checkpoint { step, weights, state } = checkpoint;
        if self.segment.is_none() || *step != self.next {
            return Err(format!("sent checkpoint {step} while at step {}", self.next));
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
            return Err(format!("sent the predictions of step {step} unasked or too late, at step {}", self.next));
        }
        own(file, &self.folder).map_err(|words| format!("{}: {words}", file.display()))?;
        self.predicted = true;
        Ok(())
    }

    /// Checks the end of the order; `stop` is whether it was asked to end early. The error says what is missing.
    pub fn end(&self, done: &Done, stop: &AtomicBool) -> Result<(), String> {
        if done.report.to_string().len() > LONGEST_REPORT {
            return Err(format!("sent a report longer than {LONGEST_REPORT} bytes"));
        }
        if i64::try_from(done.peak_memory).is_err() {
            return Err(format!("reported {} bytes of peak memory", done.peak_memory));
        }
        if done.stopped {
            let asked = stop.load(Ordering::Relaxed);
            return if asked { Ok(()) } else { Err("stopped without being asked".to_owned()) };
        }
        let Some(Segment { from, to, checkpoints, looks, inspect, .. }) = &self.segment else {
            return match (self.evaluations, done.reached) {
                (1, None) => Ok(()),
                (n, _) => Err(format!("ended after {n} evaluations, expected one")),
            };
        };
        let next = self.next;
        if done.reached != Some(next) {
            return Err(format!("reported step {} as reached, expected {next}", done.reached.unwrap_or(0)));
        }
        let gave_up = self.may_give_up && (next == *from || !self.finite);
        let looked = self.looked == Some(next) || looks.iter().any(|(step, _)| *step == next);
        if next < *to && !gave_up && !(self.may_stop_early && looked) {
            return Err(format!("ended at step {next} of {from}..{to}"));
        }
        if inspect.is_some() && !self.predicted {
            return Err("ended without the requested predictions".to_owned());
        }
        let last = inspect.is_none().then_some(next);
        let wanted = checkpoints.iter().copied().filter(|step| *step < next).chain(last);
        match wanted.into_iter().find(|step| !self.checkpoints.contains(step)) {
            Some(step) => Err(format!("ended without checkpoint {step}")),
            None => Ok(()),
        }
    }
}

/// Checks that a file named by a worker is a complete tensor file in the order's folder.
fn whole(file: &Path, folder: &Path) -> Result<(), String> {
    own(file, folder)?;
    stages::files::whole_tensors(file)
}

/// Checks that a file is a regular file in the order's folder.
fn own(file: &Path, folder: &Path) -> Result<(), String> {
    if file.parent() != Some(folder) {
        return Err("outside the job's folder".to_owned());
    }
    if !file.symlink_metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("not a regular file".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
