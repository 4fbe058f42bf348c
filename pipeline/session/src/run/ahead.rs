//! Refuses experiments before anything is recorded.

use std::collections::HashSet;

use stages::StageError;
use stages::params::{Device, Precision, Train};
use stages::protocol::Describe;

use crate::failure::Failure;
use crate::plan::PointPlan;
use experiment::Experiment;

/// Refuses points whose corpus is blank, or too short for their batches.
pub(super) fn look_ahead(experiment: &Experiment, plans: &[PointPlan]) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    plans.iter().filter(|plan| seen.insert(plan.looked_at())).try_for_each(|plan| match plan.look_ahead() {
        Err(StageError::Input { key, message, hint }) => Err(experiment.complain(&key, &message, &hint).into()),
        other => Ok(other?),
    })
}

/// Refuses points whose training requires hardware that this machine lacks.
pub(super) fn check_hardware(experiment: &Experiment, worker: &Describe) -> Result<(), Failure> {
    let mut trainings = experiment.points.iter().map(|point| &point.stages.train.read);
    let is_bf16 = |train: &Train| train.precision == Precision::Bf16 && train.device == Device::Cpu;
    if !worker.bf16 && trainings.clone().any(is_bf16) {
        let message = "bf16 requires AVX512-BF16, which this CPU lacks";
        return Err(experiment.complain("train.precision", message, "set train.precision = \"f32\"").into());
    }
    if worker.gpu.is_none() && trainings.any(|train| train.device == Device::Cuda) {
        let message = "cuda requires an NVIDIA GPU with its driver, and libtorch built for CUDA (`make CUDA=1 build`)";
        return Err(experiment.complain("train.device", message, "set train.device = \"auto\" or \"cpu\"").into());
    }
    Ok(())
}
