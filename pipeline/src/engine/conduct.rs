//! What a worker says, held against what it was asked for: a step out of turn, or a file that is not whole, must not
//! reach the record.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use stages::protocol::{Checkpoint, Done, Order, Reply, Segment, Step};

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

    /// The end of the order; `stop` says whether it was asked to end early.
    ///
    /// # Errors
    /// In words, what is missing.
    pub fn end(&self, done: &Done, stop: &AtomicBool) -> Result<(), String> {
        if done.stopped {
            let asked = stop.load(Ordering::Relaxed);
            return if asked { Ok(()) } else { Err("it stopped unasked".to_owned()) };
        }
        let Some(Segment { from, to, checkpoints, looks, .. }) = &self.segment else {
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
        let wanted = checkpoints.iter().copied().filter(|step| *step < next).chain([next]);
        match wanted.into_iter().find(|step| !self.checkpoints.contains(step)) {
            Some(step) => Err(format!("it ended without checkpoint {step}")),
            None => Ok(()),
        }
    }
}

/// Whether a file that a worker names is a whole one, in its own folder.
fn whole(file: &Path, folder: &Path) -> Result<(), String> {
    if file.parent() != Some(folder) {
        return Err("outside the order's folder".to_owned());
    }
    if !file.symlink_metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("not a file".to_owned());
    }
    stages::files::whole_tensors(file)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stages::protocol::{Evaluation, Measured};

    use super::*;

    fn order(folder: &Path, segment: Option<Segment>) -> Order {
        let params = json!({ "split": "valid" });
        Order { id: 1, stage: "x".into(), params, inputs: [].into(), folder: folder.to_owned(), threads: 1, segment }
    }

    fn segment(from: u64, to: u64, checkpoints: &[u64]) -> Option<Segment> {
        let checkpoints = checkpoints.to_vec();
        Some(Segment {
            from,
            to,
            length: to,
            weights: None,
            state: None,
            checkpoints,
            looks: Vec::new(),
            checkpoint_seconds: 30,
        })
    }

    fn step(step: u64, loss: f64) -> Reply {
        Reply::Step(Step {
            step,
            epoch: 0,
            loss: Measured(loss),
            learning_rate: 1.0,
            grad_norm: Measured(1.0),
            clipped: false,
            update_ratio: None,
            overshoot: None,
            logit_max: None,
            entropy: None,
            sharpness: None,
            tokens: 1,
            seconds: 0.0,
        })
    }

    fn done(reached: Option<u64>, stopped: bool) -> Done {
        Done { order: 1, reached, stopped, peak_memory: 0, report: json!({}) }
    }

    /// A file of one tensor, or the first `bytes` of it.
    fn file(folder: &Path, name: &str, bytes: usize) -> PathBuf {
        let header = br#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let mut text = (header.len() as u64).to_le_bytes().to_vec();
        text.extend(header);
        text.extend([0; 8]);
        text.truncate(bytes);
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn checkpoint(folder: &Path, step: u64) -> Reply {
        let whole = file(folder, &format!("{step}"), usize::MAX);
        Reply::Checkpoint(Checkpoint { step, weights: whole.clone(), state: whole })
    }

    #[test]
    fn steps_come_in_turn_and_end_with_their_checkpoints() {
        let (folder, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
        let folder = folder.path();
        let begun = || Conduct::new(&order(folder, segment(3, 5, &[3, 5])), false, false);
        let mut good = begun();
        for reply in [checkpoint(folder, 3), step(3, 1.0), step(4, 1.0), checkpoint(folder, 5)] {
            good.hear(&reply).unwrap();
        }
        good.end(&done(Some(5), false), &stop).unwrap();
        assert!(good.hear(&step(5, 1.0)).unwrap_err().contains("step 5 of 3..5"));
        assert!(good.end(&done(Some(4), false), &stop).is_err());
        assert!(good.end(&done(None, false), &stop).is_err());

        for wrong in [step(0, 1.0), step(4, 1.0), step(u64::MAX, 1.0), checkpoint(folder, 5)] {
            assert!(begun().hear(&wrong).is_err(), "{wrong:?}");
        }
        let mut early = begun();
        early.hear(&checkpoint(folder, 3)).unwrap();
        assert!(early.end(&done(Some(3), false), &stop).unwrap_err().contains("ended at step 3"));
        assert!(early.end(&done(Some(3), true), &stop).unwrap_err().contains("unasked"));
        stop.store(true, Ordering::Relaxed);
        early.end(&done(Some(3), true), &stop).unwrap();
        let mut bare = begun();
        bare.hear(&step(3, 1.0)).unwrap();
        bare.hear(&step(4, 1.0)).unwrap();
        assert!(bare.end(&done(Some(5), false), &stop).unwrap_err().contains("without checkpoint 3"));
    }

    #[test]
    fn only_a_loss_that_is_not_finite_ends_a_training_early() {
        let (folder, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
        let folder = folder.path();
        for (loss, may, ends) in [(f64::NAN, true, true), (f64::NAN, false, false), (1.0, true, false)] {
            let mut conduct = Conduct::new(&order(folder, segment(0, 9, &[])), may, false);
            conduct.hear(&step(0, loss)).unwrap();
            conduct.hear(&checkpoint(folder, 1)).unwrap();
            assert_eq!(conduct.end(&done(Some(1), false), &stop).is_ok(), ends, "{loss} {may}");
        }
    }

    #[test]
    fn a_training_stops_early_only_where_it_looked() {
        let (folder, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
        let look = |step: Option<u64>| {
            Reply::Evaluation(Evaluation { split: "valid".into(), step, loss: Measured(1.0), tokens: 1, seconds: 0.0 })
        };
        let begun = |may: bool| {
            let mut conduct = Conduct::new(&order(folder.path(), segment(0, 9, &[])), false, may);
            conduct.hear(&step(0, 1.0)).unwrap();
            conduct.hear(&checkpoint(folder.path(), 1)).unwrap();
            conduct
        };
        for (may, looks, ends) in [(true, true, true), (true, false, false), (false, true, false)] {
            let mut conduct = begun(may);
            if looks {
                conduct.hear(&look(Some(1))).unwrap();
            }
            assert_eq!(conduct.end(&done(Some(1), false), &stop).is_ok(), ends, "{may} {looks}");
        }
        for wrong in [None, Some(0), Some(2)] {
            assert!(begun(true).hear(&look(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn files_are_whole_and_in_the_orders_folder() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sound = file(folder.path(), "sound", usize::MAX);
        std::os::unix::fs::symlink(&sound, folder.path().join("link")).unwrap();
        let bad = [
            file(other.path(), "elsewhere", usize::MAX),
            file(folder.path(), "short", 65),
            file(folder.path(), "shorter", 20),
            file(folder.path(), "empty", 0),
            folder.path().join("none"),
            folder.path().join("link"),
            folder.path().join("x/../sound"),
        ];
        for bad in bad {
            let mut conduct = Conduct::new(&order(folder.path(), segment(0, 1, &[])), false, false);
            let reply = |weights: &Path, state: &Path| {
                Reply::Checkpoint(Checkpoint { step: 0, weights: weights.to_owned(), state: state.to_owned() })
            };
            conduct.hear(&reply(&sound, &sound)).unwrap();
            assert!(conduct.hear(&reply(&sound, &bad)).is_err(), "{}", bad.display());
            assert!(conduct.hear(&reply(&bad, &sound)).is_err(), "{}", bad.display());
        }
    }

    #[test]
    fn an_order_without_steps_is_answered_by_one_score_of_its_split() {
        let (folder, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
        let begun = || Conduct::new(&order(folder.path(), None), false, false);
        let score = |split: &str| {
            let split = split.to_owned();
            Reply::Evaluation(Evaluation { split, step: None, loss: Measured(1.0), tokens: 1, seconds: 0.0 })
        };
        let mut good = begun();
        good.hear(&score("valid")).unwrap();
        good.end(&done(None, false), &stop).unwrap();
        assert!(begun().end(&done(None, false), &stop).is_err());
        assert!(begun().hear(&score("test")).is_err());
        assert!(begun().hear(&step(0, 1.0)).is_err());
        assert!(begun().hear(&checkpoint(folder.path(), 0)).is_err());
    }
}
