//! How points end: finished, failed or interrupted.

use super::*;

impl Work<'_> {
    /// Asks everything that runs to stop.
    pub(super) fn stop_all(&mut self) {
        self.stopping = true;
        self.bench.stop.store(true, Ordering::Relaxed);
        for key in &self.running {
            if let State::Running(running) = &self.jobs[key].state
                && let Some(stopper) = &running.stopper
            {
                stopper.stop();
            }
        }
    }

    /// A point can't be finished.
    pub(super) fn lose_path(&mut self, path: usize, end: End) -> Result<(), WorkError> {
        if !matches!(end, End::Interrupted { cause: None }) && !self.settings.keep_going && !self.stopping {
            self.stop_all();
        }
        // What only lost points wait for is not begun.
        if self.paths[path].end.is_none() {
            self.end_path(path, end.clone())?;
        }
        let lost: HashSet<usize> = (0..self.paths.len())
            .filter(|path| matches!(self.paths[*path].end, Some(End::Failed { .. } | End::Interrupted { .. })))
            .collect();
        let idle = |key: &&StageKey| self.jobs[*key].users.iter().all(|user| lost.contains(user));
        let idle: Vec<StageKey> = self.waiting.values().filter(idle).copied().collect();
        for key in idle {
            self.turn(key, State::Idle);
        }
        Ok(())
    }

    /// Writes a point's end down.
    pub(super) fn end_path(&mut self, path: usize, end: End) -> Result<(), WorkError> {
        let row = self.conclude(path, end)?;
        Ok(self.record.end_runs(row.as_slice(), &self.settings.process)?)
    }

    /// Ends a point: what is to be written of its run, if anything is.
    fn conclude(&mut self, path: usize, end: End) -> Result<Option<RunEnd>, WorkError> {
        let steps = self.reached(path);
        let partial = self.partial;
        let Path { track, clock, end: slot, .. } = &mut self.paths[path];
        *slot = Some(end.clone());
        // A finished run stays one, also when a damaged object of it could not be made again just now.
        let Some(run) = track.run.filter(|_| !track.settled) else { return Ok(None) };
        let (status, error) = match end {
            End::Finished if partial => ("interrupted", None),
            End::Finished => ("finished", None),
            End::Failed { message, .. } => ("failed", Some(message)),
            End::Interrupted { cause } => ("interrupted", cause.map(|cause| cause.message)),
        };
        let seconds = clock.seconds();
        self.take_over(path)?;
        Ok(Some(RunEnd { run, status, steps, seconds, error }))
    }

    /// Takes the run of a point over whose process, another one, has died meanwhile.
    pub(super) fn take_over(&mut self, path: usize) -> Result<(), WorkError> {
        let track = &mut self.paths[path].track;
        let Some(row) = track.attached.as_ref() else { return Ok(()) };
        let process = self.record.process_of(row.id)?;
        if process.as_deref().is_some_and(|process| lock::is_alive(self.store.root(), process)) {
            return Ok(());
        }
        let row = RunRow { process, ..row.clone() };
        if self.record.take_runs(&[&row], &self.settings.process)?[0] {
            track.attached = None;
        }
        Ok(())
    }

    /// The steps that a point's training reached.
    pub(super) fn reached(&self, path: usize) -> Option<u64> {
        self.paths[path].columns.iter().find_map(|column| {
            let Column::Expanded { keys, .. } = column else { return None };
            keys.iter().find_map(|key| match &self.jobs.get(key)?.state {
                State::Done { accepted, .. } => accepted.reached,
                _ => None,
            })
        })
    }

    /// Whoever has not ended by now was interrupted.
    pub(super) fn finish_paths(&mut self) -> Result<(), WorkError> {
        let mut rows = Vec::new();
        for path in 0..self.paths.len() {
            if self.paths[path].end.is_none() {
                rows.extend(self.conclude(path, End::Interrupted { cause: None })?);
            }
        }
        Ok(self.record.end_runs(&rows, &self.settings.process)?)
    }
}
