//! What tasks tell: steps, checkpoints, evaluations, and how they ended.

use super::*;

impl Work<'_> {
    pub(super) fn running(&mut self, key: StageKey) -> Option<&mut Running> {
        match &mut self.jobs.get_mut(&key)?.state {
            State::Running(running) => Some(running),
            _ => None,
        }
    }

    pub(super) fn hear(&mut self, message: Message) -> Result<(), WorkError> {
        match message {
            Message::Logs { key, log, from } => {
                if let Some(running) = self.running(key) {
                    let execution = running.execution;
                    self.record.set_log(execution, &log, from)?;
                }
            }
            Message::Taken { key, stopper } => {
                if self.stopping {
                    stopper.stop();
                }
                if let Some(running) = self.running(key) {
                    running.stopper = Some(stopper);
                }
            }
            Message::Step(key, step) => {
                if let Some(Running { training: Some(recording), .. }) = self.running(key) {
                    recording.tokens = recording.tokens.saturating_add(step.tokens);
                    recording.last = Some((step.step, step.loss.0));
                    recording.waiting.push(step);
                    if recording.waiting.len() >= FLUSH_STEPS {
                        self.flush(key)?;
                    }
                }
            }
            Message::Checkpoint { key, step, weights, state } => {
                // Steps first: whoever finds a checkpoint finds all steps before it.
                self.flush(key)?;
                let Some(running) = self.running(key) else { return Ok(()) };
                let execution = running.execution;
                let Some(recording) = &mut running.training else { return Ok(()) };
                recording.trajectory.checkpoints.insert(step, (weights.id, Some(state.id)));
                let row = recording.trajectory.row;
                let (w, s) = ((weights.id, weights.bytes), (state.id, state.bytes));
                self.record.add_checkpoint(row, execution, step, w, s)?;
                drop((weights, state));
                self.thin(key)?;
            }
            Message::Evaluation(key, evaluation) => {
                let Some(running) = self.running(key) else { return Ok(()) };
                let execution = running.execution;
                match &mut running.training {
                    Some(recording) => {
                        recording.looks.extend(evaluation.step.map(|step| (step, evaluation.loss.0)));
                        let row = recording.trajectory.row;
                        self.record.trajectory_evaluation(row, execution, &evaluation)?;
                    }
                    None => running.evaluations.push(evaluation),
                }
            }
            Message::Event(key, event) => {
                self.flush(key)?;
                let Some(running) = self.running(key) else { return Ok(()) };
                match &running.training {
                    Some(recording) => {
                        let row = recording.trajectory.row;
                        self.record.trajectory_event(row, &event)?;
                    }
                    None => running.events.push(event.clone()),
                }
                self.note(key, &event.message);
            }
            Message::Progress(key, share) => {
                let job = &self.jobs[&key];
                self.watch.progress(&shown(key, job, &self.paths), &Progress::Share(share));
            }
            Message::Note(key, words) => self.note(key, &words),
            Message::Ended(key, result) => self.hear_end(key, result)?,
        }
        Ok(())
    }

    /// Says something of a job.
    fn note(&mut self, key: StageKey, words: &str) {
        let label = &self.paths[self.jobs[&key].users[0]].track.label;
        self.watch.note(format!("{label}: {words}").trim_start_matches(": "));
    }

    fn hear_end(&mut self, key: StageKey, result: Result<Made, TaskError>) -> Result<(), WorkError> {
        self.flush(key)?;
        // While the execution still runs: a run that another process has left meanwhile keeps what this one computed for it.
        for user in self.jobs.get(&key).map(|job| job.users.clone()).unwrap_or_default() {
            self.take_over(user)?;
        }
        let Some(running) = self.running(key) else { return Ok(()) };
        let (execution, seconds) = (running.execution, running.began.elapsed().as_secs_f64());
        let evaluations = std::mem::take(&mut running.evaluations);
        let events = std::mem::take(&mut running.events);
        let trajectory = running.training.as_ref().map(|recording| recording.trajectory.clone());
        let looks = running.training.as_ref().map(|recording| recording.looks.clone()).unwrap_or_default();
        let segment = running.training.as_ref().map(|recording| (recording.missing.to, recording.limit));
        let error = match result {
            Ok(mut made) => {
                // A segment that only made a lost checkpoint again ends before its training does.
                if let Some((to, limit)) = segment
                    && made.reached == Some(to)
                {
                    made.reached = Some(limit);
                }
                made.events.extend(events);
                if let (Some(training), Some(reached)) = (self.jobs[&key].node.training.as_ref(), made.reached)
                    && let Some(event) = accept::early_end(training, reached, &looks)
                {
                    self.note(key, &event.message);
                    made.events.push(event);
                }
                let accepted = self.accept(key, execution, made, trajectory.as_ref(), &evaluations)?;
                self.remove_dropped(key)?;
                self.executed += 1;
                let job = &self.jobs[&key];
                self.watch.ended(&shown(key, job, &self.paths), seconds, None);
                return self.done(key, accepted, "executed");
            }
            Err(error) => error,
        };
        let end = self.end_of(key, &error);
        let status = if let End::Failed { .. } = &end { "failed" } else { "interrupted" };
        let exit = matches!(error, TaskError::Worker(_)).then(|| error.to_string());
        self.record.give_up(execution, status, &error.to_string(), exit.as_deref(), seconds)?;
        let job = &self.jobs[&key];
        let words = error.to_string();
        self.watch.ended(&shown(key, job, &self.paths), seconds, Some(&words));
        let users = job.users.clone();
        // What was stopped or killed from outside did not fail by itself: whoever asks for it later may try.
        let state = if let End::Failed { .. } = &end { State::Failed(end.clone()) } else { State::Idle };
        self.turn(key, state);
        for path in users {
            self.lose_path(path, end.clone())?;
        }
        Ok(())
    }

    /// How an execution's failure ends those that asked for it.
    fn end_of(&self, key: StageKey, error: &TaskError) -> End {
        let message = error.to_string();
        let outside =
            |hint: &str| End::Interrupted { cause: Some(Cause { message: message.clone(), hint: hint.to_owned() }) };
        let hint = match error {
            TaskError::Stopped => return End::Interrupted { cause: None },
            // Whoever signals all processes of a job may meet a worker that does not listen yet.
            TaskError::Worker(WorkerError::Died { killed: true, .. }) if self.stop_asked.load(Ordering::Relaxed) => {
                return End::Interrupted { cause: None };
            }
            TaskError::Worker(WorkerError::Died { killed: true, .. }) => return outside(""),
            TaskError::Stage(error) => return failed(error),
            TaskError::Disk { error, .. } => return outside(store::advice(error)),
            TaskError::Thread(_) => return outside(Shortage::Threads.hint()),
            TaskError::Changed(_) => "run again: what was made of it before is kept".to_owned(),
            TaskError::Worker(WorkerError::Changed(_)) => "run again: the worker is asked anew what it is".to_owned(),
            TaskError::Worker(error) => match (error.shortage(), system_error(&message).filter(limits::is_outside)) {
                (Some(what), _) => return outside(what.hint()),
                (None, Some(error)) => return outside(store::advice(&error)),
                (None, None) => self.see_the_log(key),
            },
        };
        End::Failed { message, key: None, hint }
    }

    /// The command that shows the worker's own words.
    fn see_the_log(&self, key: StageKey) -> String {
        let run = self.paths[self.jobs[&key].users[0]].track.run;
        run.map(|run| format!("pipeline show {run} --log")).unwrap_or_default()
    }

    /// A job's result is accepted: its points go on.
    pub(super) fn done(&mut self, key: StageKey, accepted: Accepted, how: &'static str) -> Result<(), WorkError> {
        self.turn(key, State::Done { accepted, how });
        for path in self.jobs[&key].users.clone() {
            self.advance(path)?;
        }
        Ok(())
    }
}

/// The system's error that a worker's words end with, as Rust writes it: `No space left on device (os error 28)`.
fn system_error(words: &str) -> Option<std::io::Error> {
    let (_, rest) = words.rsplit_once("(os error ")?;
    let code = rest.split_once(')')?.0.parse().ok()?;
    Some(std::io::Error::from_raw_os_error(code))
}
