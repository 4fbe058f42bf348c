//! A trajectory on its way into the record: steps in batches, states thinned out.

use std::time::{Duration, Instant};

use super::interface::WorkError;
use super::recorder::Recorder;
use crate::graph::Training;
use crate::segment::{self, Missing};
use crate::store::Put;
use identity::observations::{Event, Looks, Step};
use identity::{ExecutionId, ObjectId};
use record::rows::Trajectory;

/// Steps wait this long at most before they are written.
const FLUSH: Duration = Duration::from_millis(250);
/// Steps that are written at once, however long they waited.
const FLUSH_STEPS: usize = 1024;

/// A trajectory as its execution is recorded.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) trajectory: Trajectory,
    pub(super) missing: Missing,
    /// Where the training ends: its length, or the step at which its loss had stayed non-finite for too long.
    pub(super) limit: u64,
    /// The valid losses that rules of the training have seen.
    pub(super) looks: Looks,
    /// Tokens of the steps so far.
    pub(super) tokens: u64,
    /// The newest step and its loss, to be shown.
    pub(super) last: Option<(u64, f64)>,
    /// Steps that were recorded before this execution.
    recorded: u64,
    waiting: Vec<Step>,
    flushed: Instant,
    /// Whether a step that was computed again differed, and that was told.
    differed: bool,
    /// Objects pruned so far whose files are still there.
    dropped: Vec<ObjectId>,
}

impl Recording {
    /// Nothing of what is missing is computed yet.
    pub(super) fn new(trajectory: Trajectory, missing: Missing, limit: u64, looks: Looks) -> Self {
        let (tokens, last, recorded) = (0, None, trajectory.steps);
        let (waiting, flushed, differed, dropped) = (Vec::new(), Instant::now(), false, Vec::new());
        Self { trajectory, missing, limit, looks, tokens, last, recorded, waiting, flushed, differed, dropped }
    }

    /// Takes a step in; says whether as many wait as are written at once.
    pub(super) fn step(&mut self, step: Step) -> bool {
        self.tokens = self.tokens.saturating_add(step.tokens);
        self.last = Some((step.step, step.loss.0));
        self.waiting.push(step);
        self.waiting.len() >= FLUSH_STEPS
    }

    /// Whether steps have waited for long.
    pub(super) fn is_late(&self) -> bool {
        self.flushed.elapsed() > FLUSH
    }
}

impl Recorder<'_> {
    /// Writes a training's waiting steps down; returns what is to be told of the first that was computed before and differs.
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
            "step {} was computed again, from step {}, and differs: {} before, {} now (execution {})",
            mismatch.step, recording.missing.from, mismatch.before, mismatch.now, execution.0
        );
        let event = Event { step: Some(mismatch.step), kind: "differs".to_owned(), message };
        self.record.trajectory_event(row, &event)?;
        recording.differed = true;
        Ok(Some(event.message))
    }

    /// Records a checkpoint, and prunes what resuming no longer needs.
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
        // They hold the store's content, which is thinned next.
        drop((weights, state));
        self.thin(recording, training)
    }

    /// Prunes states that resuming will not need, and checkpoints that nobody asked to keep.
    fn thin(&mut self, recording: &mut Recording, training: &Training) -> Result<(), WorkError> {
        let checkpoints = &mut recording.trajectory.checkpoints;
        let with_state: Vec<u64> = checkpoints.iter().filter(|(_, c)| c.1.is_some()).map(|(step, _)| *step).collect();
        let states = segment::states_to_drop(&with_state);
        let kept = training.kept_until(recording.limit, &recording.looks);
        // Weights that were the best for a while.
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
        // Kept until the end, the pruned states of a long training would fill the disk.
        self.remove_dropped(recording)
    }

    /// Removes the objects that a training pruned, unless somebody else refers to them or is adding objects.
    pub(super) fn remove_dropped(&mut self, recording: &mut Recording) -> Result<(), WorkError> {
        let dropped = std::mem::take(&mut recording.dropped);
        // Another database may need what this one pruned.
        if dropped.is_empty() || !self.store.other_databases(self.record.path()).is_empty() {
            return Ok(());
        }
        let record = &mut *self.record;
        let removed = self.store.remove(|| -> Result<_, WorkError> {
            let gone = record.unreferenced(&dropped)?;
            // The rows go first: a row without its file would be taken for damage.
            record.forget_objects(&gone)?;
            Ok(gone)
        })?;
        if removed.is_none() {
            recording.dropped = dropped;
        }
        Ok(())
    }
}
