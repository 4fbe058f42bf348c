//! Where the losses of two runs first differ, and which parameters can explain that.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use identity::{Cell, LossPair, Param, RunId};
use insight::comparison::Differing;
use insight::explanation::{self, Circumstances, Rates};
use insight::noise::{self, Beyond, Losses};
use record::read::LossDifference;
use record::{Record, RecordError};

/// The number of steps before the first difference that are searched for an explanation. A cause further back would
/// have changed the losses earlier.
const BACK: i64 = 64;

/// The number of steps after the first difference that are searched for a difference of learning rates.
const AHEAD: i64 = 4096;

/// Two runs that are compared.
#[derive(Debug, Clone, Copy)]
pub struct RunPair {
    pub runs: [RunId; 2],
    pub trajectories: [Option<i64>; 2],
    /// The number of steps of each run.
    pub lengths: [i64; 2],
}

impl RunPair {
    /// The number of steps that both runs have.
    fn steps(&self) -> i64 {
        self.lengths[0].min(self.lengths[1])
    }
}

/// Where the losses of two runs first differ.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Parting {
    /// The number of steps that both runs have.
    pub common_steps: i64,
    /// The first step at which the losses differ in any bit.
    pub first: Option<LossDifference>,
    /// The first step at which the losses differ by more than step-to-step noise.
    pub beyond_noise: Option<Beyond>,
}

/// The losses of two trajectories in the record.
struct RecordedLosses<'r>(&'r mut Record, i64, i64);

impl Losses for RecordedLosses<'_> {
    type Error = RecordError;

    fn pairs(&mut self, from: i64, to: i64) -> Result<Vec<LossPair>, RecordError> {
        self.0.pairs(self.1, self.2, from, to)
    }

    fn first_apart(&mut self, steps: (i64, i64), least: f64, share: f64) -> Result<Option<LossPair>, RecordError> {
        self.0.first_apart((self.1, self.2), steps, least, share)
    }
}

/// Finds where the losses of two runs first differ.
pub fn read(record: &mut Record, pair: &RunPair) -> record::Result<Parting> {
    let mut found = Parting { common_steps: pair.steps(), first: None, beyond_noise: None };
    if let [Some(a), Some(b)] = pair.trajectories {
        found.first = record.first_difference(a, b, pair.steps())?;
        if let Some(first) = &found.first {
            let (of_a, of_b) = (record.blocks(a, pair.steps())?, record.blocks(b, pair.steps())?);
            let steps = (first.step, pair.steps());
            found.beyond_noise = noise::first_beyond(&mut RecordedLosses(record, a, b), steps, (&of_a, &of_b))?;
        }
    }
    Ok(found)
}

/// Sets, for each parameter, whether it can explain the first difference.
pub fn explain(
    record: &mut Record,
    pair: &RunPair,
    parting: &Parting,
    params: &[Param],
    parameters: &mut [Differing],
) -> record::Result<()> {
    let ([Some(a), Some(b)], Some(first)) = (pair.trajectories, &parting.first) else { return Ok(()) };
    let of = |run: RunId| -> BTreeMap<String, Cell> {
        let own = params.iter().filter(|param| param.run == run);
        own.map(|param| (param.name.clone(), param.value.clone())).collect()
    };
    let params = pair.runs.map(of);
    let rate = |params: &BTreeMap<String, Cell>| match params.get("train.learning_rate") {
        Some(Cell::Real(rate)) => *rate,
        Some(Cell::Integer(rate)) => *rate as f64,
        _ => 1.0,
    };
    let [rate_a, rate_b] = [rate(&params[0]), rate(&params[1])];
    let back = (first.step - BACK).max(0);
    let rates = rates(record, (a, 1.0), (b, 1.0), pair.steps(), (back, first.step), 0.0)?;
    let ground = Circumstances {
        step: first.step,
        shared: record.shared_steps(a, b)?.min(first.step),
        same_data: same_data(record, pair.runs)?,
        rates,
        // If the initial rates differ, the schedules are compared relative to them, up to rounding.
        shapes: match rate_a == rate_b {
            true => rates,
            false => self::rates(record, (a, rate_a), (b, rate_b), pair.steps(), (back, first.step), 1e-12)?,
        },
        clipped: record.is_clipped(a, back, first.step)? || record.is_clipped(b, back, first.step)?,
        params,
    };
    for row in parameters {
        row.explains = Some(explanation::explains(&row.name, &ground));
    }
    Ok(())
}

fn rates(
    record: &mut Record,
    a: (i64, f64),
    b: (i64, f64),
    steps: i64,
    (back, step): (i64, i64),
    tolerance: f64,
) -> record::Result<Rates> {
    if let Some(first) = record.rates_part(a, b, (back, step), tolerance)? {
        return Ok(Rates::From(first));
    }
    let ahead = steps.min(step + AHEAD);
    Ok(match record.rates_part(a, b, (step, ahead), tolerance)? {
        Some(first) => Rates::From(first),
        None if ahead == steps => Rates::Same,
        None => Rates::NotBefore(ahead),
    })
}

/// Whether training read the same tokens in the same batches.
fn same_data(record: &mut Record, [a, b]: [RunId; 2]) -> record::Result<bool> {
    for (stage, name) in [("vocab", "train"), ("vocab", "vocab"), ("batch", "plan")] {
        let of_a = record.output(a, stage, name)?;
        if of_a.is_none() || of_a != record.output(b, stage, name)? {
            return Ok(false);
        }
    }
    Ok(true)
}
