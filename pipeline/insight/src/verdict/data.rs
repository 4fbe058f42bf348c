//! Faults of what a run reads. They are looked for before anything else, and without the loss.

use super::bounds::Bounds;
use super::facts::Facts;
use super::notes::{Figure, Notes, count, number, percent};
use super::signals::{Data, Signals};
use identity::verdict::{Cause, CheckName, FindingKind, Kind, Signal};
use identity::{Cell, RunId};

/// A fault of the data.
#[derive(Debug, Clone, PartialEq)]
pub struct DataFault {
    pub cause: Cause,
    pub onset: usize,
    pub sentence: String,
    pub advice: String,
}

/// The gravest fault of the data, if there is one; says which checks were made.
pub fn fault(signals: &Signals, facts: &Facts, bounds: &Bounds, notes: &mut Notes) -> Option<DataFault> {
    let found = match (&signals.data, &facts.batches) {
        (Some(data), _) => batches(data, facts.run, bounds, notes),
        (None, batches) => {
            let why = batches.as_ref().err().cloned().unwrap_or_default();
            for name in [CheckName::Coverage, CheckName::OddBatches, CheckName::AmountOfText] {
                notes.not_made(name, why.clone());
            }
            // That the window slides stands in the parameters.
            let slides = matches!(facts.params.get("batch.layout"), Some(Cell::Text(layout)) if layout == "sliding");
            (slides && !facts.trace.is_empty()).then(|| {
                let said = "batch.layout is sliding: a step moves on by one token".to_owned();
                notes.evidence(Kind::DataFault, Figure::of(Signal::Sliding, 1.0, 0.0), said);
                sliding("most")
            })
        }
    };
    // Checks are all made and told of, whatever the first of them finds.
    let order = order(signals, facts.run, bounds, notes);
    let splits = splits(signals, bounds, notes);
    found.or(order).or(splits)
}

fn batches(data: &Data, run: RunId, bounds: &Bounds, notes: &mut Notes) -> Option<DataFault> {
    let mut found = Vec::new();
    let read = format!(
        "{} of the positions of a step were in the step before; {} of what could have been read for the first time was",
        percent(data.overlap),
        percent(data.novelty)
    );
    notes.made(CheckName::Coverage, read.clone());
    if data.overlap > bounds.overlap {
        notes.evidence(Kind::DataFault, Figure::of(Signal::Overlap, data.overlap, bounds.overlap), read);
        let covered = data.novelty * 100.0;
        notes.evidence(
            Kind::DataFault,
            Figure::of(Signal::Novelty, data.novelty, 1.0),
            format!("the batches saw {covered:.2} % of the text that as many tokens in parallel streams would have"),
        );
        found.push(sliding(&percent(data.overlap)));
    }
    odd(data, run, bounds, notes, &mut found);
    notes.made(
        CheckName::AmountOfText,
        format!(
            "{} tokens, {} for each type of the vocabulary, gone through {} times",
            count(data.tokens),
            number(data.tokens_per_type),
            number(data.passes)
        ),
    );
    if data.tokens_per_type < bounds.tokens_per_type && data.passes > bounds.passes {
        let figure = Figure::of(Signal::TokensPerType, data.tokens_per_type, bounds.tokens_per_type);
        let sentence = format!(
            "{} tokens of text hold {} for each type of the vocabulary, and training has gone through them {} times: it \
             learns them by heart",
            count(data.tokens),
            number(data.tokens_per_type),
            number(data.passes)
        );
        notes.evidence(Kind::DataFault, figure, sentence.clone());
        let advice = "train on more text, or stop by early_stopping; a smaller vocabulary helps a little".to_owned();
        found.push(DataFault { cause: Cause::TooLittleText, onset: 0, sentence, advice });
    }
    if found.is_empty() { None } else { Some(found.remove(0)) }
}

/// The fault of batches of which that share was in the one before.
fn sliding(share: &str) -> DataFault {
    DataFault {
        cause: Cause::SlidingWindow,
        onset: 0,
        sentence: format!(
            "the batches move so little that {share} of each was in the one before: the model learns a few sentences by \
             heart and not the text"
        ),
        advice: "read the text in parallel streams: --set batch.layout=streams".to_owned(),
    }
}

/// Batches whose words are not those of the others.
fn odd(data: &Data, run: RunId, bounds: &Bounds, notes: &mut Notes, found: &mut Vec<DataFault>) {
    let enough = data.seen >= bounds.batches_to_compare;
    if !enough {
        let why = format!("{} steps are too few to tell which are unlike the others", data.seen);
        return notes.not_made(CheckName::OddBatches, why);
    }
    let said = format!(
        "of {} steps {} hold words of unlike frequencies (at most {} nats off)",
        count(data.seen as u64),
        if data.odd.is_empty() { "none".to_owned() } else { data.odd.len().to_string() },
        number(data.oddest)
    );
    notes.made(CheckName::OddBatches, said);
    let share = data.odd.len() as f64 / data.seen as f64;
    // Where every fourth step is unlike the others, the text has parts: nothing is broken.
    let (Some(first), true) = (data.odd.first(), share < 0.25) else { return };
    let last = data.odd.last().unwrap_or(first);
    let figure = Figure::of(Signal::OddBatch, data.oddest, data.odd_from).at(*first);
    let which = match data.odd.len() {
        1 => format!("step {first} holds"),
        several => format!("{several} of steps {first} to {last} hold"),
    };
    let sentence = format!(
        "{which} words whose frequencies are not those of the other steps ({} nats off): text of another kind, or spoilt",
        number(data.oddest)
    );
    // One or two are in many a sound text, if its batches are small.
    if data.odd.len() < bounds.odd {
        return notes.finding(FindingKind::OddBatches, figure, sentence);
    }
    notes.evidence(Kind::DataFault, figure, sentence.clone());
    let advice = format!("look at what they read: pipeline show {run} --step {first}");
    found.push(DataFault { cause: Cause::CorruptedBatches, onset: *first, sentence, advice });
}

/// Whether the order of words tells anything: where it does not, no language model has anything to learn.
fn order(signals: &Signals, run: RunId, bounds: &Bounds, notes: &mut Notes) -> Option<DataFault> {
    let Some(order) = signals.order else {
        notes.not_made(CheckName::OrderOfWords, without_baselines(signals));
        return None;
    };
    let said = format!("what comes before takes {} nats off the frequencies' loss on held-out text", number(order));
    notes.made(CheckName::OrderOfWords, said);
    if order >= bounds.order {
        return None;
    }
    let gain = match order {
        order if order > 0.0 => format!("is {} nats better than", number(order)),
        _ => "is no better than".to_owned(),
    };
    let sentence = format!(
        "the order of train's tokens tells nothing of the held-out text: the best n-gram model {gain} frequencies alone"
    );
    notes.evidence(Kind::DataFault, Figure::of(Signal::Order, order, bounds.order), sentence.clone());
    let advice = format!("look whether lines or words were shuffled: pipeline show {run} --step 0");
    Some(DataFault { cause: Cause::NoOrder, onset: 0, sentence, advice })
}

/// Why there are no n-gram models of a held-out text.
fn without_baselines(signals: &Signals) -> &'static str {
    match signals.counted {
        true if signals.unigram_valid.is_some() => "baselines.order is 1: no model looks at what comes before",
        true => "no text is held out: corpus.split.valid, or corpus.valid, names one",
        false => "the stage baselines was not computed for this run: run the experiment again",
    }
}

/// Whether train and valid are texts of one kind.
fn splits(signals: &Signals, bounds: &Bounds, notes: &mut Notes) -> Option<DataFault> {
    let (Some(train), Some(valid)) = (signals.unigram_train, signals.unigram_valid) else {
        notes.not_made(CheckName::SplitsAlike, without_baselines(signals));
        return None;
    };
    let gap = valid - train;
    let said = format!("frequencies of train cost {} nats on train and {} on valid", number(train), number(valid));
    notes.made(CheckName::SplitsAlike, said.clone());
    if gap <= bounds.split_gap {
        return None;
    }
    notes.evidence(Kind::DataFault, Figure::of(Signal::SplitGap, gap, bounds.split_gap), said);
    let sentence = format!("valid is text of another kind than train: its frequencies are {} nats off", number(gap));
    let advice = "cut both from one text, or shuffle documents before the cut".to_owned();
    Some(DataFault { cause: Cause::SplitsDiffer, onset: 0, sentence, advice })
}
