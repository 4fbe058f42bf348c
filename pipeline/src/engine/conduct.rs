//! What a worker says, held against what it was asked for: a step out of turn, or a file that is not whole, must not
//! reach the record.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use stages::protocol::{Checkpoint, Done, Order, Predictions, Reply, Segment, Step};

/// An order as far as it is carried out.
#[derive(Debug)]
pub struct Conduct {
    folder: PathBuf,
    /// The split that an order without a segment has scored.
    split: Option<String>,
    segment: Option<Segment>,
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
}

impl Conduct {
    /// Nothing is carried out yet.
    pub fn new(order: &Order, may_give_up: bool, may_stop_early: bool) -> Self {
        Self {
            folder: order.folder.clone(),
            split: order.params.get("split").and_then(|split| split.as_str()).map(str::to_owned),
            next: order.segment.as_ref().map_or(0, |segment| segment.from),
            segment: order.segment.clone(),
            may_give_up,
            may_stop_early,
            finite: true,
            checkpoints: BTreeSet::new(),
            predicted: false,
            evaluations: 0,
            looked: None,
        }
    }

    /// Takes a reply in.
    ///
    /// # Errors
    /// In words, what about it is not as ordered.
    pub fn hear(&mut self, reply: &Reply) -> Result<(), String> {
        match reply {
            Reply::Step(step) => self.step(step),
            Reply::Checkpoint(checkpoint) => self.checkpoint(checkpoint),
            Reply::Predictions(predictions) => self.predictions(predictions),
            Reply::Evaluation(evaluation) => {
                self.evaluations += 1;
                let (split, step) = (&evaluation.split, evaluation.step);
                // Training scores the weights that it has just then.
                let wanted = match &self.segment {
                    Some(_) => step == Some(self.next),
                    None => step.is_none() && self.split.as_ref() == Some(split),
                };
                self.looked = step;
                if wanted { Ok(()) } else { Err(format!("it scored {split} at {step:?} unasked")) }
            }
            Reply::Event(_) | Reply::Progress { .. } => Ok(()),
            Reply::Hello(_) | Reply::Done(_) | Reply::Failed { .. } => Ok(()),
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        let Some(segment) = &self.segment else { return Err("it trained unasked".to_owned()) };
        if step.step != self.next || step.step >= segment.to {
            let Segment { from, to, .. } = segment;
            return Err(format!("step {} of {from}..{to} came where step {} was due", step.step, self.next));
        }
        self.next += 1;
        self.finite = step.loss.0.is_finite();
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

    fn predictions(&mut self, predictions: &Predictions) -> Result<(), String> {
        let Predictions { step, file } = predictions;
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
