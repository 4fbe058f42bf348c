//! Threads that come and go between two steps.

use super::{Engine, Training};
use crate::log::log;
use crate::real::Real;

impl<T: Real> Training<T> {
    /// Has the steps from `n` on computed by so many threads: on the CPU, where their number changes no bit. On a GPU it is
    /// libtorch that has threads, and it keeps to those that it began with.
    pub(super) fn use_threads(&mut self, threads: usize, n: u64) {
        if let Engine::Cpu(steps) = &mut self.engine
            && threads != self.threads
        {
            steps.use_threads(threads);
            self.state.optimizer.use_threads(threads);
            (self.threads, self.most_threads) = (threads, self.most_threads.max(threads));
            log(&format!("train: step {n}: goes on with {threads} thread{}", if threads == 1 { "" } else { "s" }));
        }
    }

    /// The most threads that a step was computed with.
    pub(crate) fn most_threads(&self) -> usize {
        self.most_threads
    }
}
