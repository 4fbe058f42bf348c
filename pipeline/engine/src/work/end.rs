//! How points end: finished, failed or interrupted.

use stages::StageError;

use super::Work;
use super::interface::{End, Interruption, WorkError};
use super::jobs::JobState;
use super::point::PointJobs;
use crate::launch::TaskError;
use crate::store;
use crate::worker::{Shortage, WorkerError};
use identity::{StageKey, Status};
use record::rows::RunEnd;
use system::limits;

impl Work<'_> {
    /// Asks everything that runs to stop.
    pub(super) fn stop_all(&mut self) {
        self.stopping = true;
        self.launcher.stop();
    }

    /// Gives up a job and the points that requested it.
    pub(super) fn lose(&mut self, key: StageKey, end: &End) -> Result<(), WorkError> {
        // A job that was stopped or killed from outside did not fail by itself, so a later request may retry it.
        let state = if let End::Failed { .. } = end { JobState::Failed(end.clone()) } else { JobState::Idle };
        let users = self.jobs[&key].users.clone();
        self.jobs.turn(key, state);
        users.into_iter().try_for_each(|user| self.lose_point(user, end.clone()))
    }

    /// Gives up a point.
    pub(super) fn lose_point(&mut self, point: usize, end: End) -> Result<(), WorkError> {
        if !matches!(end, End::Interrupted { cause: None }) && !self.settings.keep_going && !self.stopping {
            self.stop_all();
        }
        if self.points[point].end.is_none() {
            self.end_point(point, end)?;
        }
        // Jobs that only points given up are waiting for are not started.
        let idle = |key: &StageKey| self.jobs[key].users.iter().all(|user| self.points[*user].is_lost());
        let idle: Vec<StageKey> = self.jobs.all_waiting().filter(idle).collect();
        for key in idle {
            self.jobs.turn(key, JobState::Idle);
        }
        Ok(())
    }

    /// Records a point's end.
    pub(super) fn end_point(&mut self, point: usize, end: End) -> Result<(), WorkError> {
        let row = self.conclude(point, end)?;
        self.recorder.end_runs(row.as_slice())
    }

    /// Marks all points that have not ended as interrupted.
    pub(super) fn finish_points(&mut self) -> Result<(), WorkError> {
        let mut rows = Vec::new();
        for point in 0..self.points.len() {
            if self.points[point].end.is_none() {
                rows.extend(self.conclude(point, End::Interrupted { cause: None })?);
            }
        }
        self.recorder.end_runs(&rows)
    }

    /// Ends a point; returns what to record about its run, if anything.
    fn conclude(&mut self, point: usize, end: End) -> Result<Option<RunEnd>, WorkError> {
        let seconds = self.jobs.seconds(point);
        let Self { points, jobs, recorder, partial, .. } = self;
        let steps = points[point].reached(jobs);
        let PointJobs { track, end: slot, .. } = &mut points[point];
        *slot = Some(end.clone());
        // A finished run stays finished, even if recomputing one of its damaged objects failed.
        let Some(run) = track.run.filter(|_| !track.settled) else { return Ok(None) };
        let (status, error) = match end {
            End::Finished if *partial => (Status::Interrupted, None),
            End::Finished => (Status::Finished, None),
            End::Failed { message, .. } => (Status::Failed, Some(message)),
            End::Interrupted { cause } => (Status::Interrupted, cause.map(|cause| cause.message)),
        };
        recorder.take_over(track)?;
        Ok(Some(RunEnd { run, status, steps, seconds, error }))
    }

    /// How an execution's failure ends the points that requested it.
    pub(super) fn end_of(&self, key: StageKey, error: &TaskError) -> End {
        let message = error.to_string();
        let outside = |hint: &str| End::Interrupted {
            cause: Some(Interruption { message: message.clone(), hint: hint.to_owned() }),
        };
        let hint = match error {
            TaskError::Stopped => return End::Interrupted { cause: None },
            // A signal to all processes of a batch job can hit a worker that doesn't handle signals yet.
            TaskError::Worker(WorkerError::Died { killed: true, .. }) if self.is_asked_to_stop() => {
                return End::Interrupted { cause: None };
            }
            TaskError::Worker(WorkerError::Died { killed: true, .. }) => return outside(""),
            TaskError::Stage(error) => return failed(error),
            TaskError::Disk { error, .. } => return outside(store::advice(error)),
            TaskError::Thread(_) => return outside(Shortage::Threads.hint()),
            TaskError::Changed(_) => "run the same command again: finished work is kept".to_owned(),
            TaskError::Worker(WorkerError::Changed(_)) => "run the same command again to use the new worker".to_owned(),
            TaskError::Worker(error) => match (error.shortage(), error.system_error().filter(limits::is_outside)) {
                (Some(what), _) => return outside(what.hint()),
                (None, Some(error)) => return outside(store::advice(&error)),
                (None, None) => self.see_the_log(key),
            },
        };
        End::Failed { message, key: None, hint }
    }

    /// A hint with the command that shows the worker's log.
    fn see_the_log(&self, key: StageKey) -> String {
        let run = self.points[self.jobs[&key].users[0]].track.run;
        run.map(|run| format!("to see the worker's log: pipeline show {run} --log")).unwrap_or_default()
    }
}

/// How a stage's error ends a point.
pub(super) fn failed(error: &StageError) -> End {
    match error {
        StageError::Input { key, message, hint } => {
            End::Failed { message: message.clone(), key: Some(key.clone()), hint: hint.clone() }
        }
        StageError::Io { error: system, .. } => {
            let (message, hint) = (error.to_string(), store::advice(system).to_owned());
            match limits::is_outside(system) {
                true => End::Interrupted { cause: Some(Interruption { message, hint }) },
                false => End::Failed { message, key: None, hint },
            }
        }
        error => End::Failed { message: error.to_string(), key: None, hint: String::new() },
    }
}
