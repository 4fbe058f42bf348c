//! Finds the worker and asks for its description.

use std::path::{Path, PathBuf};

use stages::protocol::Describe;

use crate::failure::Failure;
use engine::graph::{Stage, WorkerFacts};
use engine::worker::{self, WorkerError};
use system::quoted;

/// Finds the worker, asks for its description, and checks that it has all `stages` that run in a worker.
pub(super) fn greet(store: &Path, stages: &[Stage]) -> Result<(PathBuf, Describe), WorkerError> {
    let program = worker::find()?;
    let describe = worker::describe(&program, store)?;
    worker::check_stages(&program, &describe, stages)?;
    Ok((program, describe))
}

/// The facts about the worker that are part of keys.
pub(crate) fn facts(describe: &Describe) -> WorkerFacts {
    WorkerFacts {
        libtorch: describe.libtorch.clone(),
        cpu_capability: describe.cpu_capability.clone(),
        gpu: describe.gpu.clone(),
    }
}

/// The failure that users see if the worker can't be used.
pub(super) fn unusable(error: &WorkerError, resumes: impl FnOnce() -> String) -> Failure {
    let message = error.to_string();
    if let Some(what) = error.shortage() {
        return Failure::failed(message, what.hint());
    }
    match error {
        WorkerError::Missing(_) => {
            Failure::input(message, "to build it: cargo build --release; or set PIPELINE_NEURAL to its path")
        }
        WorkerError::Unreadable { denied, .. } => Failure::input(message, denied.hint.clone()),
        WorkerError::OtherBuild { .. } => Failure::input(message, "to rebuild both programs: cargo build --release"),
        WorkerError::Broken { path, .. } => {
            let shown = quoted(&path.display().to_string());
            Failure::input(message, format!("to see its output: {shown} describe"))
        }
        WorkerError::Died { killed: true, .. } => Failure::failed(message, resumes()),
        _ => Failure::failed(message, ""),
    }
}
