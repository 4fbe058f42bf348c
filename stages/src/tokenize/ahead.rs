//! What the first lines of a corpus tell before anything is tokenized.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::cutter::Cutter;
use super::parts::{CorpusPart, SPLITS, locate};
use crate::StageError;
use crate::files::Cut;
use crate::params::Tokenize;

/// Bytes read at once: mostly the first block is enough.
const BLOCK: usize = 1 << 13;

/// Looks at the start of each part of a corpus: complains about one that is empty or blank, and says how many tokens
/// train holds, counted up to about `enough`.
///
/// # Errors
/// Those of [`super::run`], as far as the first lines tell.
pub fn look_ahead(params: &Tokenize, inputs: &BTreeMap<String, PathBuf>, enough: u64) -> Result<u64, StageError> {
    let cut = Cut { unit: params.unit, lowercase: params.lowercase, eos: params.eos.clone() };
    let parts = locate(params.split, inputs, BLOCK)?;
    let (mut tokens, mut words) = (0, false);
    for (split, part) in SPLITS.iter().zip(&parts) {
        let Some(part) = part else { continue };
        let train = *split == "train";
        // A blank part beside one with words is odd but allowed; so words are looked for until there is one.
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

/// How many tokens a part holds, counted until there are `enough` and, where that is asked for, one of them is a word,
/// no line's end; and whether one is.
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
    fn it_says_what_tokenizing_will_say() {
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
    fn it_stops_when_it_has_seen_enough() {
        // What lies behind the first lines is not read: a byte that is no text goes unnoticed.
        let mut text = "some words\n".repeat(10_000).into_bytes();
        text.push(0xff);
        let space = Space::new().with("train", text);
        let params = Tokenize { unit: Unit::Word, lowercase: false, eos: String::new(), split: None };
        let count = look_ahead(&params, &space.context.inputs, 100).unwrap();
        assert!((100..5000).contains(&count), "{count}");
        assert!(look_ahead(&params, &space.context.inputs, u64::MAX).is_err());
    }
}
