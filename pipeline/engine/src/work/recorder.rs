//! Reads and writes the record and the store: results and the condition of their objects, and the ends of runs.

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

/// The record and the store, which are only meaningful together.
pub(super) struct Recorder<'a> {
    pub(super) record: &'a mut Record,
    pub(super) store: Arc<Store>,
    /// The identifier of this process.
    pub(super) process: String,
    /// Missing and damaged objects already reported.
    noted: HashSet<ObjectId>,
}

/// A missing or damaged object, with its output name.
type Ill = (ObjectId, OutputName, Health);

impl<'a> Recorder<'a> {
    pub(super) fn new(record: &'a mut Record, store: Arc<Store>, process: String) -> Self {
        Self { record, store, process, noted: HashSet::new() }
    }

    /// Whether an object is in the store and intact.
    pub(super) fn is_sound(&mut self, id: ObjectId) -> bool {
        matches!(self.health(id), Ok(Health::Sound))
    }

    /// The condition of an object whose size is recorded.
    fn health(&mut self, id: ObjectId) -> std::io::Result<Health> {
        let record = &mut self.record;
        self.store.check_sized(id, || record.size(id).ok().flatten())
    }

    /// The accepted result of a key, if there is one and all of its objects are intact, including those of its
    /// trajectory if it trains. Reports each missing or damaged object to `tell`, once.
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
            // Several results can list an object, and a result is looked up again under its claim.
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

    /// The object, if it is missing or damaged.
    fn ill(&mut self, id: ObjectId, name: &OutputName) -> Result<Option<Ill>, WorkError> {
        let health = self.health(id).map_err(|error| WorkError::Store { path: self.store.path(id), error })?;
        Ok((health != Health::Sound).then(|| (id, name.clone(), health)))
    }

    /// The missing and damaged objects of a trajectory's checkpoints up to `length`, including those needed only for
    /// resuming.
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
            // Another process may have pruned a state meanwhile; it deletes the row before the file.
            let still = self.record.find_trajectory(identity)?.map(|t| t.checkpoints).unwrap_or_default();
            ill.retain(|(id, ..)| still.values().any(|(weights, state)| weights == id || *state == Some(*id)));
        }
        Ok(ill)
    }

    /// Whether the last checkpoint of a training run has its state, if a fork requires it.
    fn is_whole(&mut self, identity: TrajectoryId, training: &Training) -> Result<bool, WorkError> {
        if !training.whole {
            return Ok(true);
        }
        let trajectory = self.record.find_trajectory(identity)?;
        let last = trajectory.and_then(|it| it.checkpoints.get(&training.length).copied());
        Ok(last.is_some_and(|(_, state)| state.is_some()))
    }

    /// The weights and state from which a fork starts, if both are intact.
    pub(super) fn origin(&mut self, parent: &Parent) -> Result<Option<(ObjectId, ObjectId)>, WorkError> {
        let Some(trajectory) = self.record.find_trajectory(parent.identity)? else { return Ok(None) };
        let Some((weights, Some(state))) = trajectory.checkpoints.get(&parent.step) else { return Ok(None) };
        Ok((self.is_sound(*weights) && self.is_sound(*state)).then_some((*weights, *state)))
    }

    /// Accepts the result of an execution, in one transaction. If it trained, its outputs are the kept checkpoints of
    /// its trajectory.
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
        // `made` holds its lock on the store's content until its references are recorded.
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

    /// Takes over the run of a point from another process that has died.
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

    /// Records the ends of runs.
    pub(super) fn end_runs(&mut self, rows: &[RunEnd]) -> Result<(), WorkError> {
        Ok(self.record.end_runs(rows, &self.process)?)
    }

    /// Ends the runs of processes that were killed.
    pub(super) fn sweep(&mut self) -> Result<(), WorkError> {
        let root = self.store.root();
        Ok(self.record.sweep(|process| lock::is_alive(root, process), KILLED)?)
    }
}

/// The event for a training run that ended before its full length. It belongs to the execution, not to the trajectory,
/// since another run may continue the trajectory.
pub(super) fn early_end(training: &Training, reached: u64, looks: &Looks) -> Option<Event> {
    if let Some(rule) = training.early_stopping.filter(|rule| rule.end(looks) == Some(reached)) {
        let waited = match rule.patience {
            0 => String::new(),
            patience => format!(" for {} evaluations", patience + 1),
        };
        let message = format!("the validation loss did not improve{waited}; training stopped after {reached} steps");
        return Some(Event { step: Some(reached.saturating_sub(1)), kind: "stopped_early".to_owned(), message });
    }
    let steps = training.stop_after.filter(|_| reached < training.length)?;
    let plural = if steps == 1 { "" } else { "s" };
    let message = format!("the loss was NaN or Inf for {steps} consecutive step{plural}; training stopped");
    Some(Event { step: Some(reached.saturating_sub(1)), kind: "stopped_nonfinite".to_owned(), message })
}
