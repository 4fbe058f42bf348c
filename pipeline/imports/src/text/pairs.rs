//! The fallback for programs that aren't known: lines with pairs of names and numbers that advance with a step or an
//! epoch.
//!
//! A line alone proves nothing: samples, sources, command lines and settings have pairs, too. Lines of a training's log
//! have the same names again and again, a loss or a score among them, and a counter that goes up. Only such lines are
//! read.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::said::{Axis, Book, Said};
use super::scan::{Pair, Pairs};
use crate::report::{At, Span};

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Look {
    /// The same for lines with the same names.
    pub(crate) shape: u64,
    /// Whether it counts and says nothing else, as `Epoch 3/10`.
    pub(crate) heading: bool,
    /// Whether it counts.
    pub(crate) counts: bool,
    /// Whether it has a loss or a score.
    pub(crate) scores: bool,
}

/// Reads a line: where it is, and its numbers if there is a book for them. `None` for a line that is none of a log's.
pub(crate) fn read(line: &str, mut book: Option<&mut Book<'_>>, said: &mut Said) -> Option<Look> {
    said.clear();
    if is_command(line) {
        return None;
    }
    let mut shape = DefaultHasher::new();
    let mut split = None;
    let (mut numbers, mut scores, mut rank, mut end, mut after_epoch) = (0, false, 0, 0, false);
    let mut plural = false;
    for pair in Pairs::of(line, 0) {
        let epoch_before = std::mem::take(&mut after_epoch);
        end = pair.end;
        let name = pair.index.map_or(pair.name, |_| without_counter(pair.name));
        if let Some((axis, its_rank)) = axis(name) {
            if its_rank >= rank || axis != Axis::Step {
                said.count(axis, pair.index.unwrap_or(pair.text));
                rank = if axis == Axis::Step { its_rank } else { rank };
            }
            match (axis, pair.total) {
                (Axis::Batch, Some(total)) => said.count(Axis::Batches, total),
                (Axis::Step, Some(total)) => said.count(Axis::Steps, total),
                _ => {}
            }
            after_epoch = axis == Axis::Epoch;
            plural |= name.ends_with(['s', 'S']);
            continue;
        }
        if name.is_empty() {
            // The `[20/500]` behind `Epoch: [3]`.
            if let (true, Some(total)) = (epoch_before, pair.total) {
                said.count(Axis::Batch, pair.text);
                said.count(Axis::Batches, total);
            }
            continue;
        }
        // `Accuracy: 90/100` and `Test: [90/100]` are no numbers that could be compared.
        if pair.total.is_some() || NEVER.iter().any(|it| it.eq_ignore_ascii_case(name)) {
            continue;
        }
        if let Some(index) = pair.index {
            said.count(if pair.name.to_ascii_lowercase().ends_with("epoch") { Axis::Epoch } else { Axis::Step }, index);
        }
        if numbers == 0 {
            split = line.get(..pair.at).and_then(split_in);
            split.hash(&mut shape);
        }
        name.hash(&mut shape);
        numbers += 1;
        scores |= is_score(name);
        if let Some(book) = book.as_deref_mut() {
            take(book, said, name, split, &pair);
        }
    }
    let counts = said.counts();
    (said.odd.is_some(), said.step.is_some(), said.epoch.is_some(), said.batch.is_some()).hash(&mut shape);
    // `epochs: 10` is a setting.
    let heading =
        counts && !plural && numbers == 0 && !line.get(end..).is_some_and(|rest| rest.contains(char::is_alphanumeric));
    (heading || numbers > 0).then(|| Look { shape: shape.finish(), heading, counts, scores })
}

fn take(book: &mut Book<'_>, said: &mut Said, name: &str, split: Option<&str>, pair: &Pair<'_>) {
    match pair.mean {
        // A batch's number and the mean over the epoch so far, as PyTorch's examples print them.
        Some(mean) => {
            said.number(book, name, split, Span::Step, pair.text);
            said.value(book, name, split, Span::Epoch, mean);
        }
        None => said.number(book, name, split, Span::Unknown, pair.text),
    }
}

/// Names of numbers that are none of a training's.
const NEVER: &[&str] = &[
    "eta", "v_num", "line", "pid", "rank", "port", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep",
    "oct", "nov", "dec",
];

/// A command line, or the arguments of one as a program prints them.
fn is_command(line: &str) -> bool {
    line.contains("Namespace(")
        || line.match_indices(" --").any(|(at, _)| line.as_bytes().get(at + 3).is_some_and(u8::is_ascii_alphabetic))
}

/// What a name counts, and how plainly it says so: a log that has iterations and steps has more of the former.
fn axis(name: &str) -> Option<(Axis, u8)> {
    let mut words = name.split([' ', '_', '-', '/', '#', '.']).filter(|word| !word.is_empty());
    let last = words.next_back()?;
    let is = |word: &str, any: &[&str]| any.iter().any(|it| it.eq_ignore_ascii_case(word));
    let last = if is(last, &["idx", "number", "no"]) { words.next_back()? } else { last };
    let found = match () {
        () if is(last, &["step", "steps"]) => (Axis::Step, 2),
        () if is(last, &["iter", "iters", "iteration", "iterations", "it", "itr", "update", "updates"]) => {
            (Axis::Step, 1)
        }
        () if is(last, &["epoch", "epochs", "ep"]) => (Axis::Epoch, 0),
        () if is(last, &["batch", "minibatch"]) => (Axis::Batch, 0),
        () => return None,
    };
    let beside = [
        "train",
        "training",
        "valid",
        "validation",
        "val",
        "test",
        "global",
        "num",
        "current",
        "cur",
        "of",
        "end",
        "at",
    ];
    words
        .all(|word| is(word, &beside) || is(word, &["after", "in", "mini", "opt", "optimizer", "the"]))
        .then_some(found)
}

/// `Validation loss at step` without its counter.
fn without_counter(name: &str) -> &str {
    let lower = name.to_ascii_lowercase();
    let ends = [
        " at step",
        " at iteration",
        " at iter",
        " at epoch",
        " after epoch",
        " after step",
        " step",
        " epoch",
        " iter",
    ];
    let end = ends.iter().find(|end| lower.ends_with(**end)).map_or(0, |end| end.len());
    name.get(..name.len() - end).unwrap_or(name)
}

/// Words of which one stands in the name of a loss or a score.
const SCORES: &[&str] = &[
    "loss",
    "ppl",
    "perplexity",
    "pplx",
    "nll",
    "xent",
    "cost",
    "entropy",
    "bpc",
    "bpb",
    "bpd",
    "err",
    "error",
    "acc",
    "accuracy",
    "mse",
    "mae",
    "rmse",
    "elbo",
    "reward",
    "bleu",
    "wer",
    "cer",
    "f1",
    "score",
    "kl",
    "likelihood",
    "lm",
    "ce",
];

fn is_score(name: &str) -> bool {
    let mut words = name.split(|c: char| !c.is_alphanumeric());
    let lower = || name.to_ascii_lowercase();
    words.any(|word| SCORES.iter().any(|it| it.eq_ignore_ascii_case(word))) || lower().contains("loss")
}

/// The split that the beginning of a line names.
fn split_in(before: &str) -> Option<&str> {
    let words = before.split(|c: char| !c.is_alphanumeric() && !"_./-".contains(c));
    let known = ["train", "training", "valid", "validation", "val", "dev", "test", "eval", "evaluation", "testing"];
    words.map(|word| word.trim_matches(['-', '.'])).find(|word| known.iter().any(|it| it.eq_ignore_ascii_case(word)))
}

/// The shapes of the lines so far.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    seen: HashMap<u64, Seen>,
}

/// What the lines of one shape have in common.
#[derive(Debug, Default)]
struct Seen {
    lines: u32,
    /// How often their counters went up, and how often down.
    up: u32,
    down: u32,
    at: At,
    look: Option<Look>,
    /// How often the epoch went up and the step with it, and how often the step began again.
    on: u32,
    anew: u32,
    /// Whether it says how many steps there are.
    total: bool,
}

/// What is known of a log's lines when the first of them are.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    pub(crate) shapes: HashSet<u64>,
    /// Whether steps are counted anew in each epoch.
    pub(crate) anew: bool,
}

/// As few lines of one shape are a report and no coincidence.
const FEWEST: u32 = 3;

/// The most shapes that are told apart: lines of prose have one each.
const MOST_SHAPES: usize = 4096;

impl Shapes {
    /// Heeds a line that stands at `at`; `total` if it says how many steps there are.
    pub(crate) fn see(&mut self, look: &Look, at: &At, total: bool) {
        if self.seen.len() >= MOST_SHAPES && !self.seen.contains_key(&look.shape) {
            return;
        }
        let seen = self.seen.entry(look.shape).or_default();
        if seen.lines > 0 {
            let next_epoch = matches!((seen.at.epoch, at.epoch), (Some(before), Some(now)) if now > before);
            let anew = next_epoch && matches!((seen.at.step, at.step), (Some(before), Some(now)) if now <= before);
            seen.on += u32::from(next_epoch && !anew);
            seen.anew += u32::from(anew);
            seen.up += u32::from(anew || ahead(&seen.at, at));
            seen.down += u32::from(!anew && ahead(at, &seen.at));
        }
        seen.lines = seen.lines.saturating_add(1);
        (seen.at, seen.look, seen.total) = (*at, Some(*look), total);
    }

    /// The shapes of reports. Empty if there are none with a loss or a score.
    pub(crate) fn reports(&self) -> Reports {
        let is = |seen: &Seen, of: fn(&Look) -> bool| seen.look.as_ref().is_some_and(of);
        let advances = |seen: &Seen| seen.lines >= FEWEST && seen.up > 0 && seen.down <= seen.up / 2;
        let reports =
            self.seen.iter().filter(|(_, seen)| advances(seen) && is(seen, |look| look.counts || look.scores));
        if !reports.clone().any(|(_, seen)| is(seen, |look| look.scores)) {
            return Reports::default();
        }
        // `epoch 1, step 3/500` in a log that has not come to epoch 2: 500 is more likely the epoch's.
        let counted = |of: fn(&Seen) -> u32| reports.clone().map(|(_, seen)| of(seen)).fold(0, u32::saturating_add);
        let (anew, on) = (counted(|seen| seen.anew), counted(|seen| seen.on));
        let total = reports.clone().any(|(_, seen)| seen.total && seen.at.epoch.is_some());
        Reports { shapes: reports.map(|(shape, _)| *shape).collect(), anew: anew > on || (anew + on == 0 && total) }
    }

    /// How many lines have one of these shapes.
    pub(crate) fn lines(&self, reports: &Reports) -> usize {
        reports.shapes.iter().filter_map(|shape| self.seen.get(shape)).map(|seen| seen.lines as usize).sum()
    }
}

/// Whether `b` is further in a training than `a`.
pub(crate) fn ahead(a: &At, b: &At) -> bool {
    if let (Some(a), Some(b)) = (a.step, b.step) {
        return b > a;
    }
    match (a.epoch, b.epoch) {
        (Some(a), Some(b)) if a != b => return b > a,
        _ => {}
    }
    matches!((a.batch, b.batch), (Some((a, _)), Some((b, _))) if b > a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(line: &str) -> Option<(At, bool, bool)> {
        let mut said = Said::default();
        read(line, None, &mut said).map(|look| (said.at(), look.heading, look.scores))
    }

    fn at(step: Option<i64>, epoch: Option<f64>, batch: Option<(i64, Option<i64>)>) -> At {
        At { step, epoch, batch }
    }

    #[test]
    fn a_line_says_where_it_is() {
        for (line, expected) in [
            ("step 12 loss 2.5", at(Some(12), None, None)),
            ("[2024-05-01 10:51:07] Epoch 3/10, iter 1,200: loss=2.5", at(Some(1200), Some(3.0), None)),
            ("Epoch [2/10], Step [100/600], Loss: 0.5", at(Some(100), Some(2.0), None)),
            ("Epoch: [0][10/5005]\tLoss 2.5 (2.7)", at(None, Some(0.0), Some((10, Some(5005))))),
            ("Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.3", at(None, Some(1.0), Some((640, Some(60000))))),
            ("epoch 2 batch 7/90 loss 2", at(None, Some(2.0), Some((7, Some(90))))),
            ("Epoch 1 | iter 16 step 4 | loss train: 2.5", at(Some(4), Some(1.0), None)),
            ("Validation loss at step 500: 2.5", at(Some(500), None, None)),
            ("Validation loss 6312:  0.25", at(Some(6312), None, None)),
            ("{'loss': 2.5, 'global_step': 7}", at(Some(7), None, None)),
        ] {
            assert_eq!(look(line), Some((expected, false, true)), "{line}");
        }
        for line in ["Epoch 3", "[ Epoch 3 ]", "=== EPOCH 3/10 ===", "2024-05-01 10:51:07 INFO - epoch: 3"] {
            assert_eq!(look(line), Some((at(None, Some(3.0), None), true, false)), "{line}");
        }
        for line in [
            "",
            "no number",
            "1 2 3",
            "epochs: 10",
            "python train.py --epoch 3 --loss 2",
            "Namespace(epochs=3, loss=2)",
        ] {
            assert_eq!(look(line), None, "{line}");
        }
    }

    #[test]
    fn lines_of_one_shape_that_advance_are_reports() {
        let reports = |lines: &[&str]| {
            let mut shapes = Shapes::default();
            let mut said = Said::default();
            for line in lines {
                if let Some(look) = read(line, None, &mut said) {
                    shapes.see(&look, &said.at(), said.steps.is_some());
                }
            }
            let reports = shapes.reports();
            (reports.shapes.len(), reports.anew)
        };
        let only = |lines: &[&str]| reports(lines).0;
        assert_eq!(only(&["epoch 1 loss 3", "epoch 2 loss 2", "epoch 3 loss 2.5"]), 1);
        assert_eq!(only(&["epoch 1 loss 3", "epoch 2 loss 2"]), 0, "too few");
        assert_eq!(only(&["epoch 1 loss 3", "epoch 1 loss 3", "epoch 1 loss 3"]), 0, "nothing advances");
        assert_eq!(only(&["layer 1 loss 3", "layer 2 loss 3", "layer 3 loss 3"]), 0, "layers are no epochs");
        assert_eq!(only(&["step 1 size 3", "step 2 size 3", "step 3 size 3"]), 0, "nothing is a score");
        assert_eq!(only(&["epochs: 10", "loss: 3", "step_size: 2", "accuracy = 5"]), 0, "settings");
        let steps = |of: &[(u32, u32)], total: &str| {
            let lines: Vec<String> =
                of.iter().map(|(epoch, step)| format!("epoch {epoch} step {step}{total} loss 2")).collect();
            reports(&lines.iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert_eq!(steps(&[(1, 5), (1, 10), (2, 5), (2, 10)], ""), (1, true), "steps begin again");
        assert_eq!(steps(&[(1, 5), (1, 10), (2, 15), (2, 20)], "/20"), (1, false), "steps go on");
        assert_eq!(steps(&[(1, 5), (1, 10), (1, 15)], "/20"), (1, true), "of an epoch with 20 steps");
        assert_eq!(steps(&[(1, 5), (1, 10), (1, 15)], ""), (1, false), "nothing tells");
    }
}
