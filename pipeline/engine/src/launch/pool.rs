//! Keeps idle workers for reuse: starting one takes a quarter of a second.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use stages::protocol::Describe;

use crate::worker::{self, Worker, WorkerError};

/// Idle workers of one program.
#[derive(Debug)]
pub struct Pool {
    program: PathBuf,
    describe: Describe,
    logs: PathBuf,
    idle: Mutex<Vec<Worker>>,
    next: AtomicU64,
}

impl Pool {
    /// A pool of workers that run `program`, match `describe`, and log to the folder `logs`.
    pub fn new(program: PathBuf, describe: Describe, logs: PathBuf) -> Self {
        Self { program, describe, logs, idle: Mutex::new(Vec::new()), next: AtomicU64::new(1) }
    }

    /// A new order number.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// An idle worker, or a new one. `logs` gets the location of its log before it is started, since starting may fail.
    pub(super) fn take(
        &self,
        stop: &Arc<AtomicBool>,
        mut logs: impl FnMut(String, u64) -> Result<(), WorkerError>,
    ) -> Result<Worker, WorkerError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // Idle workers that were killed are skipped.
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
