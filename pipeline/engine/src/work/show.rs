//! Reports the progress of the work.

use super::Work;
use super::interface::{JobLabel, Progress, WorkError, WorkSummary};
use super::jobs::Job;
use super::point::{PointJobs, PointStage};
use crate::segment::Missing;
use identity::StageKey;

impl Work<'_> {
    /// The summary of a dry run.
    pub(super) fn dry_summary(mut self) -> Result<WorkSummary, WorkError> {
        let mut waiting: Vec<StageKey> = self.jobs.all_waiting().collect();
        // Show the jobs in the order in which they were requested.
        waiting.sort_by_key(|key| self.jobs[key].rank.1);
        let mut pending = Vec::with_capacity(waiting.len());
        for key in &waiting {
            let replay = self.replay(*key)?.unwrap_or_default();
            let Job { stage, node, users, .. } = &self.jobs[key];
            let points = match users[..] {
                [only] => self.points[only].track.label.clone(),
                _ => format!("(for {} points)", users.len()),
            };
            let words = [stage.name.as_str(), &node.item, &points, &replay];
            pending.push(words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "));
        }
        let open = |column: usize| {
            let open =
                |point: &&PointJobs<'_>| point.end.is_none() && matches!(point.columns[column], PointStage::Open);
            self.points.iter().filter(open).count()
        };
        let later = self.graph.stages.iter().enumerate().map(|(column, stage)| (stage.name.clone(), open(column)));
        Ok(WorkSummary {
            ends: Vec::new(),
            partial: self.partial,
            executed: 0,
            cached: self.cached,
            pending,
            later: later.filter(|(_, points)| *points > 0).collect(),
        })
    }

    pub(super) fn show_progress(&mut self) {
        let Self { jobs, launcher, watch, points, .. } = self;
        for (key, job, running) in jobs.all_running() {
            let shown = shown(key, job, points);
            if let Some(share) = launcher.share(key) {
                watch.progress(&shown, &Progress::Share(share));
            }
            if let Some(recording) = &running.training
                && let Some((step, loss)) = recording.last
            {
                let Missing { from, to, .. } = recording.missing;
                watch.progress(&shown, &Progress::Steps { from, step, to, loss, tokens: recording.tokens });
            }
        }
        watch.tick(jobs.count_done(), jobs.count());
    }
}

/// The label of a job, for display.
pub(super) fn shown<'j>(key: StageKey, job: &'j Job, points: &'j [PointJobs<'_>]) -> JobLabel<'j> {
    let label = points[job.users[0]].track.label.as_str();
    JobLabel { key, stage: &job.stage.name, item: &job.node.item, label, users: job.users.len() }
}
