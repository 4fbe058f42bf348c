//! What two runs measured around the step of interest.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::parting::{Parting, RunPair};
use identity::verdict::Verdict;
use identity::{Cell, Param, RunId, StepRow};
use record::Record;

/// The number of probed steps shown on either side of the step of interest and its neighbours.
const EITHER_SIDE: usize = 3;

/// The greatest distance in steps at which probed steps are searched for.
const FURTHEST: i64 = 3 * 1024;

/// The steps around the step of interest.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Around {
    pub step: i64,
    pub centre: Centre,
    pub steps: Vec<Near>,
}

/// Why a step is of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Centre {
    /// It is the onset of this run's verdict.
    Onset(RunId),
    /// It is the first step at which the losses differ by more than step-to-step noise.
    BeyondNoise,
    /// It is the first step at which the losses differ at all.
    FirstDifference,
}

/// One step of both runs.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Near {
    pub step: i64,
    pub runs: [Option<StepRow>; 2],
}

/// Reads what was measured around the earlier onset, or, without an onset, around the step where the losses diverge.
pub fn read(
    record: &mut Record,
    pair: &RunPair,
    parting: &Parting,
    verdicts: &[Verdict],
    params: &[Param],
) -> record::Result<Option<Around>> {
    let onsets =
        pair.runs.iter().zip(verdicts).filter_map(|(run, verdict)| Some((verdict.began()?, Centre::Onset(*run))));
    let onset = onsets.min_by_key(|(step, _)| *step);
    let noise = parting.beyond_noise.map(|beyond| (beyond.step, Centre::BeyondNoise));
    let bits = parting.first.as_ref().map(|first| (first.step, Centre::FirstDifference));
    let Some((centre, what)) = onset.or(noise).or(bits) else { return Ok(None) };
    let every = params.iter().filter(|param| param.name == "train.probes").filter_map(|param| match param.value {
        Cell::Integer(every) => Some(every),
        _ => None,
    });
    let reach = every.max().unwrap_or(0).saturating_mul(EITHER_SIDE as i64).clamp(EITHER_SIDE as i64, FURTHEST);
    let mut found: BTreeMap<i64, [Option<StepRow>; 2]> = BTreeMap::new();
    for (place, trajectory) in pair.trajectories.iter().enumerate() {
        let Some(trajectory) = trajectory else { continue };
        // A run shows its trajectory up to its own length.
        let range = (centre.saturating_sub(reach).max(0), centre.saturating_add(reach + 1).min(pair.lengths[place]));
        for row in record.steps_near(*trajectory, range, centre)? {
            let at = row.step;
            found.entry(at).or_default()[place] = Some(row);
        }
    }
    let mut steps: Vec<Near> = found.into_iter().map(|(step, runs)| Near { step, runs }).collect();
    let before = steps.partition_point(|near| near.step < centre.saturating_sub(1));
    steps.drain(..before.saturating_sub(EITHER_SIDE));
    let behind = steps.partition_point(|near| near.step <= centre.saturating_add(1));
    steps.truncate(behind + EITHER_SIDE);
    Ok(Some(Around { step: centre, centre: what, steps }))
}
