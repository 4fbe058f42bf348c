//! How far the work is, for whoever watches.

use super::*;

impl Work<'_> {
    pub(super) fn dry_summary(&mut self) -> Result<Summary, WorkError> {
        let mut waiting: Vec<StageKey> = self.waiting.values().copied().collect();
        // As they were asked for.
        waiting.sort_by_key(|key| self.jobs[key].rank.1);
        let mut first = Vec::with_capacity(waiting.len());
        for key in &waiting {
            first.push(self.replay(*key)?);
        }
        let words = |job: &Job, replay: &Option<String>| {
            let points = match job.users.len() {
                1 => self.paths[job.users[0]].track.label.clone(),
                points => format!("(for {points} points)"),
            };
            let words = [job.stage.name, &job.node.item, &points, replay.as_deref().unwrap_or_default()];
            words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
        };
        let open = |column: usize| {
            let open = |path: &&Path<'_>| path.end.is_none() && matches!(path.columns[column], Column::Open);
            self.paths.iter().filter(open).count()
        };
        let later = self.stages.iter().enumerate().map(|(column, stage)| (stage.name, open(column)));
        Ok(Summary {
            ends: Vec::new(),
            partial: self.partial,
            executed: 0,
            cached: self.cached,
            pending: waiting.iter().zip(&first).map(|(key, replay)| words(&self.jobs[key], replay)).collect(),
            later: later.filter(|(_, points)| *points > 0).collect(),
        })
    }

    pub(super) fn show_progress(&mut self) {
        for key in &self.running {
            let job = &self.jobs[key];
            let State::Running(running) = &job.state else { continue };
            let shown = shown(*key, job, &self.paths);
            if let Some(share) = &running.share {
                self.watch.progress(&shown, &Progress::Share(share.load(Ordering::Relaxed)));
            }
            if let Some(recording) = &running.training
                && let Some((step, loss)) = recording.last
            {
                let Missing { from, to, .. } = recording.missing;
                let progress = Progress::Steps { from, step, to, loss, tokens: recording.tokens };
                self.watch.progress(&shown, &progress);
            }
        }
        self.watch.tick(self.done, self.jobs.len());
    }
}

pub(super) fn shown<'j>(key: StageKey, job: &'j Job, paths: &'j [Path<'_>]) -> Shown<'j> {
    let label = paths[job.users[0]].track.label.as_str();
    Shown { key, stage: job.stage.name, item: &job.node.item, label, users: job.users.len() }
}
