//! The checkpoint from which a fork begins: its parent's, made again where its state was let go.

use super::Work;
use super::interface::{End, WorkError};
use super::jobs::{Job, JobState};
use crate::explain;
use crate::graph::{self, Parent, Stage, Training};
use identity::{Fields, StageKey, TrajectoryId};
use record::rows::NewTrajectory;

/// A training's trajectory, as the record is to have it.
pub(super) fn begun<'n>(
    fields: &'n Fields,
    training: &Training,
    threads: u32,
    cpu_capability: &'n str,
) -> NewTrajectory<'n> {
    let parent = training.parent.as_ref().map(|parent| (parent.identity, parent.step));
    NewTrajectory { identity: TrajectoryId(fields.digest()), fields, threads, cpu_capability, parent }
}

impl Work<'_> {
    /// What of its parent is computed again before a fork begins, in words; `None` where nothing is.
    pub(super) fn replay(&mut self, key: StageKey) -> Result<Option<String>, WorkError> {
        let Self { jobs, recorder, .. } = self;
        let job = &jobs[&key];
        let Some(parent) = job.node.training.as_ref().and_then(|training| training.parent.as_ref()) else {
            return Ok(None);
        };
        let own = recorder.record.find_trajectory(TrajectoryId(job.claim))?;
        if own.is_some_and(|own| own.checkpoints.values().any(|(_, state)| state.is_some())) {
            return Ok(None);
        }
        if recorder.origin(parent)?.is_some() {
            return Ok(None);
        }
        let found = recorder.record.find_trajectory(parent.identity)?;
        let checkpoints = found.map(|trajectory| trajectory.checkpoints).unwrap_or_default();
        let nearest = checkpoints.range(..parent.step).rev().find(|(_, (_, state))| state.is_some());
        let from = nearest.map_or(0, |(step, _)| *step);
        Ok(Some(format!("(after steps {from} to {} of its parent, whose state there was let go)", parent.step)))
    }

    /// Whether a job can't start because what it begins from is not made; when that failed, so has the job.
    pub(super) fn waits_for_origin(&mut self, key: StageKey) -> Result<bool, WorkError> {
        let needed = self.jobs[&key].needs.and_then(|needs| self.jobs.get(&needs));
        match needed.map(|job| &job.state) {
            Some(JobState::Ready | JobState::Elsewhere | JobState::Running(_)) => {
                self.jobs.turn(key, JobState::Elsewhere);
                Ok(true)
            }
            Some(JobState::Failed(end)) => {
                let end = end.clone();
                self.lose(key, &end)?;
                Ok(true)
            }
            Some(JobState::Done { .. } | JobState::Idle) | None => Ok(false),
        }
    }

    /// Has the parent computed again up to the checkpoint from which a fork begins; the fork waits for it.
    pub(super) fn ask_for_origin(&mut self, key: StageKey, parent: &Parent) -> Result<(), WorkError> {
        let Job { stage, users, needs, .. } = &self.jobs[&key];
        let (stage, users) = (stage.clone(), users.clone());
        if needs.is_some_and(|needs| matches!(self.jobs[&needs].state, JobState::Done { .. })) {
            return Err(WorkError::NoCheckpoint(parent.step));
        }
        if let Some(end) = self.foreign(&stage, parent)? {
            return self.lose(key, &end);
        }
        let mut needed = None;
        for user in users {
            needed = Some(self.ask(user, &stage, (*parent.node).clone())?);
        }
        self.jobs.set_need(key, needed);
        self.jobs.turn(key, JobState::Elsewhere);
        Ok(())
    }

    /// Why the parent can't be computed again: this program would compute another trajectory.
    fn foreign(&mut self, stage: &Stage, parent: &Parent) -> Result<Option<End>, WorkError> {
        let Some(training) = &parent.node.training else { return Ok(None) };
        let now = graph::trajectory_fields(stage, &parent.node, training, &self.graph.facts);
        if TrajectoryId(now.digest()) == parent.identity {
            return Ok(None);
        }
        let before = self.recorder.record.trajectory_fields(parent.identity)?;
        let before = before.and_then(|text| Fields::from_json(&text));
        let differences = now.differences(&before.unwrap_or_default());
        let differs: Vec<String> = differences.iter().map(explain::line).collect();
        let step = parent.step;
        Ok(Some(End::Failed {
            message: format!(
                "the state of checkpoint {step} was let go, and can't be made again as it was: {}",
                differs.join(", ")
            ),
            key: None,
            hint: "fork at a checkpoint whose state is kept, or with the program that trained it".to_owned(),
        }))
    }
}
