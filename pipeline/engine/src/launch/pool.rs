//! Idle workers, to be used again: starting one costs a quarter of a second.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use stages::protocol::Describe;

use crate::worker::{self, Worker, WorkerError};

/// Workers of one program.
#[derive(Debug)]
pub struct Pool {
    program: PathBuf,
    describe: Describe,
    logs: PathBuf,
    idle: Mutex<Vec<Worker>>,
    next: AtomicU64,
}

impl Pool {
    /// A pool of workers that run `program`, which described itself so; their words go to the folder `logs`.
    pub fn new(program: PathBuf, describe: Describe, logs: PathBuf) -> Self {
        Self { program, describe, logs, idle: Mutex::new(Vec::new()), next: AtomicU64::new(1) }
    }

    /// The number of another order.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A worker that has nothing to do. Where it logs is told before it is started: it may fail at that.
    pub(super) fn take(
        &self,
        stop: &Arc<AtomicBool>,
        mut logs: impl FnMut(String, u64) -> Result<(), WorkerError>,
    ) -> Result<Worker, WorkerError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // One that was killed while it had nothing to do harms nobody.
        match std::iter::from_fn(idle).find_map(|mut worker| worker.lives().then_some(worker)) {
            Some(mut worker) => {
                logs(worker.log_name(), worker.begin_log())?;
                Ok(worker)
            }
            None => {
                let name = format!("{}.log", system::uid());
                logs(name.clone(), 0)?;
                let started = Worker::start(&self.program, &self.logs.join(name), &self.describe, stop.clone());
                if let (Err(WorkerError::Changed(_)), Some(store)) = (&started, self.logs.parent()) {
                    worker::forget(store);
                }
                started
            }
        }
    }

    pub(super) fn give_back(&self, worker: Worker) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
    }
}
