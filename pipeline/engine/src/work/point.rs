//! The progress of a point of a study through the stages.

use super::interface::{End, Track};
use super::jobs::{JobState, Jobs};
use crate::graph::{Products, Stage, Upstream};
use identity::StageKey;

/// A stage of one point.
#[derive(Debug)]
pub(super) enum PointStage {
    /// Its upstream stages are not all done.
    Open,
    /// The keys of the jobs for its nodes; `served` is whether the executions that served it are recorded.
    Expanded { keys: Vec<StageKey>, served: bool },
}

/// A point.
pub(super) struct PointJobs<'a> {
    pub(super) track: Track<'a>,
    /// One per stage of the work.
    pub(super) columns: Vec<PointStage>,
    pub(super) end: Option<End>,
}

impl<'a> PointJobs<'a> {
    /// A point that has requested nothing yet.
    pub(super) fn new(track: Track<'a>, stages: usize) -> Self {
        let columns = std::iter::repeat_with(|| PointStage::Open).take(stages).collect();
        Self { track, columns, end: None }
    }

    /// Whether the point can't be finished.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.end, Some(End::Failed { .. } | End::Interrupted { .. }))
    }

    /// The number of steps that its training reached.
    pub(super) fn reached(&self, jobs: &Jobs) -> Option<u64> {
        self.columns.iter().find_map(|column| {
            let PointStage::Expanded { keys, .. } = column else { return None };
            keys.iter().find_map(|key| match &jobs.get(key)?.state {
                JobState::Done { accepted, .. } => accepted.reached,
                _ => None,
            })
        })
    }

    /// The end of a failed job of a stage, if any.
    pub(super) fn failed(&self, column: usize, jobs: &Jobs) -> Option<End> {
        let PointStage::Expanded { keys, .. } = &self.columns[column] else { return None };
        keys.iter().find_map(|key| match &jobs[key].state {
            JobState::Failed(end) => Some(end.clone()),
            _ => None,
        })
    }

    /// The products of a stage's upstream stages; `None` while one is not done.
    pub(super) fn upstream(&self, stage: &Stage, stages: &[Stage], jobs: &Jobs) -> Option<Upstream> {
        let mut upstream = Upstream::default();
        for need in &stage.needs {
            let column = stages.iter().position(|other| other.name == *need)?;
            let PointStage::Expanded { keys, .. } = &self.columns[column] else { return None };
            let mut made = Products::default();
            for key in keys {
                let JobState::Done { accepted, .. } = &jobs.get(key)?.state else { return None };
                made.outputs.extend(accepted.outputs.clone());
                made.report = accepted.report.clone();
                made.reached = accepted.reached;
            }
            upstream.put(need.clone(), made);
        }
        Some(upstream)
    }
}
