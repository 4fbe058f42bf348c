//! The checkpoint that a fork starts from: one of its parent's, recomputed if its state was pruned.

use super::Work;
use super::interface::{End, WorkError};
use super::jobs::{Job, JobState};
use crate::explain;
use crate::graph::{self, Parent, Stage, Training};
use identity::{Fields, StageKey, TrajectoryId};
use record::rows::NewTrajectory;

/// The trajectory of a training run, to be recorded.
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
    /// Describes which steps of its parent are recomputed before a fork starts; `None` if there are none.
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
        Ok(Some(format!("(after recomputing steps {from} to {} of its parent, whose state was pruned)", parent.step)))
    }

    /// Whether a job must wait for the checkpoint that it starts from; if that failed, the job fails too.
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

    /// Requests the parent up to the checkpoint that a fork starts from; the fork waits for it.
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

    /// The failure of a fork whose parent can't be recomputed, because this program would compute a different one.
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
                "the state of checkpoint {step} was pruned, and can't be recomputed exactly because of these changes: \
                 {}",
                differs.join(", ")
            ),
            key: None,
            hint: "fork at a checkpoint whose state is kept, or use the version of pipeline that trained it".to_owned(),
        }))
    }
}
