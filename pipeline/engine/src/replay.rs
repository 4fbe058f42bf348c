//! Recomputes steps of a trajectory, without touching the record or the store, up to one whose predictions are
//! requested.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde_json::Value;
use stages::protocol::{Order, Predicted, Reply, Segment};

use crate::conduct::Conduct;
use crate::worker::{Worker, WorkerError};
use identity::StageName;
use identity::observations::{Measured, Step};

/// Steps `from..to` of one trajectory. A fork takes two legs: one of its parent, then one of its own.
#[derive(Debug)]
pub struct Leg {
    /// The stage's parameters.
    pub params: Value,
    /// Input files by name.
    pub inputs: BTreeMap<String, PathBuf>,
    /// The number of threads that the trajectory started with.
    pub threads: u32,
    /// Total number of steps, which some schedules read.
    pub length: u64,
    /// The first step.
    pub from: u64,
    /// The step after the last.
    pub to: u64,
    /// Weights and state of checkpoint `from`; none to start from initial weights, or from the end of the previous leg.
    pub start: Option<(PathBuf, PathBuf)>,
    /// Validation losses of earlier steps.
    pub looks: Vec<(u64, Measured)>,
}

/// The result of a replay.
#[derive(Debug)]
pub struct Replayed {
    /// The losses of all steps; the inspected step is the last.
    pub losses: Vec<(u64, f64)>,
    /// The predictions of that step, by row and token.
    pub rows: Vec<Vec<Predicted>>,
}

/// Replays the legs; the last leg ends with the step to inspect. `watch` is called for every step.
pub fn replay(
    worker: &mut Worker,
    stage: &StageName,
    legs: Vec<Leg>,
    folder: &Path,
    mut watch: impl FnMut(&Step) -> Result<(), WorkerError>,
) -> Result<Replayed, WorkerError> {
    let disk = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| WorkerError::failed(format!("{}: {error}", path.display()))
    };
    let (whole, goes_on) = (legs.len(), AtomicBool::new(false));
    let (mut losses, mut ended, mut predictions) = (Vec::new(), None, None);
    for (id, leg) in (1..).zip(legs) {
        let folder = folder.join(id.to_string());
        std::fs::create_dir(&folder).map_err(disk(&folder))?;
        let (weights, state) = leg.start.or(ended.take()).unzip();
        let segment = Segment {
            from: leg.from,
            to: leg.to,
            length: leg.length,
            weights,
            state,
            checkpoints: Vec::new(),
            looks: leg.looks,
            checkpoint_seconds: u64::MAX,
            inspect: (id == whole as u64).then(|| leg.to.saturating_sub(1)),
        };
        let order = Order {
            id,
            stage: stage.to_string(),
            params: leg.params,
            inputs: leg.inputs,
            folder,
            threads: leg.threads,
            segment: Some(segment),
        };
        let conduct = Conduct::new(&order, false, false);
        let mut conduct = conduct.map_err(|error| WorkerError::failed(error.to_string()))?;
        worker.send(order, None)?;
        // A request to stop kills the worker at once, because a partial result of this order is of no use.
        let done = worker.follow(id, true, |mut reply| {
            conduct.hear(&mut reply).map_err(WorkerError::Astray)?;
            match reply {
                Reply::Step(step) => {
                    losses.push((step.step, step.loss.0));
                    watch(&step)?;
                }
                Reply::Checkpoint(checkpoint) => ended = Some((checkpoint.weights, checkpoint.state)),
                Reply::Predictions(told) => predictions = Some(told.file),
                _ => {}
            }
            Ok(())
        })?;
        conduct.end(&done, &goes_on).map_err(WorkerError::Astray)?;
    }
    let file =
        predictions.ok_or_else(|| WorkerError::Astray("BUG: the replay ended without predictions".to_owned()))?;
    let text = std::fs::read(&file).map_err(disk(&file))?;
    let rows = serde_json::from_slice(&text)
        .map_err(|error| WorkerError::Astray(format!("sent invalid predictions ({error})")))?;
    Ok(Replayed { losses, rows })
}
