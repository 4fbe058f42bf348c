//! The stage `sample`: draws samples from a model.
//!
//! Inputs: `vocab`, and `weights`, a safetensors file with PyTorch's names for an `encoder`, an `lstm` and a `decoder`.
//! There are no output files: the samples are in [`StageOutcome::samples`], one per entry of `decode`.
//!
//! From a zero state, the model reads the token for the end of a line (if there is one), then the prompt, cut like the
//! corpus, with unknown words as `<unk>`. If there is no token to read, it reads the most frequent one (id 0). None of
//! these is part of the sample. Token i of the sample for entry j of `decode` uses number i of the stream "sample j". A
//! sample ends early at a logit that is not finite.

mod coarse;
mod decode;
mod join;
mod kernels;
mod model;
mod panels;
mod repetition;
mod team;
mod tensors;

use std::path::Path;

use serde_json::json;

use crate::files::{Types, UNKNOWN};
use crate::params::{Decode, Greedy, Sample, Unit};
use crate::random::Stream;
use crate::tokenize::cut_prompt;
use crate::{Context, StageError, StageOutcome};
use identity::observations::{Event, SampleText};

use decode::Chooser;
use kernels::Kernels;
use model::{InferenceModel, InferenceState, Want};
use team::Team;

/// Draws one sample per entry of `decode`.
///
/// # Errors
/// [`StageError::Format`] if the weights don't match the vocabulary; [`StageError::Io`] if a file can't be read.
/// Weights that aren't finite are not an error: a sample is then empty or ends early, and the reason is recorded.
pub fn run(params: &Sample, context: &Context) -> Result<StageOutcome, StageError> {
    let vocab = Types::load(context.input("vocab")?)?;
    let mut model = InferenceModel::load(context.input("weights")?, vocab.types.len(), Kernels::detect())?;
    let greedy = params.decode.iter().filter(|decode| matches!(decode, Decode::Greedy(_))).count() as u64;
    if greedy.saturating_mul(params.length) > LONG {
        model.expect_greedy();
    }
    model.with_team(context.threads, |team| draw_all(params, context, &vocab, &model, team))
}

/// The number of greedy tokens above which making a rounded copy of the softmax layer saves time.
const LONG: u64 = 500;

fn draw_all(
    params: &Sample,
    context: &Context,
    vocab: &Types,
    model: &InferenceModel,
    team: &Team<'_>,
) -> Result<StageOutcome, StageError> {
    let read_first = first_tokens(vocab, &params.prompt);
    let mut start = model.start();
    for (i, token) in read_first.iter().enumerate() {
        context.check()?;
        let last = i + 1 == read_first.len();
        model.read(team, &mut start, *token, if last { Want::Logits } else { Want::Nothing });
    }
    let mut outcome = StageOutcome::default();
    let mut total = 0;
    for (entry, decode) in params.decode.iter().enumerate() {
        let stream = Stream::new(params.seed, &format!("sample {entry}"));
        let whole = params.length * params.decode.len() as u64;
        let progress = |done: u64| context.advance(entry as u64 * params.length + done, whole);
        let mut drawer = Drawer { model, team, state: start.clone(), chooser: Chooser::new(model.kernels()), stream };
        let (tokens, fault) = drawer.draw(*decode, params.length, context, progress)?;
        total += tokens.len();
        if let Some(fault) = fault.filter(|_| !tokens.is_empty()) {
            let message = format!("sample {entry}: {fault}; the sample ends there");
            outcome.events.push(Event { step: None, kind: "nonfinite".into(), message });
        }
        outcome.samples.push(describe(vocab, params, *decode, &tokens, fault)?);
    }
    outcome.report = json!({
        "texts": outcome.samples.len(),
        "tokens": total,
        "read_first": read_first.len(),
        "kernels": model.kernels().name(),
        "threads": context.threads,
    });
    Ok(outcome)
}

/// Computes logits, for comparison with other programs. Reads `tokens`, and then `greedy` times the most likely next
/// token. After each token, calls `each` with the most likely next token and all logits.
pub fn logits(
    weights: &Path,
    types: usize,
    tokens: &[u32],
    greedy: usize,
    threads: usize,
    mut each: impl FnMut(u32, &[f32]),
) -> Result<(), StageError> {
    let model = InferenceModel::load(weights, types, Kernels::detect())?;
    let mut chooser = Chooser::new(model.kernels());
    model.with_team(threads, |team| {
        let mut state = model.start();
        let mut likeliest = 0;
        for i in 0..tokens.len() + greedy {
            model.read(team, &mut state, tokens.get(i).copied().unwrap_or(likeliest), Want::Logits);
            likeliest = chooser.choose(state.logits(), Decode::Greedy(Greedy::Greedy), 0.0);
            each(likeliest, state.logits());
        }
    });
    Ok(())
}

/// The tokens that the model reads before the sample, at least one.
fn first_tokens(vocab: &Types, prompt: &str) -> Vec<u32> {
    let id = |text: &str| vocab.types.iter().position(|known| known == text).map(|id| id as u32);
    let end_of_line = match (vocab.cut.eos.as_str(), vocab.cut.unit) {
        ("", Unit::Char) => id("\n"),
        (eos, _) => id(eos),
    };
    let mut tokens: Vec<u32> = end_of_line.into_iter().collect();
    tokens.extend(cut_prompt(&vocab.cut, prompt).iter().map(|token| id(token).or(id(UNKNOWN)).unwrap_or(0)));
    if tokens.is_empty() {
        tokens.push(0);
    }
    tokens
}

/// Why a sample ended early.
#[derive(Debug, Clone, Copy)]
struct NonfiniteLogits {
    nan: bool,
    after: usize,
}

impl std::fmt::Display for NonfiniteLogits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = if self.after == 1 { "" } else { "s" };
        write!(f, "logits are {} after {} token{plural}", if self.nan { "NaN" } else { "infinite" }, self.after)
    }
}

/// What drawing one sample needs.
struct Drawer<'a> {
    model: &'a InferenceModel,
    team: &'a Team<'a>,
    state: InferenceState,
    chooser: Chooser,
    stream: Stream,
}

impl Drawer<'_> {
    fn draw(
        &mut self,
        decode: Decode,
        length: u64,
        context: &Context,
        progress: impl Fn(u64),
    ) -> Result<(Vec<u32>, Option<NonfiniteLogits>), StageError> {
        let mut tokens = Vec::new();
        for i in 0..length {
            context.check()?;
            let token = match self.state.likeliest() {
                Some(token) => token,
                None => {
                    let logits = self.state.logits();
                    // Without an early exit, this check vectorises.
                    if logits.iter().fold(false, |bad, x| bad | !x.is_finite()) {
                        let nan = logits.iter().any(|x| x.is_nan());
                        let after = tokens.len();
                        return Ok((tokens, Some(NonfiniteLogits { nan, after })));
                    }
                    self.chooser.choose(logits, decode, self.stream.uniform(i))
                }
            };
            tokens.push(token);
            let want = match decode {
                _ if i + 1 == length => Want::Nothing,
                Decode::Greedy(_) => Want::Likeliest,
                Decode::Draw { .. } => Want::Logits,
            };
            self.model.read(self.team, &mut self.state, token, want);
            progress(i + 1);
        }
        Ok((tokens, None))
    }
}

fn describe(
    vocab: &Types,
    params: &Sample,
    decode: Decode,
    tokens: &[u32],
    fault: Option<NonfiniteLogits>,
) -> Result<SampleText, StageError> {
    let repeats = repetition::terminal_loop(tokens);
    Ok(SampleText {
        decode: serde_json::to_value(decode).map_err(|error| StageError::Bug(error.to_string()))?,
        prompt: params.prompt.clone(),
        text: join::join(&vocab.cut, tokens.iter().map(|token| vocab.types[*token as usize].as_str())),
        tokens: tokens.len() as u64,
        distinct_1: repetition::distinct(tokens, 1),
        distinct_2: repetition::distinct(tokens, 2),
        seq_rep_4: repetition::repeated(tokens, 4),
        loop_period: repeats.map(|repeats| repeats.period as u64),
        loop_onset: repeats.map(|repeats| repeats.onset as u64),
        why_empty: fault.filter(|_| tokens.is_empty()).map(|fault| fault.to_string()),
    })
}

#[cfg(test)]
mod tests;
