//! One step of a run: what it measured, what it read, and what was predicted where that was replayed.

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
    /// Windows of the plan that the step reads.
    pub windows: u64,
    pub epoch: u64,
    /// The share of the step's input positions that the step before also held.
    pub overlap: f64,
    /// Distinct corpus positions that the steps up to this one have read.
    pub covered: u64,
    pub rows: Vec<BatchRow>,
    /// What was predicted for each target, row by row; null where that was not replayed.
    pub tokens: Option<Vec<Token>>,
    /// How that came about.
    pub replay: Option<Replay>,
    /// Why `tokens` is null.
    pub why_no_tokens: Option<String>,
    /// Every type, by its id.
    #[serde(skip)]
    pub types: Vec<String>,
}

/// A row of a batch.
#[derive(Debug, JsonSchema, Serialize)]
pub struct BatchRow {
    /// The corpus offset of the first input; the targets begin one token later.
    pub offset: u64,
    pub inputs: Vec<String>,
    pub targets: Vec<String>,
}

/// One target, with what the model predicted in its place.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Token {
    pub row: usize,
    pub position: usize,
    /// The target's place in the corpus.
    pub offset: u64,
    pub input: String,
    pub target: String,
    /// Its negative log-likelihood in nats; null where that was no number.
    pub loss: Option<f64>,
    pub loss_kind: LossKind,
    /// Its place among all types, 1 for the likeliest; null where nothing was predicted.
    pub rank: Option<u64>,
    /// The five likeliest types, the likeliest first; none where nothing was predicted.
    pub likeliest: Vec<Likely>,
}

/// A type, and the probability that the model gave it.
#[derive(Debug, Clone, JsonSchema, Serialize)]
pub struct Likely {
    pub word: String,
    pub p: f64,
}

/// How the tokens were come by.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Replay {
    /// The state that the replay began with.
    pub from: u64,
    pub seconds: f64,
    /// The step's loss as it came out now.
    pub loss: Option<f64>,
    pub loss_kind: LossKind,
    /// Whether that is the recorded one, to the bit.
    pub identical: bool,
    /// The first step whose loss is not the recorded one, where the last is not.
    pub parted: Option<u64>,
    /// What may be why.
    pub suspicion: Option<String>,
}

/// What a replay found.
#[derive(Debug)]
pub struct Predictions {
    /// The state that it began with.
    pub from: u64,
    /// All that it took, with the worker's start.
    pub seconds: f64,
    /// The step's loss, as it came out now.
    pub loss: f64,
    /// Why the loss may not be the recorded one, where something is known.
    pub suspicion: Option<String>,
    /// The first step whose loss is not the recorded one, where the last is not.
    pub parted: Option<u64>,
    /// What was predicted, row by row and token by token.
    pub rows: Vec<Vec<Predicted>>,
}

impl StepView {
    /// Refuses a row that it does not have.
    ///
    /// # Errors
    /// Which rows there are.
    pub fn check_row(&self, row: Option<usize>) -> Result<(), NoView> {
        match row.filter(|row| *row >= self.rows.len()) {
            Some(row) => {
                let message = format!("--row {row}: step {} has rows 0 to {}", self.step, self.rows.len() - 1);
                Err(NoView { message, hint: String::new() })
            }
            None => Ok(()),
        }
    }

    /// Adds what the model predicted, or why that can't be replayed.
    pub fn add(&mut self, found: Result<Predictions, String>) {
        match found.and_then(|found| tokens_of(&found, &self.rows, self.plan.size, &self.types)) {
            Ok((tokens, replay)) => (self.tokens, self.replay) = (Some(tokens), Some(replay)),
            Err(why) => self.why_no_tokens = Some(why),
        }
    }

    /// Reads a step's numbers from the record and its tokens from the store.
    ///
    /// # Errors
    /// Those of the source; where the run has no such step.
    pub fn read<S: Source>(source: &mut S, run: RunId, step: u64) -> Result<Self, S::Error> {
        let plan = BatchPlan::load(&source.object(run, "batch", "plan")?)?;
        let types = Types::load(&source.object(run, "vocab", "vocab")?)?.types;
        let ids = Ids::open(&source.object(run, "vocab", "train")?)?;
        let Some(measured) = source.record().step(run, i64::try_from(step).unwrap_or(i64::MAX))? else {
            let steps = source.summaries(Some(&[run]))?.first().map_or(0, |summary| summary.steps);
            let has = if steps == 0 { "none yet".to_owned() } else { format!("steps 0 to {}", count(steps - 1)) };
            return Err(
                NoView { message: format!("{run} has no step {step}; it has {has}"), hint: String::new() }.into()
            );
        };
        let params = source.record().params(&[run])?;
        let accumulate = params.iter().find(|param| param.name == "train.accumulate");
        // A step reads as many windows of the plan as it averages gradients over.
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

/// The word of a type; all of them are `types`.
fn word(types: &[String], id: u32) -> String {
    types.get(id as usize).map_or_else(|| format!("#{id}"), Clone::clone)
}

/// What a replay found, by the words of a batch: its `rows`, `size` of them a window, and all `types`.
///
/// # Errors
/// Where it is not about this batch, in a line.
fn tokens_of(
    found: &Predictions,
    rows: &[BatchRow],
    size: u64,
    types: &[String],
) -> Result<(Vec<Token>, Replay), String> {
    let shape = |rows: &[Vec<Predicted>]| rows.iter().map(Vec::len).collect::<Vec<_>>();
    if shape(&found.rows) != rows.iter().map(|row| row.targets.len()).collect::<Vec<_>>() {
        return Err("BUG: the worker predicted another batch".to_owned());
    }
    let mean = mean(&found.rows, usize::try_from(size).unwrap_or(1));
    // On a GPU the order of the sum is another.
    if Loss(mean).kind() != Loss(found.loss).kind() || (mean - found.loss).abs() > 1e-9 * found.loss.abs().max(1.0) {
        return Err(format!("BUG: the tokens' losses have the mean {mean:?}, and the step's loss is {:?}", found.loss));
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

/// The mean loss in the order in which training sums: windows of `size` rows, in each the first tokens of all rows, then
/// the second ones. So it is the step's loss to the bit.
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
