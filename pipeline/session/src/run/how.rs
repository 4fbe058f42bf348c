//! What a user asks beside the experiment.

use std::sync::Arc;

use crate::interrupt::Interrupt;
use engine::work::Settings;
use identity::StageName;

/// How an experiment is to be computed.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Stages computed side by side; by default as many as there are points, at most one a core.
    pub jobs: Option<u32>,
    /// Threads of each training, evaluation and sampling; by default cores divided by jobs, and more for trainings and
    /// evaluations while cores are idle.
    pub threads: Option<u32>,
    /// The last stage to compute.
    pub until: Option<StageName>,
    /// Say what would be computed, and compute nothing.
    pub dry_run: bool,
    /// Say for each stage why it is computed.
    pub explain: bool,
    /// Continue with the other points when one fails.
    pub keep_going: bool,
}

impl RunOptions {
    /// The same for the engine, of so many points.
    pub(super) fn settings(&self, points: usize, process: String, interrupt: &Interrupt) -> Settings {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let jobs = self.jobs.map_or_else(|| points.clamp(1, cores), |jobs| jobs.max(1) as usize);
        Settings {
            jobs,
            threads: self.threads.unwrap_or_else(|| u32::try_from(cores / jobs).unwrap_or(1).max(1)),
            threads_asked: self.threads.is_some(),
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
            until: self.until.clone(),
            dry_run: self.dry_run,
            explain: self.explain,
            keep_going: self.keep_going,
            process,
            stop: Arc::new(interrupt.clone()),
        }
    }
}
