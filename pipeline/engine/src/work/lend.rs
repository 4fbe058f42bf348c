//! Lends idle cores to running executions, and takes them back when others start, so that the last points of a study
//! can use the whole machine.

use super::Work;
use super::jobs::Running;
use crate::graph::{CPU, Way};

impl Work<'_> {
    /// Allows running executions the idle cores. Only on the CPU, where the number of threads doesn't affect results,
    /// and only if the user did not choose a number.
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

/// The number of threads that each execution may use, given its initial number and whether it can borrow cores. A
/// remainder goes to the first ones.
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
