//! Faults of the data that a run reads. They are looked for before anything else, and without the loss.

use super::bounds::Bounds;
use super::facts::Facts;
use super::notes::{Figure, Notes, count, counted, number, percent};
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

/// The most serious fault of the data, if there is one. Also records which checks were made.
pub fn fault(signals: &Signals, facts: &Facts, bounds: &Bounds, notes: &mut Notes) -> Option<DataFault> {
    let found = match (&signals.data, &facts.batches) {
        (Some(data), _) => batches(data, facts.run, bounds, notes),
        (None, batches) => {
            let why = batches.as_ref().err().cloned().unwrap_or_default();
            for name in [CheckName::Coverage, CheckName::OddBatches, CheckName::AmountOfText] {
                notes.not_made(name, why.clone());
            }
            // Even without the batches, the parameters show that the window slides.
            let slides = matches!(facts.params.get("batch.layout"), Some(Cell::Text(layout)) if layout == "sliding");
            (slides && !facts.trace.is_empty()).then(|| {
                let said = "batch.layout is sliding, so each step advances by only one token".to_owned();
                notes.evidence(Kind::DataFault, Figure::of(Signal::Sliding, 1.0, 0.0), said);
                sliding("most")
            })
        }
    };
    // All checks are made and recorded, whatever the first of them finds.
    let order = order(signals, facts.run, bounds, notes);
    let splits = splits(signals, bounds, notes);
    found.or(order).or(splits)
}

fn batches(data: &Data, run: RunId, bounds: &Bounds, notes: &mut Notes) -> Option<DataFault> {
    let mut found = Vec::new();
    let read = format!(
        "{} of the positions of a step were also in the previous step; the steps covered {} of the text that they \
         could have covered",
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
            format!(
                "the batches covered {covered:.2} % of the text that the same number of tokens covers with \
                 batch.layout=streams"
            ),
        );
        found.push(sliding(&percent(data.overlap)));
    }
    odd(data, run, bounds, notes, &mut found);
    notes.made(
        CheckName::AmountOfText,
        format!(
            "{} tokens, {} per type of the vocabulary, read {} times",
            count(data.tokens),
            number(data.tokens_per_type),
            number(data.passes)
        ),
    );
    if data.tokens_per_type < bounds.tokens_per_type && data.passes > bounds.passes {
        let figure = Figure::of(Signal::TokensPerType, data.tokens_per_type, bounds.tokens_per_type);
        let sentence = format!(
            "the text has only {} tokens, {} per type of the vocabulary, and training read it {} times: the model \
             memorises it",
            count(data.tokens),
            number(data.tokens_per_type),
            number(data.passes)
        );
        notes.evidence(Kind::DataFault, figure, sentence.clone());
        let advice =
            "train on more text, or stop earlier with train.early_stopping; a smaller vocabulary helps a little";
        found.push(DataFault { cause: Cause::TooLittleText, onset: 0, sentence, advice: advice.to_owned() });
    }
    if found.is_empty() { None } else { Some(found.remove(0)) }
}

/// The fault of batches that overlap with the previous one. `share` says how much of each batch overlaps: `99 %` or
/// `most`.
fn sliding(share: &str) -> DataFault {
    DataFault {
        cause: Cause::SlidingWindow,
        onset: 0,
        sentence: format!(
            "{share} of each batch overlaps with the previous one: the model memorises a few sentences, not the text"
        ),
        advice: "read the text in parallel streams: --set batch.layout=streams".to_owned(),
    }
}

/// Finds the steps whose batches contain unusual words compared with the other steps.
fn odd(data: &Data, run: RunId, bounds: &Bounds, notes: &mut Notes, found: &mut Vec<DataFault>) {
    let enough = data.seen >= bounds.batches_to_compare;
    if !enough {
        let why = format!("{} too few to tell which ones are unusual", counted(data.seen, "step is", "steps are"));
        return notes.not_made(CheckName::OddBatches, why);
    }
    let said = format!(
        "of {} steps, {} unusual words (their unigram loss is at most {} nats from the median)",
        count(data.seen as u64),
        match data.odd.len() {
            0 => "none contain".to_owned(),
            1 => "1 contains".to_owned(),
            several => format!("{several} contain"),
        },
        number(data.oddest)
    );
    notes.made(CheckName::OddBatches, said);
    let share = data.odd.len() as f64 / data.seen as f64;
    // If a quarter of the steps or more are unusual, the text consists of different parts, which is not a fault.
    let (Some(first), true) = (data.odd.first(), share < 0.25) else { return };
    let last = data.odd.last().unwrap_or(first);
    let figure = Figure::of(Signal::OddBatch, data.oddest, data.odd_from).at(*first);
    let which = match data.odd.len() {
        1 => format!("step {first} contains"),
        several => format!("{several} of the steps {first} to {last} contain"),
    };
    let sentence = format!(
        "{which} unusual words compared with the other steps (unigram loss {} nats from the median): a different \
         kind of text, or corrupted",
        number(data.oddest)
    );
    // With small batches, one or two unusual steps are common even in sound text.
    if data.odd.len() < bounds.odd {
        return notes.finding(FindingKind::OddBatches, figure, sentence);
    }
    notes.evidence(Kind::DataFault, figure, sentence.clone());
    let advice = format!("to see what they read: pipeline show {run} --step {first}");
    found.push(DataFault { cause: Cause::CorruptedBatches, onset: *first, sentence, advice });
}

/// The fault of a text in which the order of words carries no information, so that a language model has nothing to
/// learn.
fn order(signals: &Signals, run: RunId, bounds: &Bounds, notes: &mut Notes) -> Option<DataFault> {
    let Some(order) = signals.order else {
        notes.not_made(CheckName::OrderOfWords, without_baselines(signals));
        return None;
    };
    let said = format!("on held-out text, the preceding tokens lower the n-gram loss by {} nats", number(order));
    notes.made(CheckName::OrderOfWords, said);
    if order >= bounds.order {
        return None;
    }
    let gain = match order {
        order if order > 0.0 => format!("is only {} nats better than", number(order)),
        _ => "is no better than".to_owned(),
    };
    let sentence = format!(
        "the order of the tokens in train says nothing about the held-out text: the best n-gram model {gain} the \
         unigram baseline"
    );
    notes.evidence(Kind::DataFault, Figure::of(Signal::Order, order, bounds.order), sentence.clone());
    let advice = format!("to check whether lines or words were shuffled: pipeline show {run} --step 0");
    Some(DataFault { cause: Cause::NoOrder, onset: 0, sentence, advice })
}

/// Why there are no n-gram baselines on held-out text.
fn without_baselines(signals: &Signals) -> &'static str {
    match signals.counted {
        true if signals.unigram_valid.is_some() => "baselines.order is 1, so no n-gram model looks at preceding tokens",
        true => "no text is held out; set corpus.split.valid or corpus.valid",
        false => "the stage `baselines` was not computed for this run; run the experiment again",
    }
}

/// The fault of a validation text that is a different kind of text from the training text.
fn splits(signals: &Signals, bounds: &Bounds, notes: &mut Notes) -> Option<DataFault> {
    let (Some(train), Some(valid)) = (signals.unigram_train, signals.unigram_valid) else {
        notes.not_made(CheckName::SplitsAlike, without_baselines(signals));
        return None;
    };
    let gap = valid - train;
    let said = format!("the unigram baseline is {} nats on train and {} on valid", number(train), number(valid));
    notes.made(CheckName::SplitsAlike, said.clone());
    if gap <= bounds.split_gap {
        return None;
    }
    notes.evidence(Kind::DataFault, Figure::of(Signal::SplitGap, gap, bounds.split_gap), said);
    let sentence = format!(
        "valid is a different kind of text from train: the unigram baseline is {} nats higher on valid",
        number(gap)
    );
    let advice = "take both splits from the same text, or shuffle documents before splitting".to_owned();
    Some(DataFault { cause: Cause::SplitsDiffer, onset: 0, sentence, advice })
}
