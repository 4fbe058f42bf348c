//! A trajectory on its way into the record: steps in batches, states thinned out.

use super::*;

impl Work<'_> {
    /// Writes a training's waiting steps down.
    pub(super) fn flush(&mut self, key: StageKey) -> Result<(), WorkError> {
        let Some(Running { execution, training: Some(recording), .. }) = self.running(key) else { return Ok(()) };
        if recording.waiting.is_empty() {
            return Ok(());
        }
        let execution = *execution;
        let steps = std::mem::take(&mut recording.waiting);
        recording.flushed = Instant::now();
        let (row, recorded, from) = (recording.trajectory.row, recording.recorded, recording.missing.from);
        let told = recording.differed;
        let Some(mismatch) = self.record.append_steps(row, recorded, &steps)? else { return Ok(()) };
        if told {
            return Ok(());
        }
        let message = format!(
            "step {} was computed again, from step {from}, and differs: {} before, {} now (execution {})",
            mismatch.step, mismatch.before, mismatch.now, execution.0
        );
        let event = Event { step: Some(mismatch.step), kind: "differs".to_owned(), message };
        self.record.trajectory_event(row, &event)?;
        self.watch.note(&event.message);
        if let Some(Running { training: Some(recording), .. }) = self.running(key) {
            recording.differed = true;
        }
        Ok(())
    }

    pub(super) fn flush_waiting(&mut self) -> Result<(), WorkError> {
        let late = |key: &&StageKey| match &self.jobs[*key].state {
            State::Running(running) => running.training.as_ref().is_some_and(|r| r.flushed.elapsed() > FLUSH),
            _ => false,
        };
        let due: Vec<StageKey> = self.running.iter().filter(late).copied().collect();
        due.into_iter().try_for_each(|key| self.flush(key))
    }

    /// Lets go of states that resuming will not need, and of checkpoints that were only steps on the way.
    pub(super) fn thin(&mut self, key: StageKey) -> Result<(), WorkError> {
        let Some(training) = self.jobs[&key].node.training.clone() else { return Ok(()) };
        let Some(Running { training: Some(recording), .. }) = self.running(key) else { return Ok(()) };
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
            return self.remove_dropped(key);
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
        let row = recording.trajectory.row;
        self.record.thin_checkpoints(row, &states, &whole)?;
        // In a long training the dropped states would fill the disk before its end.
        self.remove_dropped(key)
    }

    /// Removes the objects that a training let go of, unless somebody else refers to them or is adding objects.
    pub(super) fn remove_dropped(&mut self, key: StageKey) -> Result<(), WorkError> {
        let Some(Running { training: Some(recording), .. }) = self.running(key) else { return Ok(()) };
        let dropped = std::mem::take(&mut recording.dropped);
        // Another database may need what this one let go of; both then stay.
        if dropped.is_empty() || !self.store.other_databases(self.record.path()).is_empty() {
            return Ok(());
        }
        let mut gone = Vec::new();
        let record = &mut *self.record;
        let removed = self.store.remove(|| -> Result<_, WorkError> {
            gone = record.unreferenced(&dropped)?;
            // The rows go first: a row without its file would be taken for damage.
            record.forget_objects(&gone)?;
            Ok(gone.clone())
        })?;
        if removed.is_none()
            && let Some(Running { training: Some(recording), .. }) = self.running(key)
        {
            recording.dropped = dropped;
        }
        Ok(())
    }
}
