//! The stage `tokenize`: turns text files into token ids.
//!
//! Inputs: `text`, which is split here, or `train` and optionally `valid` and `test`. Outputs: `types`, the distinct
//! tokens in the order of first appearance (train, then valid, then test) with their counts in train, and `train`,
//! `valid`, `test`, the ids ([`crate::files`] describes both formats).
//!
//! - A line ends at `\n` or `\r\n`. Each line end becomes the token `eos`, including that of a last line without `\n`.
//!   With `eos = ""` it becomes no token, except that with unit `char` the newline itself is a token.
//! - A byte order mark at the start of a file is skipped.
//! - *whitespace*: a run of characters without the Unicode property White_Space. *word*: a match of `\w+|[^\w\s]+`,
//!   with `\w` as defined by UTS #18 and the `regex` crate. *char*: a Unicode scalar value.
//! - Splitting a text: train is the lines before the first line that starts at or after byte
//!   ⌊bytes · (1 − valid − test)⌋, test the lines from the first that starts at or after ⌊bytes · (1 − test)⌋ on, and
//!   valid those between, computed in double precision from left to right.
//!
//! Memory grows with the number of types and the longest token, but not with the corpus or its longest line.

mod ahead;
mod cutter;
mod intern;
mod parts;
mod text;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::{Map, json};

use crate::files::{Cut, Types};
use crate::params::Tokenize;
use crate::{Context, StageError, StageOutcome};

pub use ahead::look_ahead;
use cutter::Cutter;
pub(crate) use cutter::cut_prompt;
use intern::Interner;
use parts::CorpusPart;
pub(crate) use parts::SPLITS;

/// Bytes per read: few enough for a core's cache, and enough to make the cost of a read negligible.
const BLOCK: usize = 1 << 17;

/// Cuts a corpus into tokens.
///
/// # Errors
/// [`StageError::Input`] for text that isn't UTF-8, a part without tokens, and fractions that leave nothing for train;
/// [`StageError::Io`] if a file can't be read or written.
pub fn run(params: &Tokenize, context: &Context) -> Result<StageOutcome, StageError> {
    run_in_blocks(params, context, BLOCK)
}

fn run_in_blocks(params: &Tokenize, context: &Context, block: usize) -> Result<StageOutcome, StageError> {
    let cut = Cut { unit: params.unit, lowercase: params.lowercase, eos: params.eos.clone() };
    let parts = parts::locate(params.split, &context.inputs, block)?;
    let whole = parts.iter().flatten().map(|part| part.range.end - part.range.start).sum();
    let mut outcome = StageOutcome::default();
    let mut corpus = CorpusTokenizer { interner: Interner::new(), bytes: 0, lines: 0, whole };
    let mut train_counts = Vec::new();
    let (mut tokens, mut types) = (Map::new(), Map::new());
    for (split, part) in SPLITS.iter().zip(&parts) {
        let path = context.folder.join(split);
        let counts = corpus.tokenize(&cut, part.as_ref(), &path, context)?;
        let total: u64 = counts.iter().sum();
        if let Some(part) = part.as_ref().filter(|part| part.wanted && total == 0) {
            return Err(part.empty(split));
        }
        tokens.insert((*split).into(), total.into());
        types.insert((*split).into(), counts.iter().filter(|count| **count > 0).count().into());
        if train_counts.is_empty() {
            train_counts = counts;
        }
        outcome.output(split, path);
    }
    if corpus.interner.iter().all(|token| token == cut.eos.as_bytes()) {
        return Err(parts[0].as_ref().map_or_else(|| StageError::Bug("no train part".into()), CorpusPart::blank));
    }
    train_counts.resize(corpus.interner.len(), 0);
    let texts = corpus.interner.iter().map(|bytes| String::from_utf8(bytes.to_vec()));
    let texts =
        texts.collect::<Result<_, _>>().map_err(|error| StageError::Bug(format!("a token is not UTF-8: {error}")))?;
    let path = context.folder.join("types");
    Types { cut, types: texts, counts: train_counts }.save(&path)?;
    outcome.output("types", path);
    outcome.report = json!({ "tokens": tokens, "types": types, "bytes": corpus.bytes, "lines": corpus.lines });
    Ok(outcome)
}

/// Tokenizes the parts of a corpus, one after another, with one set of types.
#[derive(Debug)]
struct CorpusTokenizer {
    interner: Interner,
    bytes: u64,
    lines: u64,
    /// Bytes of all parts, for progress.
    whole: u64,
}

impl CorpusTokenizer {
    /// Writes the ids of one part to `path`; returns how often each type occurs in it, by id.
    fn tokenize(
        &mut self,
        cut: &Cut,
        part: Option<&CorpusPart>,
        path: &Path,
        context: &Context,
    ) -> Result<Vec<u64>, StageError> {
        let mut out = BufWriter::new(File::create(path).map_err(StageError::io(path))?);
        let mut counts = vec![0; self.interner.len()];
        let Some(part) = part else { return Ok(counts) };
        let mut cutter = Cutter::new(cut);
        let (mut ids, mut bytes) = (Vec::new(), Vec::new());
        let mut open = false;
        let interner = &mut self.interner;
        let mut write = |ids: &mut Vec<u32>, types: usize| -> Result<(), StageError> {
            if types >= u32::MAX as usize {
                let message = format!("{} contains more than 2^32 distinct tokens", part.text.key());
                return Err(StageError::input(part.text.key(), message, "set tokenize.unit = \"char\""));
            }
            counts.resize(types, 0);
            bytes.clear();
            for id in ids.drain(..) {
                counts[id as usize] += 1;
                bytes.extend_from_slice(&id.to_le_bytes());
            }
            out.write_all(&bytes).map_err(StageError::io(path))
        };
        part.text.blocks(part.range.clone(), |text, done| {
            context.check()?;
            cutter.feed(text, &mut |token| ids.push(interner.id(token)));
            open = text.as_bytes().last().map_or(open, |last| *last != b'\n');
            context.advance(self.bytes + done, self.whole);
            write(&mut ids, interner.len())?;
            Ok(ControlFlow::Continue(()))
        })?;
        cutter.flush(&mut |token| ids.push(interner.id(token)));
        if open {
            cutter.end_open_line(&mut |token| ids.push(interner.id(token)));
        }
        write(&mut ids, interner.len())?;
        out.flush().map_err(StageError::io(path))?;
        self.bytes += part.range.end - part.range.start;
        self.lines += cutter.lines();
        Ok(counts)
    }
}

#[cfg(test)]
mod tests;
