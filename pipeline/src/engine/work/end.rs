//! How points end: finished, failed or interrupted.

use super::*;

impl Work<'_> {
    /// Asks everything that runs to stop.
    pub(super) fn stop_all(&mut self) {
        self.stopping = true;
        self.bench.stop.store(true, Ordering::Relaxed);
        for job in self.jobs.values() {
            if let State::Running(running) = &job.state
                && let Some(stopper) = &running.stopper
            {
                stopper.stop();
            }
        }
    }

    /// A point can't be finished.
    pub(super) fn lose_path(&mut self, path: usize, end: End) -> Result<(), WorkError> {
        if !matches!(end, End::Interrupted { error: None }) && !self.settings.keep_going && !self.stopping {
            self.stop_all();
        }
        // What only lost points wait for is not begun.
        if self.paths[path].end.is_none() {
            self.end_path(path, end.clone())?;
        }
        let lost: HashSet<usize> = (0..self.paths.len())
            .filter(|path| matches!(self.paths[*path].end, Some(End::Failed { .. } | End::Interrupted { .. })))
            .collect();
        let idle: Vec<StageKey> = self
            .jobs
            .iter()
            .filter(|(_, job)| matches!(job.state, State::Ready | State::Elsewhere))
            .filter(|(_, job)| job.users.iter().all(|user| lost.contains(user)))
            .map(|(key, _)| *key)
            .collect();
        for key in idle {
            self.turn(key, State::Lost);
        }
        Ok(())
    }

    /// Writes a point's end down.
    pub(super) fn end_path(&mut self, path: usize, end: End) -> Result<(), WorkError> {
        let reached = self.reached(path);
        let Path { track, began, executed, end: slot, .. } = &mut self.paths[path];
        *slot = Some(end.clone());
        let Some(run) = track.run else { return Ok(()) };
        if track.settled && !(*executed) && end == End::Finished {
            return Ok(());
        }
        if track.attached
            && let Some(process) = self.record.process_of(run)?
            && process != self.settings.process
            && lock::is_alive(self.store.root(), &process)
        {
            return Ok(());
        }
        let seconds = began.elapsed().as_secs_f64();
        let partial = self.settings.until.is_some();
        let (status, error) = match &end {
            End::Finished if partial && !track.settled => ("interrupted", None),
            End::Finished => ("finished", None),
            End::Failed { message, .. } => ("failed", Some(message.as_str())),
            End::Interrupted { error } => ("interrupted", error.as_deref()),
        };
        // A finished run stays one, also when a damaged object of it could not be made again just now.
        let status = if track.settled { "finished" } else { status };
        Ok(self.record.end_run(run, status, reached, seconds, error)?)
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
        for path in 0..self.paths.len() {
            if self.paths[path].end.is_none() {
                self.end_path(path, End::Interrupted { error: None })?;
            }
        }
        Ok(())
    }
}
