//! The worker that there is.

use std::path::{Path, PathBuf};

use stages::protocol::Describe;

use crate::failure::Failure;
use engine::graph::{Stage, WorkerFacts};
use engine::worker::{self, WorkerError};
use system::quoted;

/// Finds it and hears what it is; it has all of these stages that are a worker's.
pub(super) fn greet(store: &Path, stages: &[Stage]) -> Result<(PathBuf, Describe), WorkerError> {
    let program = worker::find()?;
    let describe = worker::describe(&program, store)?;
    worker::check_stages(&program, &describe, stages)?;
    Ok((program, describe))
}

/// What of it is part of keys.
pub(crate) fn facts(describe: &Describe) -> WorkerFacts {
    WorkerFacts {
        libtorch: describe.libtorch.clone(),
        cpu_capability: describe.cpu_capability.clone(),
        gpu: describe.gpu.clone(),
    }
}

/// One that can't be used, as a user sees it.
pub(super) fn unusable(error: &WorkerError, resumes: impl FnOnce() -> String) -> Failure {
    let message = error.to_string();
    if let Some(what) = error.shortage() {
        return Failure::failed(message, what.hint());
    }
    match error {
        WorkerError::Missing(_) => {
            Failure::input(message, "build it (cargo build --release), or name it in PIPELINE_NEURAL")
        }
        WorkerError::Unreadable { denied, .. } => Failure::input(message, denied.hint.clone()),
        WorkerError::OtherBuild { .. } => Failure::input(message, "build both programs anew: cargo build --release"),
        WorkerError::Broken { path, .. } => {
            let shown = quoted(&path.display().to_string());
            Failure::input(message, format!("see what it says by itself: {shown} describe"))
        }
        WorkerError::Died { killed: true, .. } => Failure::failed(message, resumes()),
        _ => Failure::failed(message, ""),
    }
}
