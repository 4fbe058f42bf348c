//! Constraints between keys, which the table of keys cannot express.

use stages::params;
use stages::plan::BatchPlan;

use super::point::{CorpusFile, CorpusOrigin, Point, Stages};
use super::problem::{Location, Problem};
use super::tree::TomlNode;

/// Checks a point's values together.
pub fn check(tree: &TomlNode, point: &Point) -> Result<(), Problem> {
    let location = |key: &str| tree.at(key).map_or(Location::Default, |node| node.location.clone());
    let Stages { tokenize, vocab, batch, train, sample, .. } = &point.stages;
    let (vocab, batch, train, eos) = (&vocab.read, &batch.read, &train.read, tokenize.read.eos.as_str());
    let specials = if eos.is_empty() { 1 } else { 2 };
    if eos == stages::files::UNKNOWN {
        let message =
            format!("tokenize.eos is \"{eos}\", which is reserved for unknown tokens; allowed: any other string");
        return Err(Problem::new(location("tokenize.eos"), message, "eos = \"<eos>\""));
    }
    if vocab.size < specials {
        let names = if specials == 1 { "<unk>".to_owned() } else { format!("<unk> and {eos}") };
        let message =
            format!("vocab.size is {}; allowed: at least {specials}, for the special tokens {names}", vocab.size);
        return Err(Problem::new(location("vocab.size"), message, "vocab.size = 10000"));
    }
    if train.steps.is_some() && train.epochs.is_some() {
        let message = "set train.steps or train.epochs, not both";
        return Err(Problem::new(location("train.epochs"), message, "delete one of them"));
    }
    // With epochs, the length is known only once the corpus is tokenised.
    if let Some(fork) = train.fork.as_ref().filter(|_| train.epochs.is_none())
        && let Some((message, hint)) = params::nothing_to_train(fork, train.length(0))
    {
        let key = if tree.at("train.steps").is_some() { "train.steps" } else { "train.fork" };
        return Err(Problem::new(location(key), message, hint));
    }
    if train.tied && train.embedding != train.hidden {
        let message =
            format!("train.tied requires embedding = hidden; they are {} and {}", train.embedding, train.hidden);
        return Err(Problem::new(location("train.tied"), message, format!("train.embedding = {}", train.hidden)));
    }
    if train.reads_valid() {
        let held_out = match &point.corpus.split {
            Some(split) => split["valid"].as_f64().is_some_and(|share| share > 0.0),
            None => point.corpus.sources.iter().any(|source| source.name == "valid"),
        };
        if !held_out {
            let key = match (&train.early_stopping, train.schedule_reads_valid()) {
                (_, true) => "train.schedule",
                (Some(_), _) => "train.early_stopping",
                (None, _) => "train.checkpoints",
            };
            let message = format!("{key} requires the validation loss, but the corpus has no validation text");
            let hint = match &point.corpus.split {
                Some(_) => "corpus.split = { valid = 0.05, test = 0.05 }",
                None => "corpus.valid = \"data/valid.txt\"",
            };
            return Err(Problem::new(location(key), message, hint));
        }
    }
    if let Some((message, hint)) = train.steps.and_then(|steps| params::too_many_checkpoints(&train.checkpoints, steps))
    {
        return Err(Problem::new(location("train.checkpoints"), message, hint));
    }
    if sample.as_ref().is_some_and(|sample| sample.read.decode.is_empty()) {
        return Err(Problem::new(
            location("sample.decode"),
            "sample.decode is empty; allowed: at least one decoding method",
            "decode = [\"greedy\"]",
        ));
    }
    // A token takes at least one byte, and the end of the file can add one more token. A batch that needs more tokens
    // than that can be refused now; the exact check follows once the tokens are counted.
    let trained = point.corpus.sources.iter().find(|source| matches!(source.name.as_str(), "text" | "train"));
    if let Some(CorpusFile { origin: CorpusOrigin::File(path), bytes: Some(bytes), .. }) = trained {
        let needed = BatchPlan::fewest_tokens(batch.layout, batch.size, batch.unroll);
        if needed > bytes.saturating_add(1) {
            let message = format!(
                "batch.size {} × unroll {} needs {needed} tokens; {} has only {bytes} bytes",
                batch.size,
                batch.unroll,
                path.display()
            );
            return Err(Problem::new(location("batch.size"), message, "reduce batch.size or batch.unroll"));
        }
    }
    Ok(())
}
