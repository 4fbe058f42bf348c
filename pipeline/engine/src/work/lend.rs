//! Cores that would stand idle are lent to executions that run, and taken back when others begin: the last points of a study
//! have the whole machine.

use super::Work;
use super::jobs::Running;
use crate::graph::{CPU, Way};

impl Work<'_> {
    /// Allows what runs the cores that nobody else uses. Only on the CPU, where the number of threads changes no bit, and only
    /// where the user left their number open.
    pub(super) fn lend_cores(&mut self) {
        if self.settings.threads_asked {
            return;
        }
        let mut running: Vec<_> = self.jobs.all_running().collect();
        running.sort_unstable_by_key(|(_, job, _)| job.rank);
        let began = |running: &Running| {
            running.training.as_ref().map_or(self.settings.threads, |recording| recording.trajectory.threads)
        };
        let borrowers = running.iter().map(|(_, job, running)| {
            (began(running), matches!(job.stage.way, Way::Worker) && job.node.device() == CPU)
        });
        let borrowers: Vec<(u32, bool)> = borrowers.collect();
        for ((key, ..), threads) in running.iter().zip(shares(self.settings.cores, &borrowers)) {
            self.launcher.allow(*key, threads);
        }
    }
}

/// How many threads each execution may use, which began with so many and can borrow cores or not. Where the rest can't be
/// divided, the first have one more.
fn shares(cores: u32, executions: &[(u32, bool)]) -> Vec<u32> {
    let used = executions.iter().fold(0u32, |sum, (began, _)| sum.saturating_add(*began));
    let mut left = cores.saturating_sub(used);
    let mut borrowers = executions.iter().filter(|(_, borrows)| *borrows).count() as u32;
    let share = |(began, borrows): &(u32, bool)| {
        if !borrows {
            return *began;
        }
        let more = left.div_ceil(borrowers);
        (left, borrowers) = (left - more, borrowers - 1);
        began + more
    };
    executions.iter().map(share).collect()
}

#[cfg(test)]
mod tests;
