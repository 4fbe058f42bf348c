//! What is refused before anything is written down.

use std::collections::HashSet;

use stages::StageError;
use stages::params::{Device, Precision, Train};
use stages::protocol::Describe;

use crate::failure::Failure;
use crate::plan::PointPlan;
use experiment::Experiment;

/// Refuses what the corpora rule out.
pub(super) fn look_ahead(experiment: &Experiment, plans: &[PointPlan]) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    plans.iter().filter(|plan| seen.insert(plan.looked_at())).try_for_each(|plan| match plan.look_ahead() {
        Err(StageError::Input { key, message, hint }) => Err(experiment.complain(&key, &message, &hint).into()),
        other => Ok(other?),
    })
}

/// Refuses a training that this machine has no hardware for.
pub(super) fn check_hardware(experiment: &Experiment, worker: &Describe) -> Result<(), Failure> {
    let mut trainings = experiment.points.iter().map(|point| &point.stages.train.read);
    let is_bf16 = |train: &Train| train.precision == Precision::Bf16 && train.device == Device::Cpu;
    if !worker.bf16 && trainings.clone().any(is_bf16) {
        let message = "bf16 wants a CPU that multiplies such numbers (avx512_bf16), and this one does not";
        return Err(experiment.complain("train.precision", message, "train.precision = \"f32\"").into());
    }
    if worker.gpu.is_none() && trainings.any(|train| train.device == Device::Cuda) {
        let message = "cuda wants an NVIDIA GPU with its driver, and a libtorch built for CUDA (make CUDA=1 build)";
        return Err(experiment.complain("train.device", message, "train.device = \"auto\", or \"cpu\"").into());
    }
    Ok(())
}
