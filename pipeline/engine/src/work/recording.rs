//! Records a trajectory: writes steps in batches, and prunes states.

use std::time::{Duration, Instant};

use super::interface::WorkError;
use super::recorder::Recorder;
use crate::graph::Training;
use crate::segment::{self, Missing};
use crate::store::Put;
use identity::observations::{Event, Looks, Step};
use identity::{ExecutionId, ObjectId};
use record::rows::Trajectory;

/// Maximum time that steps are buffered.
const FLUSH: Duration = Duration::from_millis(250);
/// Number of buffered steps that are written at once.
const FLUSH_STEPS: usize = 1024;

/// A trajectory while an execution of it is being recorded.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) trajectory: Trajectory,
    pub(super) missing: Missing,
    /// Where training ends: its length, or the step at which a rule stopped it.
    pub(super) limit: u64,
    /// The validation losses that the rules of the training run read.
    pub(super) looks: Looks,
    /// Tokens of this execution's steps so far.
    pub(super) tokens: u64,
    /// The newest step and its loss, for display.
    pub(super) last: Option<(u64, f64)>,
    /// Number of steps recorded before this execution.
    recorded: u64,
    waiting: Vec<Step>,
    flushed: Instant,
    /// Whether a difference in a recomputed step has been reported.
    differed: bool,
    /// Pruned objects whose files still exist.
    dropped: Vec<ObjectId>,
}

impl Recording {
    /// A recording without any steps yet.
    pub(super) fn new(trajectory: Trajectory, missing: Missing, limit: u64, looks: Looks) -> Self {
        let (tokens, last, recorded) = (0, None, trajectory.steps);
        let (waiting, flushed, differed, dropped) = (Vec::new(), Instant::now(), false, Vec::new());
        Self { trajectory, missing, limit, looks, tokens, last, recorded, waiting, flushed, differed, dropped }
    }

    /// Buffers a step; returns whether the buffer is full.
    pub(super) fn step(&mut self, step: Step) -> bool {
        self.tokens = self.tokens.saturating_add(step.tokens);
        self.last = Some((step.step, step.loss.0));
        self.waiting.push(step);
        self.waiting.len() >= FLUSH_STEPS
    }

    /// Whether buffered steps are due to be written.
    pub(super) fn is_late(&self) -> bool {
        self.flushed.elapsed() > FLUSH
    }
}

impl Recorder<'_> {
    /// Records the buffered steps; returns a message about the first recomputed step that differs.
    pub(super) fn flush(
        &mut self,
        execution: ExecutionId,
        recording: &mut Recording,
    ) -> Result<Option<String>, WorkError> {
        if recording.waiting.is_empty() {
            return Ok(None);
        }
        let steps = std::mem::take(&mut recording.waiting);
        recording.flushed = Instant::now();
        let row = recording.trajectory.row;
        let mismatch = self.record.append_steps(row, recording.recorded, &steps)?;
        let Some(mismatch) = mismatch.filter(|_| !recording.differed) else { return Ok(None) };
        let message = format!(
            "step {} differs when recomputed from step {}: {} before, {} now (execution {})",
            mismatch.step, recording.missing.from, mismatch.before, mismatch.now, execution.0
        );
        let event = Event { step: Some(mismatch.step), kind: "differs".to_owned(), message };
        self.record.trajectory_event(row, &event)?;
        recording.differed = true;
        Ok(Some(event.message))
    }

    /// Records a checkpoint, and prunes states that resuming no longer needs.
    pub(super) fn checkpoint(
        &mut self,
        execution: ExecutionId,
        recording: &mut Recording,
        training: &Training,
        step: u64,
        [weights, state]: [Put; 2],
    ) -> Result<(), WorkError> {
        recording.trajectory.checkpoints.insert(step, (weights.id, Some(state.id)));
        let (w, s) = ((weights.id, weights.bytes), (state.id, state.bytes));
        self.record.add_checkpoint(recording.trajectory.row, execution, step, w, s)?;
        // Release their locks on the store's content, which is pruned next.
        drop((weights, state));
        self.thin(recording, training)
    }

    /// Prunes states that resuming doesn't need, and checkpoints that `keep` doesn't include.
    fn thin(&mut self, recording: &mut Recording, training: &Training) -> Result<(), WorkError> {
        let checkpoints = &mut recording.trajectory.checkpoints;
        let with_state: Vec<u64> = checkpoints.iter().filter(|(_, c)| c.1.is_some()).map(|(step, _)| *step).collect();
        let states = segment::states_to_drop(&with_state);
        let kept = training.kept_until(recording.limit, &recording.looks);
        // Checkpoints whose weights are no longer the best.
        let stateless = checkpoints.iter().filter(|(_, c)| c.1.is_none()).map(|(step, _)| *step);
        let outdone: Vec<u64> = match training.checkpoints.keep_the_best() {
            true => stateless.filter(|step| kept.binary_search(step).is_err()).collect(),
            false => Vec::new(),
        };
        if states.is_empty() && outdone.is_empty() {
            return self.remove_dropped(recording);
        }
        let mut whole = Vec::new();
        for step in states.iter().chain(&outdone) {
            let Some((weights, state)) = checkpoints.get_mut(step) else { continue };
            recording.dropped.extend(state.take());
            if kept.binary_search(step).is_err() {
                recording.dropped.push(*weights);
                whole.push(*step);
            }
        }
        checkpoints.retain(|step, _| !whole.contains(step));
        self.record.thin_checkpoints(recording.trajectory.row, &states, &whole)?;
        // They are removed now rather than at the end, when the pruned states of a long training run could have filled
        // the disk.
        self.remove_dropped(recording)
    }

    /// Removes the pruned objects of a training run from the store, unless something refers to them or objects are
    /// being added.
    pub(super) fn remove_dropped(&mut self, recording: &mut Recording) -> Result<(), WorkError> {
        let dropped = std::mem::take(&mut recording.dropped);
        // Another database may need what this one pruned.
        if dropped.is_empty() || !self.store.other_databases(self.record.path()).is_empty() {
            return Ok(());
        }
        let record = &mut *self.record;
        let removed = self.store.remove(|| -> Result<_, WorkError> {
            let gone = record.unreferenced(&dropped)?;
            // Delete the rows first: a row without its file would count as damage.
            record.forget_objects(&gone)?;
            Ok(gone)
        })?;
        if removed.is_none() {
            recording.dropped = dropped;
        }
        Ok(())
    }
}
