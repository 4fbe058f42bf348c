//! The options with which a user runs an experiment.

use std::sync::Arc;

use crate::interrupt::Interrupt;
use engine::work::Settings;
use identity::StageName;

/// How an experiment is to be computed.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Stages computed in parallel; by default one per point, at most one per core.
    pub jobs: Option<u32>,
    /// Threads of each stage that trains, evaluates or samples. The default is the number of cores divided by that of
    /// jobs; training and evaluation get more while cores are idle.
    pub threads: Option<u32>,
    /// The last stage to compute.
    pub until: Option<StageName>,
    /// Say what would be computed, and compute nothing.
    pub dry_run: bool,
    /// Say why each stage is computed.
    pub explain: bool,
    /// Continue with other points if one fails.
    pub keep_going: bool,
}

impl RunOptions {
    /// The engine's settings for this number of points.
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
