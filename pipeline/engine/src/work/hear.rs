//! Handles messages from executions: steps, checkpoints, evaluations, and ends.

use super::Work;
use super::interface::{End, Progress, WorkError};
use super::jobs::{JobState, Running};
use super::recorder::early_end;
use super::show::shown;
use crate::launch::{Made, Message, Observation, TaskError};
use identity::{How, StageKey, Status};
use record::rows::Accepted;

impl Work<'_> {
    pub(super) fn hear(&mut self, message: Message) -> Result<(), WorkError> {
        match message {
            Message::Observed(key, observation) => self.observe(key, observation),
            Message::Ended(key, result) => self.hear_end(key, result),
        }
    }

    /// Records an observation of a running execution.
    fn observe(&mut self, key: StageKey, observation: Observation) -> Result<(), WorkError> {
        // Record steps first, so that a checkpoint or an event is never recorded before the steps it follows.
        if let Observation::Checkpoint { .. } | Observation::Event(_) = observation {
            self.flush(key)?;
        }
        let Self { jobs, recorder, .. } = self;
        let training = jobs[&key].node.training.clone();
        let Some(Running { execution, training: recording, evaluations, events, .. }) = jobs.running(key) else {
            return Ok(());
        };
        match observation {
            Observation::Log { name, from } => recorder.record.set_log(*execution, &name, from)?,
            Observation::Step(step) => {
                if recording.as_mut().is_some_and(|recording| recording.step(step)) {
                    self.flush(key)?;
                }
            }
            Observation::Checkpoint { step, weights, state } => {
                if let (Some(recording), Some(training)) = (recording, training) {
                    recorder.checkpoint(*execution, recording, &training, step, [weights, state])?;
                }
            }
            Observation::Evaluation(evaluation) => match recording {
                Some(recording) => {
                    recording.looks.extend(evaluation.step.map(|step| (step, evaluation.loss.0)));
                    let row = recording.trajectory.row;
                    recorder.record.trajectory_evaluation(row, *execution, &evaluation)?;
                }
                None => evaluations.push(evaluation),
            },
            Observation::Event(event) => {
                let words = event.message.clone();
                match recording {
                    Some(recording) => recorder.record.trajectory_event(recording.trajectory.row, &event)?,
                    None => events.push(event),
                }
                self.note(key, &words);
            }
            Observation::Progress(share) => {
                self.watch.progress(&shown(key, &self.jobs[&key], &self.points), &Progress::Share(share));
            }
            Observation::Note(words) => self.note(key, &words),
        }
        Ok(())
    }

    /// Shows a message about a job.
    fn note(&mut self, key: StageKey, words: &str) {
        let label = &self.points[self.jobs[&key].users[0]].track.label;
        self.watch.note(format!("{label}: {words}").trim_start_matches(": "));
    }

    /// Records the buffered steps of a training run.
    fn flush(&mut self, key: StageKey) -> Result<(), WorkError> {
        let Self { jobs, recorder, watch, .. } = self;
        if let Some(Running { execution, training: Some(recording), .. }) = jobs.running(key)
            && let Some(words) = recorder.flush(*execution, recording)?
        {
            watch.note(&words);
        }
        Ok(())
    }

    /// Records the buffered steps of all training runs whose steps are due.
    pub(super) fn flush_late(&mut self) -> Result<(), WorkError> {
        let late =
            self.jobs.all_running().filter(|(.., running)| running.training.as_ref().is_some_and(|it| it.is_late()));
        let late: Vec<StageKey> = late.map(|(key, ..)| key).collect();
        late.into_iter().try_for_each(|key| self.flush(key))
    }

    fn hear_end(&mut self, key: StageKey, result: Result<Made, TaskError>) -> Result<(), WorkError> {
        self.flush(key)?;
        // Take over runs before the execution ends, so that a run whose process has died meanwhile gets what was
        // computed for it here.
        for user in self.jobs[&key].users.clone() {
            self.recorder.take_over(&mut self.points[user].track)?;
        }
        match result {
            Ok(made) => self.accept(key, made),
            Err(error) => self.give_up(key, &error),
        }
    }

    /// Accepts the result of an execution.
    fn accept(&mut self, key: StageKey, mut made: Made) -> Result<(), WorkError> {
        let Self { jobs, recorder, .. } = self;
        let training = jobs[&key].node.training.clone();
        let Some(running) = jobs.running(key) else { return Ok(()) };
        let (execution, seconds) = (running.execution, running.began.elapsed().as_secs_f64());
        made.events.append(&mut running.events);
        let evaluations = std::mem::take(&mut running.evaluations);
        let mut words = None;
        let accepted = match (training, &mut running.training) {
            (Some(training), Some(recording)) => {
                // A segment that only recomputed a lost checkpoint ends before its training run does.
                if made.reached == Some(recording.missing.to) {
                    made.reached = Some(recording.limit);
                }
                if let Some(event) = made.reached.and_then(|end| early_end(&training, end, &recording.looks)) {
                    words = Some(event.message.clone());
                    made.events.push(event);
                }
                let trained = Some((&training, &recording.trajectory));
                let accepted = recorder.accept(key, execution, made, trained, &evaluations)?;
                recorder.remove_dropped(recording)?;
                accepted
            }
            _ => recorder.accept(key, execution, made, None, &evaluations)?,
        };
        if let Some(words) = words {
            self.note(key, &words);
        }
        self.executed += 1;
        self.watch.ended(&shown(key, &self.jobs[&key], &self.points), seconds, None);
        self.done(key, accepted, How::Executed)
    }

    /// Records that an execution failed or was stopped.
    fn give_up(&mut self, key: StageKey, error: &TaskError) -> Result<(), WorkError> {
        let end = self.end_of(key, error);
        let Some(running) = self.jobs.running(key) else { return Ok(()) };
        let (execution, seconds) = (running.execution, running.began.elapsed().as_secs_f64());
        let status = if let End::Failed { .. } = &end { Status::Failed } else { Status::Interrupted };
        let words = error.to_string();
        let exit = matches!(error, TaskError::Worker(_)).then_some(words.as_str());
        self.recorder.record.give_up(execution, status, &words, exit, seconds)?;
        self.watch.ended(&shown(key, &self.jobs[&key], &self.points), seconds, Some(&words));
        self.lose(key, &end)
    }

    /// Marks a job as done and continues its points.
    pub(super) fn done(&mut self, key: StageKey, accepted: Accepted, how: How) -> Result<(), WorkError> {
        if how == How::Cached {
            self.cached += 1;
        }
        self.jobs.turn(key, JobState::Done { accepted, how });
        let users = self.jobs[&key].users.clone();
        users.into_iter().try_for_each(|point| self.advance(point))
    }
}
