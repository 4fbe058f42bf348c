//! What the work finds written, and what it writes down: results and whether their objects are sound, the ends of runs.

use std::collections::HashSet;
use std::sync::Arc;

use super::interface::{Track, WorkError};
use crate::graph::{Parent, Training};
use crate::launch::Made;
use crate::lock;
use crate::store::{Health, Store};
use identity::observations::{Evaluation, Event, Looks};
use identity::{ExecutionId, ObjectId, OutputName, StageKey, TrajectoryId};
use record::Record;
use record::rows::{Accepted, Finished, KILLED, RunEnd, RunRow, Trajectory};

/// The record and the store, of which each has what the other needs.
pub(super) struct Recorder<'a> {
    pub(super) record: &'a mut Record,
    pub(super) store: Arc<Store>,
    /// This process.
    pub(super) process: String,
    /// Objects whose want or damage was told.
    noted: HashSet<ObjectId>,
}

/// An object that is not what its name says, with what it is to its stage.
type Ill = (ObjectId, OutputName, Health);

impl<'a> Recorder<'a> {
    pub(super) fn new(record: &'a mut Record, store: Arc<Store>, process: String) -> Self {
        Self { record, store, process, noted: HashSet::new() }
    }

    /// Whether an object is there and what its name says.
    pub(super) fn is_sound(&mut self, id: ObjectId) -> bool {
        matches!(self.health(id), Ok(Health::Sound))
    }

    /// How an object stands, whose size the record has.
    fn health(&mut self, id: ObjectId) -> std::io::Result<Health> {
        let record = &mut self.record;
        self.store.check_sized(id, || record.size(id).ok().flatten())
    }

    /// The accepted result of a key, when there is one and all that it made is sound; of a training also what its trajectory
    /// has. What is to be told of objects that are not goes to `tell`, once for each.
    pub(super) fn result(
        &mut self,
        key: StageKey,
        training: Option<(&Training, TrajectoryId)>,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Option<Accepted>, WorkError> {
        let Some(accepted) = self.record.result(key)? else { return Ok(None) };
        let mut unsound = Vec::new();
        for (name, id) in &accepted.outputs {
            unsound.extend(self.ill(*id, name)?);
        }
        if let Some((training, identity)) = training {
            unsound.extend(self.ill_checkpoints(identity, training.length)?);
        }
        for (id, name, health) in &unsound {
            // Several results may list it, and a result is looked up again under its claim.
            if self.noted.insert(*id) {
                let what = if *health == Health::Missing { "is missing" } else { "is damaged and was set aside" };
                tell(&format!("object {id} ({name}) {what}; recomputing"));
            }
        }
        let is_whole = match training {
            Some((training, identity)) => unsound.is_empty() && self.is_whole(identity, training)?,
            None => unsound.is_empty(),
        };
        Ok(is_whole.then_some(accepted))
    }

    /// An object that is not what its name says.
    fn ill(&mut self, id: ObjectId, name: &OutputName) -> Result<Option<Ill>, WorkError> {
        let health = self.health(id).map_err(|error| WorkError::Store { path: self.store.path(id), error })?;
        Ok((health != Health::Sound).then(|| (id, name.clone(), health)))
    }

    /// Of a trajectory's checkpoints up to a length, also those that only resuming needs, the objects that are not what
    /// their names say.
    fn ill_checkpoints(&mut self, identity: TrajectoryId, length: u64) -> Result<Vec<Ill>, WorkError> {
        let Some(recorded) = self.record.find_trajectory(identity)? else { return Ok(Vec::new()) };
        let mut ill = Vec::new();
        for (step, (weights, state)) in recorded.checkpoints.range(..=length) {
            ill.extend(self.ill(*weights, &OutputName::weights(*step))?);
            if let Some(state) = state {
                ill.extend(self.ill(*state, &OutputName::state(*step))?);
            }
        }
        if !ill.is_empty() {
            // Another process may have pruned a state in the meantime: it deletes the row before the file.
            let still = self.record.find_trajectory(identity)?.map(|t| t.checkpoints).unwrap_or_default();
            ill.retain(|(id, ..)| still.values().any(|(weights, state)| weights == id || *state == Some(*id)));
        }
        Ok(ill)
    }

    /// Whether the last checkpoint of a training has its state, where a fork wants it.
    fn is_whole(&mut self, identity: TrajectoryId, training: &Training) -> Result<bool, WorkError> {
        if !training.whole {
            return Ok(true);
        }
        let trajectory = self.record.find_trajectory(identity)?;
        let last = trajectory.and_then(|it| it.checkpoints.get(&training.length).copied());
        Ok(last.is_some_and(|(_, state)| state.is_some()))
    }

    /// The weights and state from which a fork begins, where both are sound.
    pub(super) fn origin(&mut self, parent: &Parent) -> Result<Option<(ObjectId, ObjectId)>, WorkError> {
        let Some(trajectory) = self.record.find_trajectory(parent.identity)? else { return Ok(None) };
        let Some((weights, Some(state))) = trajectory.checkpoints.get(&parent.step) else { return Ok(None) };
        Ok((self.is_sound(*weights) && self.is_sound(*state)).then_some((*weights, *state)))
    }

    /// Accepts what an execution made, in one transaction. The outputs of a training are the kept checkpoints of its
    /// trajectory.
    pub(super) fn accept(
        &mut self,
        key: StageKey,
        execution: ExecutionId,
        mut made: Made,
        trained: Option<(&Training, &Trajectory)>,
        evaluations: &[Evaluation],
    ) -> Result<Accepted, WorkError> {
        let outputs: Vec<(OutputName, ObjectId, u64)> = match trained {
            Some((training, trajectory)) => {
                let reached = made.reached.unwrap_or(0);
                let looks = if training.looks() { self.record.looks(trajectory.row)? } else { Looks::new() };
                let kept = training.kept_until(reached, &looks);
                if let Some(best) = training.best_until(reached, &looks) {
                    made.report["best"] = best.into();
                }
                let weights = |step: u64| {
                    let (id, _) = trajectory.checkpoints.get(&step).ok_or(WorkError::NoCheckpoint(step))?;
                    let bytes = self.store.path(*id).metadata().map_or(0, |meta| meta.len());
                    Ok((OutputName::weights(step), *id, bytes))
                };
                kept.into_iter().map(weights).collect::<Result<_, WorkError>>()?
            }
            None => made.outputs.iter().map(|(name, put)| (name.clone(), put.id, put.bytes)).collect(),
        };
        let accepted = Accepted {
            execution,
            outputs: outputs.iter().map(|(name, id, _)| (name.clone(), *id)).collect(),
            report: made.report.clone(),
            reached: made.reached,
        };
        // `made` holds the store's content until its references are recorded.
        self.record.accept(&Finished {
            execution,
            key,
            outputs,
            report: &made.report,
            evaluations,
            samples: &made.samples,
            baselines: &made.baselines,
            events: &made.events,
            seconds: made.seconds,
            peak_memory: made.peak_memory,
            to_step: made.reached,
        })?;
        Ok(accepted)
    }

    /// Takes the run of a point over whose process, another one, has died meanwhile.
    pub(super) fn take_over(&mut self, track: &mut Track<'_>) -> Result<(), WorkError> {
        let Some(row) = track.attached.as_ref() else { return Ok(()) };
        let process = self.record.process_of(row.id)?;
        if process.as_deref().is_some_and(|process| lock::is_alive(self.store.root(), process)) {
            return Ok(());
        }
        let row = RunRow { process, ..row.clone() };
        if self.record.take_runs(&[&row], &self.process)?[0] {
            track.attached = None;
        }
        Ok(())
    }

    /// Writes down how runs ended.
    pub(super) fn end_runs(&mut self, rows: &[RunEnd]) -> Result<(), WorkError> {
        Ok(self.record.end_runs(rows, &self.process)?)
    }

    /// Ends the runs of processes that were killed.
    pub(super) fn sweep(&mut self) -> Result<(), WorkError> {
        let root = self.store.root();
        Ok(self.record.sweep(|process| lock::is_alive(root, process), KILLED)?)
    }
}

/// What is to be said of a training that ended before its length: it belongs to this execution and not to the
/// trajectory, because another run may continue it.
pub(super) fn early_end(training: &Training, reached: u64, looks: &Looks) -> Option<Event> {
    if let Some(rule) = training.early_stopping.filter(|rule| rule.end(looks) == Some(reached)) {
        let many = if rule.patience == 0 {
            "no new best".to_owned()
        } else {
            format!("no new best for {} looks", rule.patience + 1)
        };
        let message = format!("the valid loss has {many}: training ends after {reached} steps");
        return Some(Event { step: Some(reached.saturating_sub(1)), kind: "stopped_early".to_owned(), message });
    }
    let steps = training.stop_after.filter(|_| reached < training.length)?;
    let plural = if steps == 1 { "" } else { "s" };
    let message = format!("the loss was not finite for {steps} step{plural} in a row: training ends");
    Some(Event { step: Some(reached.saturating_sub(1)), kind: "stopped_nonfinite".to_owned(), message })
}
