//! Checks the first lines of a corpus before anything is tokenized.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::cutter::Cutter;
use super::parts::{CorpusPart, SPLITS, locate};
use crate::StageError;
use crate::files::Cut;
use crate::params::Tokenize;

/// Bytes per read: the first block is usually enough.
const BLOCK: usize = 1 << 13;

/// Reads the start of each part of a corpus. Refuses an empty part, and a corpus of blank lines alone. Returns the
/// number of tokens in train, counted up to about `enough`.
///
/// # Errors
/// The errors of [`super::run`] that the first lines reveal.
pub fn look_ahead(params: &Tokenize, inputs: &BTreeMap<String, PathBuf>, enough: u64) -> Result<u64, StageError> {
    let cut = Cut { unit: params.unit, lowercase: params.lowercase, eos: params.eos.clone() };
    let parts = locate(params.split, inputs, BLOCK)?;
    let (mut tokens, mut words) = (0, false);
    for (split, part) in SPLITS.iter().zip(&parts) {
        let Some(part) = part else { continue };
        let train = *split == "train";
        // A part of blank lines is odd but allowed if another part has words, so keep looking until a word is found.
        let (count, word) = count(part, &cut, if train { enough } else { 1 }, !words)?;
        if part.wanted && count == 0 {
            return Err(part.empty(split));
        }
        if train {
            tokens = count;
        }
        words |= word;
    }
    match &parts[0] {
        Some(train) if !words => Err(train.blank()),
        _ => Ok(tokens),
    }
}

/// Counts the tokens of a part until there are `enough` and, if `want_word`, one of them is not a line end. Returns the
/// count, and whether such a token was found.
fn count(part: &CorpusPart, cut: &Cut, enough: u64, want_word: bool) -> Result<(u64, bool), StageError> {
    let mut cutter = Cutter::new(cut);
    let (mut count, mut word, mut open) = (0, false, false);
    part.text.blocks(part.range.clone(), |text, _| {
        cutter.feed(text, &mut |token| {
            count += 1;
            word |= token != cut.eos.as_bytes();
        });
        open = text.as_bytes().last().map_or(open, |last| *last != b'\n');
        let done = count >= enough && (word || !want_word);
        Ok(if done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    let mut last = |token: &[u8]| {
        count += 1;
        word |= token != cut.eos.as_bytes();
    };
    cutter.flush(&mut last);
    if open {
        cutter.end_open_line(&mut last);
    }
    Ok((count, word))
}

#[cfg(test)]
mod tests {
    use super::super::run;
    use super::*;
    use crate::params::{Split, Unit};
    use crate::testing::Space;

    #[test]
    fn looking_ahead_agrees_with_tokenizing() {
        let long = format!("{}x", "word and, word\n".repeat(4000));
        for text in ["", "\n", "\n\n\n\n\n", "a", "a\n\nb\n", "one two\nthree\nfour\nfive\n", " \r\n \r\n", &long] {
            for unit in [Unit::Whitespace, Unit::Word, Unit::Char] {
                for eos in ["", "<eos>"] {
                    for share in [None, Some(0.0), Some(0.3)] {
                        let split = share.map(|share| Split { valid: share, test: share });
                        let name = if share.is_some() { "text" } else { "train" };
                        let space = Space::new().with(name, text);
                        let params = Tokenize { unit, lowercase: true, eos: eos.into(), split };
                        let words = |error: StageError| error.to_string();
                        let found = look_ahead(&params, &space.context.inputs, u64::MAX).map_err(words);
                        let outcome = run(&params, &space.context).map_err(words);
                        let expected = outcome.map(|outcome| outcome.report["tokens"]["train"].as_u64().unwrap());
                        assert_eq!(found, expected, "{text:.20?} {unit:?} {eos:?} {share:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn looking_ahead_stops_after_enough_tokens() {
        // Only the first lines are read, so an invalid byte further on goes unnoticed.
        let mut text = "some words\n".repeat(10_000).into_bytes();
        text.push(0xff);
        let space = Space::new().with("train", text);
        let params = Tokenize { unit: Unit::Word, lowercase: false, eos: String::new(), split: None };
        let count = look_ahead(&params, &space.context.inputs, 100).unwrap();
        assert!((100..5000).contains(&count), "{count}");
        assert!(look_ahead(&params, &space.context.inputs, u64::MAX).is_err());
    }
}
