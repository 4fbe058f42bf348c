//! One step of a run: what it measured, what it read, and what the model predicted if the step was replayed.

use schemars::JsonSchema;
use serde::Serialize;
use stages::files::{Ids, Types};
use stages::plan::BatchPlan;
use stages::protocol::Predicted;

use crate::format::count;
use crate::{NoView, Source};
use identity::{Loss, LossKind, RunId, StepRow};

/// One step of a run, with the tokens that it read.
#[derive(Debug, JsonSchema, Serialize)]
pub struct StepView {
    pub run: RunId,
    pub step: u64,
    pub measured: StepRow,
    pub plan: BatchPlan,
    /// The number of the plan's windows that the step reads.
    pub windows: u64,
    pub epoch: u64,
    /// The fraction of the step's input positions that overlap with the previous step.
    pub overlap: f64,
    /// The number of distinct corpus positions read up to and including this step.
    pub covered: u64,
    pub rows: Vec<BatchRow>,
    /// The prediction for each target, row by row; null without a replay.
    pub tokens: Option<Vec<Token>>,
    /// How the predictions were obtained.
    pub replay: Option<Replay>,
    /// Why `tokens` is null.
    pub why_no_tokens: Option<String>,
    /// Every type of the vocabulary, by id.
    #[serde(skip)]
    pub types: Vec<String>,
}

/// A row of a batch.
#[derive(Debug, JsonSchema, Serialize)]
pub struct BatchRow {
    /// The corpus offset of the first input; targets begin one token later.
    pub offset: u64,
    pub inputs: Vec<String>,
    pub targets: Vec<String>,
}

/// One target, with the model's prediction.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Token {
    pub row: usize,
    pub position: usize,
    /// The target's corpus offset.
    pub offset: u64,
    pub input: String,
    pub target: String,
    /// The target's negative log-likelihood in nats; null if it is not finite.
    pub loss: Option<f64>,
    pub loss_kind: LossKind,
    /// The target's rank among all types, 1 for the likeliest; null if nothing was predicted.
    pub rank: Option<u64>,
    /// The five likeliest types, the likeliest first; empty if nothing was predicted.
    pub likeliest: Vec<Likely>,
}

/// A type, with the probability that the model gave it.
#[derive(Debug, Clone, JsonSchema, Serialize)]
pub struct Likely {
    pub word: String,
    pub p: f64,
}

/// How the predictions were obtained.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Replay {
    /// The step of the checkpoint that the replay began with.
    pub from: u64,
    pub seconds: f64,
    /// The step's loss in the replay.
    pub loss: Option<f64>,
    pub loss_kind: LossKind,
    /// Whether that loss and the recorded one are bitwise identical.
    pub identical: bool,
    /// The first replayed step whose loss differs from the recorded one, if the loss of the last step differs.
    pub parted: Option<u64>,
    /// A possible reason for the difference.
    pub suspicion: Option<String>,
}

/// The result of a replay.
#[derive(Debug)]
pub struct Predictions {
    /// The step of the checkpoint that the replay began with.
    pub from: u64,
    /// The total time, including the start of the worker.
    pub seconds: f64,
    /// The step's loss in the replay.
    pub loss: f64,
    /// Why the loss might differ from the recorded one, if a reason is known.
    pub suspicion: Option<String>,
    /// The first replayed step whose loss differs from the recorded one, if the loss of the last step differs.
    pub parted: Option<u64>,
    /// The predictions, row by row and token by token.
    pub rows: Vec<Vec<Predicted>>,
}

impl StepView {
    /// Refuses a row that the step does not have.
    ///
    /// # Errors
    /// When there is no such row; says which rows there are.
    pub fn check_row(&self, row: Option<usize>) -> Result<(), NoView> {
        match row.filter(|row| *row >= self.rows.len()) {
            Some(row) => {
                let last = self.rows.len() - 1;
                let message = format!("--row {row} does not exist; step {} has rows 0 to {last}", self.step);
                Err(NoView { message, hint: String::new() })
            }
            None => Ok(()),
        }
    }

    /// Adds the model's predictions, or why the step could not be replayed.
    pub fn add(&mut self, found: Result<Predictions, String>) {
        match found.and_then(|found| tokens_of(&found, &self.rows, self.plan.size, &self.types)) {
            Ok((tokens, replay)) => (self.tokens, self.replay) = (Some(tokens), Some(replay)),
            Err(why) => self.why_no_tokens = Some(why),
        }
    }

    /// Reads a step's numbers from the record and its tokens from the store.
    ///
    /// # Errors
    /// When the run has no such step, or an object is missing.
    pub fn read<S: Source>(source: &mut S, run: RunId, step: u64) -> Result<Self, S::Error> {
        let plan = BatchPlan::load(&source.object(run, "batch", "plan")?)?;
        let types = Types::load(&source.object(run, "vocab", "vocab")?)?.types;
        let ids = Ids::open(&source.object(run, "vocab", "train")?)?;
        let Some(measured) = source.record().step(run, i64::try_from(step).unwrap_or(i64::MAX))? else {
            let steps = source.summaries(Some(&[run]))?.first().map_or(0, |summary| summary.steps);
            let message = match steps {
                0 => format!("{run} has no steps yet"),
                _ => format!("{run} has no step {step}; allowed: 0 to {}", count(steps - 1)),
            };
            return Err(NoView { message, hint: String::new() }.into());
        };
        let params = source.record().params(&[run])?;
        let accumulate = params.iter().find(|param| param.name == "train.accumulate");
        // A step averages gradients over this many windows of the plan.
        let windows = accumulate.and_then(|param| param.value.text().parse().ok()).unwrap_or(1u64);
        let first = step * windows;
        let mut batch = Self {
            run,
            step,
            measured,
            epoch: plan.epoch(first),
            overlap: plan.overlap(step, windows),
            covered: plan.covered(first + windows),
            windows,
            plan,
            rows: Vec::new(),
            tokens: None,
            replay: None,
            why_no_tokens: None,
            types,
        };
        let plan = &batch.plan;
        let mut rows = Vec::new();
        for offset in (first..first + windows).flat_map(|window| plan.offsets(window)) {
            let mut window = Vec::new();
            ids.read(offset, plan.unroll as usize + 1, &mut window)?;
            let words: Vec<String> = window.iter().map(|id| word(&batch.types, *id)).collect();
            rows.push(BatchRow { offset, inputs: words[..words.len() - 1].to_vec(), targets: words[1..].to_vec() });
        }
        batch.rows = rows;
        Ok(batch)
    }
}

/// The text of the type `id`.
fn word(types: &[String], id: u32) -> String {
    types.get(id as usize).map_or_else(|| format!("#{id}"), Clone::clone)
}

/// The predictions of a replay, joined with the batch's `rows`, of which there are `size` per window.
///
/// # Errors
/// When the predictions don't belong to this batch.
fn tokens_of(
    found: &Predictions,
    rows: &[BatchRow],
    size: u64,
    types: &[String],
) -> Result<(Vec<Token>, Replay), String> {
    let shape = |rows: &[Vec<Predicted>]| rows.iter().map(Vec::len).collect::<Vec<_>>();
    if shape(&found.rows) != rows.iter().map(|row| row.targets.len()).collect::<Vec<_>>() {
        return Err("BUG: the worker's predictions do not match the batch".to_owned());
    }
    let mean = mean(&found.rows, usize::try_from(size).unwrap_or(1));
    // A GPU sums in a different order, so the two can differ by rounding.
    if Loss(mean).kind() != Loss(found.loss).kind() || (mean - found.loss).abs() > 1e-9 * found.loss.abs().max(1.0) {
        return Err(format!("BUG: the mean loss of the tokens is {mean:?}, but the step's loss is {:?}", found.loss));
    }
    let mut tokens = Vec::new();
    for (number, (row, predicted)) in rows.iter().zip(&found.rows).enumerate() {
        let words = row.inputs.iter().zip(&row.targets);
        for (position, ((input, target), predicted)) in words.zip(predicted).enumerate() {
            let Predicted { loss, rank, likeliest } = predicted;
            let likely = |(id, p): &(u32, f64)| Likely { word: word(types, *id), p: *p };
            tokens.push(Token {
                row: number,
                position,
                offset: row.offset + position as u64 + 1,
                input: input.clone(),
                target: target.clone(),
                loss: loss.finite(),
                loss_kind: loss.kind(),
                rank: *rank,
                likeliest: likeliest.iter().map(likely).collect(),
            });
        }
    }
    let Predictions { from, seconds, loss, parted, ref suspicion, .. } = *found;
    let (loss, loss_kind) = Loss(loss).columns();
    let identical = parted.is_none();
    let replay = Replay { from, seconds, loss, loss_kind, identical, parted, suspicion: suspicion.clone() };
    Ok((tokens, replay))
}

/// The mean loss. It is summed in the order of training, so that it equals the step's loss bit for bit: window by
/// window of `size` rows, and within a window first the first tokens of all rows, then the second tokens, and so on.
fn mean(rows: &[Vec<Predicted>], size: usize) -> f64 {
    let mut whole = 0.0;
    for (done, window) in rows.chunks(size).enumerate() {
        let columns = window.first().map_or(0, Vec::len);
        let losses = (0..columns).flat_map(|t| window.iter().map(move |row| row[t].loss.0));
        let mean = losses.sum::<f64>() / (columns * window.len()) as f64;
        whole = (whole * done as f64 + mean) / (done as f64 + 1.0);
    }
    whole
}
