//! The stage `vocab`: chooses the vocabulary, and rewrites the corpus in its ids.
//!
//! Inputs: `types`, `train`, `valid`, `test` of `tokenize`. Outputs: `vocab` (the types kept, in the order of their
//! ids, with their counts in train after folding), `tokenizer` (the same vocabulary as a Hugging Face
//! `tokenizer.json`), and `train`, `valid`, `test` in those ids.
//!
//! The special tokens are `<unk>` and, if there is one, the token for the end of a line. Besides them, the most
//! frequent types of train are kept (ties in the order of their bytes), and only types that occur in train; all others
//! are folded into `<unk>`, as is a literal `<unk>` in the corpus. Ids are in the order of descending counts, then
//! bytes.

mod huggingface;

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::files::{Ids, Types, UNKNOWN};
use crate::params::Vocab;
use crate::tokenize::SPLITS;
use crate::{Context, StageError, StageOutcome};

/// Chooses the vocabulary and writes the corpus in its ids.
///
/// # Errors
/// [`StageError::Input`] for a size below the number of special tokens; [`StageError::Format`] for an id that is not in
/// `types`; [`StageError::Io`] if a file can't be read or written.
pub fn run(params: &Vocab, context: &Context) -> Result<StageOutcome, StageError> {
    let all = Types::load(context.input("types")?)?;
    let ChosenVocabulary { vocab, new_ids, folded } = choose(params, all)?;
    let unknown = new_id(&vocab, UNKNOWN)?;
    let path = context.folder.join("vocab");
    vocab.save(&path)?;
    let mut outcome = StageOutcome::default();
    outcome.output("vocab", path);
    let path = context.folder.join("tokenizer.json");
    huggingface::save(&vocab, &path)?;
    outcome.output("tokenizer", path);

    let mut inputs = Vec::new();
    for split in SPLITS {
        inputs.push((split, Ids::open(context.input(split)?)?));
    }
    let mut progress = RewriteProgress { done: 0, whole: inputs.iter().map(|(_, ids)| ids.len()).sum() };
    let (mut tokens, mut unknown_rate) = (Map::new(), Map::new());
    for (split, ids) in &inputs {
        let path = context.folder.join(split);
        let unknowns = rewrite(ids, context.input(split)?, &new_ids, unknown, &path, context, &mut progress)?;
        tokens.insert((*split).into(), ids.len().into());
        unknown_rate.insert((*split).into(), share(unknowns, ids.len()));
        outcome.output(split, path);
    }
    let train: u64 = vocab.counts.iter().sum();
    let mut first_ids = Vec::new();
    let rewritten = Ids::open(&context.folder.join("train"))?;
    rewritten.read(0, rewritten.len().min(5) as usize, &mut first_ids)?;
    outcome.report = json!({
        "types": vocab.types.len(),
        "tokens": tokens,
        "coverage": share(train.saturating_sub(folded), train),
        "unknown_rate": unknown_rate,
        "ln_types": libm::log(vocab.types.len() as f64),
        "unigram_entropy": entropy(&vocab.counts),
        "first_ids": first_ids,
    });
    Ok(outcome)
}

/// A vocabulary, and the id that each type of the corpus has in it.
#[derive(Debug)]
struct ChosenVocabulary {
    vocab: Types,
    /// By old id: the new id.
    new_ids: Vec<u32>,
    /// The number of train tokens that became `<unk>`, not counting literal ones.
    folded: u64,
}

fn choose(params: &Vocab, all: Types) -> Result<ChosenVocabulary, StageError> {
    let Types { cut, types, counts } = all;
    let mut specials = vec![UNKNOWN];
    if !cut.eos.is_empty() && cut.eos != UNKNOWN {
        specials.push(&cut.eos);
    }
    let Some(room) = params.size.checked_sub(specials.len() as u64) else {
        let message = format!("vocab.size = {} leaves no room for {}", params.size, specials.join(" and "));
        let hint = format!("use vocab.size = {} or more", specials.len() + 1);
        return Err(StageError::input("vocab.size", message, hint));
    };
    let order = |a: &(u64, &str), b: &(u64, &str)| b.0.cmp(&a.0).then_with(|| a.1.as_bytes().cmp(b.1.as_bytes()));
    let mut kept: Vec<(u64, &str)> = counts
        .iter()
        .zip(&types)
        .map(|(count, text)| (*count, text.as_str()))
        .filter(|(count, text)| *count >= params.min_count.max(1) && !specials.contains(text))
        .collect();
    kept.sort_unstable_by(order);
    kept.truncate(usize::try_from(room).unwrap_or(usize::MAX));

    let count_of = |special: &str| -> u64 {
        counts.iter().zip(&types).filter(|(_, text)| *text == special).map(|(count, _)| *count).sum()
    };
    let total: u64 = counts.iter().sum();
    let literal: u64 = specials.iter().map(|special| count_of(special)).sum();
    let folded = total - literal - kept.iter().map(|(count, _)| count).sum::<u64>();
    for special in &specials {
        kept.push((count_of(special) + if *special == UNKNOWN { folded } else { 0 }, special));
    }
    kept.sort_unstable_by(order);

    // This hash has no random key, since a system may be unable to provide random numbers.
    let ids: HashMap<&str, u32, BuildHasherDefault<DefaultHasher>> =
        kept.iter().map(|(_, text)| *text).zip(0..).collect();
    let unknown = ids[UNKNOWN];
    let new_ids = types.iter().map(|text| ids.get(text.as_str()).copied().unwrap_or(unknown)).collect();
    let (counts, types) = kept.iter().map(|(count, text)| (*count, (*text).to_owned())).unzip();
    Ok(ChosenVocabulary { vocab: Types { cut, types, counts }, new_ids, folded })
}

fn new_id(vocab: &Types, text: &str) -> Result<u32, StageError> {
    let id = vocab.types.iter().position(|known| known == text);
    id.and_then(|id| u32::try_from(id).ok()).ok_or_else(|| StageError::Bug(format!("no {text} in the vocabulary")))
}

/// How many tokens of all three splits are rewritten.
struct RewriteProgress {
    done: u64,
    whole: u64,
}

/// Writes the tokens of `ids` to `out` with their new ids; returns how many of those are `unknown`.
fn rewrite(
    ids: &Ids,
    path: &Path,
    new_ids: &[u32],
    unknown: u32,
    out: &Path,
    context: &Context,
    progress: &mut RewriteProgress,
) -> Result<u64, StageError> {
    let mut file = BufWriter::new(File::create(out).map_err(StageError::io(out))?);
    let mut bytes = Vec::new();
    let mut unknowns = 0;
    ids.blocks(|block| {
        context.check()?;
        bytes.clear();
        for id in block {
            let new = *new_ids
                .get(*id as usize)
                .ok_or_else(|| StageError::format(path, format!("token {id} is not among the types")))?;
            unknowns += u64::from(new == unknown);
            bytes.extend_from_slice(&new.to_le_bytes());
        }
        progress.done += block.len() as u64;
        context.advance(progress.done, progress.whole);
        file.write_all(&bytes).map_err(StageError::io(out))
    })?;
    file.flush().map_err(StageError::io(out))?;
    Ok(unknowns)
}

/// A fraction in [0, 1]; null if `whole` is 0.
fn share(part: u64, whole: u64) -> Value {
    if whole == 0 { Value::Null } else { json!(part as f64 / whole as f64) }
}

/// −Σ p ln p of the relative frequencies, in nats: the loss of the unigram model.
fn entropy(counts: &[u64]) -> f64 {
    let total = counts.iter().sum::<u64>() as f64;
    let terms = counts.iter().filter(|count| **count > 0).map(|count| *count as f64 / total);
    // 0 is added so that a single type gives 0, not −0.
    0.0 - terms.map(|p| p * libm::log(p)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Cut;
    use crate::params::Unit;
    use crate::testing::{Space, bytes, ids, output};

    fn types(eos: &str, types: &[(&str, u64)]) -> Types {
        let cut = Cut { unit: Unit::Whitespace, lowercase: false, eos: eos.into() };
        let (types, counts) = types.iter().map(|(text, count)| ((*text).to_owned(), *count)).unzip();
        Types { cut, types, counts }
    }

    fn chosen(size: u64, min_count: u64, all: Types) -> Vec<(String, u64)> {
        let vocab = choose(&Vocab { size, min_count }, all).unwrap().vocab;
        vocab.types.into_iter().zip(vocab.counts).collect()
    }

    fn pairs(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
        pairs.iter().map(|(text, count)| ((*text).to_owned(), *count)).collect()
    }

    #[test]
    fn the_most_frequent_types_are_kept_and_the_rest_folded() {
        let all = || types("<eos>", &[("é", 2), ("z", 2), ("a", 5), ("<eos>", 4), ("<unk>", 1), ("b", 1), ("v", 0)]);
        assert_eq!(chosen(4, 1, all()), pairs(&[("a", 5), ("<eos>", 4), ("<unk>", 4), ("z", 2)]));
        assert_eq!(chosen(2, 1, all()), pairs(&[("<unk>", 11), ("<eos>", 4)]));
        assert_eq!(chosen(99, 3, all()), pairs(&[("<unk>", 6), ("a", 5), ("<eos>", 4)]));
        // Never a type that does not occur in train.
        assert_eq!(chosen(99, 1, all()).len(), 6);
    }

    #[test]
    fn specials_are_kept_at_count_zero_and_counted_once() {
        assert_eq!(chosen(1, 1, types("", &[("a", 1)])), pairs(&[("<unk>", 1)]));
        assert_eq!(chosen(3, 1, types("", &[("a", 1)])), pairs(&[("a", 1), ("<unk>", 0)]));
        assert_eq!(chosen(1, 1, types("<unk>", &[("a", 1), ("<unk>", 2)])), pairs(&[("<unk>", 3)]));
    }

    #[test]
    fn a_size_below_the_specials_is_refused() {
        let error = choose(&Vocab { size: 1, min_count: 1 }, types("<eos>", &[("a", 1)])).unwrap_err();
        match error {
            StageError::Input { key, message, .. } => {
                assert_eq!(key, "vocab.size");
                assert_eq!(message, "vocab.size = 1 leaves no room for <unk> and <eos>");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_corpus_is_written_in_the_new_ids() {
        let space = Space::new();
        let path = space.context.folder.join("types");
        types("<eos>", &[("b", 1), ("<eos>", 2), ("a", 3), ("x", 0)]).save(&path).unwrap();
        let space = Space::new()
            .with("types", std::fs::read(&path).unwrap())
            .with("train", bytes(&[0, 2, 2, 1, 2, 1]))
            .with("valid", bytes(&[0, 3, 1, 2]))
            .with("test", []);
        let outcome = run(&Vocab { size: 3, min_count: 1 }, &space.context).unwrap();
        let vocab = Types::load(output(&outcome, "vocab")).unwrap();
        assert_eq!(vocab.types, ["a", "<eos>", "<unk>"]);
        assert_eq!(ids(&outcome, "train"), [2, 0, 0, 1, 0, 1]);
        assert_eq!(ids(&outcome, "valid"), [2, 2, 1, 0]);
        let report = &outcome.report;
        assert_eq!(report["tokens"], json!({ "train": 6, "valid": 4, "test": 0 }));
        assert_eq!(report["unknown_rate"], json!({ "train": 1.0 / 6.0, "valid": 0.5, "test": null }));
        assert_eq!(report["coverage"], json!(5.0 / 6.0));
        assert_eq!(report["first_ids"], json!([2, 0, 0, 1, 0]));
        let expected = 3.0 / 6.0 * 2f64.ln() + 2.0 / 6.0 * 3f64.ln() + 1.0 / 6.0 * 6f64.ln();
        assert!((report["unigram_entropy"].as_f64().unwrap() - expected).abs() < 1e-15);
    }

    #[test]
    fn an_unknown_id_is_refused() {
        let space = Space::new();
        let path = space.context.folder.join("types");
        types("", &[("a", 1)]).save(&path).unwrap();
        let space = Space::new().with("types", std::fs::read(&path).unwrap()).with("train", bytes(&[0, 1]));
        let space = space.with("valid", []).with("test", []);
        let error = run(&Vocab { size: 3, min_count: 1 }, &space.context).unwrap_err();
        assert!(error.to_string().ends_with("train: token 1 is not among the types"), "{error}");
    }

    #[test]
    fn the_entropy_of_one_type_is_zero() {
        assert!(entropy(&[7, 0]).is_sign_positive());
        assert!((entropy(&[1, 1, 1, 1]) - 4f64.ln()).abs() < 1e-15);
    }
}
