//! Other findings about a run; none of them decides the verdict.

use super::bounds::Bounds;
use super::facts::Facts;
use super::losses::{Course, losses};
use super::notes::{Figure, Notes, count, finite, number, percent};
use super::signals::Signals;
use super::statistics::means;
use identity::verdict::{CheckName, FindingKind, Signal};

/// Adds the findings.
pub fn find(signals: &Signals, facts: &Facts, bounds: &Bounds, notes: &mut Notes) {
    let Some(course) = &signals.course else { return };
    if facts.is_range_test() {
        return;
    }
    start(signals, course, bounds, notes);
    spikes(course, notes);
    overfitting(signals, facts, course, bounds, notes);
    plateau(signals, course, bounds, notes);
    softmax(signals, bounds, notes);
    clipping(signals, bounds, notes);
    samples(facts, notes);
}

fn start(signals: &Signals, course: &Course, bounds: &Bounds, notes: &mut Notes) {
    let Some(even) = signals.even else { return };
    let above = course.first - even;
    if above.abs() > bounds.start || !above.is_finite() {
        let what = match above > 0.0 {
            true => "the initial weights or biases are far too large",
            false => "no untrained model predicts this well",
        };
        let said = format!(
            "the first loss is {}, but that of an untrained softmax is {}: {what}",
            finite(course.first),
            number(even)
        );
        notes.finding(FindingKind::OddStart, Figure::of(Signal::FirstAboveEven, above, bounds.start).at(0), said);
    }
}

fn spikes(course: &Course, notes: &mut Notes) {
    if let Some(first) = course.spikes.first() {
        let said = match course.spikes.len() {
            1 => format!("the loss of step {} is far above those of the steps around it", count(*first as u64)),
            many => format!(
                "the losses of {} isolated steps are far above those of the steps around them; the first is step {}",
                count(many as u64),
                count(*first as u64)
            ),
        };
        notes.finding(
            FindingKind::Spikes,
            Figure::of(Signal::Spikes, course.spikes.len() as f64, 0.0).at(*first),
            said,
        );
    }
}

fn overfitting(signals: &Signals, facts: &Facts, course: &Course, bounds: &Bounds, notes: &mut Notes) {
    let Some(held_out) = &signals.held_out else { return };
    let rise = held_out.last - held_out.lowest;
    // A text that was read only once can't have been memorised.
    let again = signals.data.as_ref().is_none_or(|data| data.passes > 1.0);
    // If the training loss rose too, it is not overfitting.
    let fell = || {
        let means = means(&losses(facts));
        let then = usize::try_from(held_out.lowest_at - 1).ok().and_then(|before| means.get(before));
        then.is_some_and(|then| course.last <= then + bounds.recovered)
    };
    if again && rise > bounds.overfitting && held_out.gap > rise && fell() {
        let said = format!(
            "the held-out loss was lowest at checkpoint {} ({}); it is now {} higher, and {} above the training loss",
            count(held_out.lowest_at as u64),
            number(held_out.lowest),
            number(rise),
            number(held_out.gap)
        );
        let figure = Figure::of(Signal::HeldOutRise, rise, bounds.overfitting).at(held_out.lowest_at as usize);
        notes.finding(FindingKind::Overfitting, figure, said);
    }
}

fn plateau(signals: &Signals, course: &Course, bounds: &Bounds, notes: &mut Notes) {
    // It is unknown where a loss that has just risen is heading.
    let known = course.falling != 0.0;
    if known && signals.steps >= 100 && course.falling.abs() < bounds.plateau && course.last <= course.first {
        let said = format!(
            "the loss no longer falls: relative to {}, it differs by only {} nats between the last two fifths of steps",
            signals.beside,
            number(course.falling.abs())
        );
        notes.finding(FindingKind::Plateau, Figure::of(Signal::Falling, course.falling, bounds.plateau), said);
    }
}

fn softmax(signals: &Signals, bounds: &Bounds, notes: &mut Notes) {
    let Some(logit) = signals.probes.as_ref().and_then(|probes| probes.logit) else { return };
    if logit > bounds.logit {
        let said =
            format!("logits reach {}: the softmax is saturated, so predictions are nearly certain", number(logit));
        notes.finding(FindingKind::SaturatedSoftmax, Figure::of(Signal::Logit, logit, bounds.logit), said);
    }
}

fn clipping(signals: &Signals, bounds: &Bounds, notes: &mut Notes) {
    if signals.clipped > bounds.clipped {
        let said = format!(
            "{} of gradients were clipped: the length of nearly every step is the learning rate times the clipping \
             norm",
            percent(signals.clipped)
        );
        notes.finding(
            FindingKind::ClippedThroughout,
            Figure::of(Signal::Clipped, signals.clipped, bounds.clipped),
            said,
        );
    }
}

/// Finds samples that repeat themselves. Greedy samples do so even in good models (Holtzman et al. 2020), so they don't
/// count.
fn samples(facts: &Facts, notes: &mut Notes) {
    if facts.samples.is_empty() {
        return notes.not_made(CheckName::Samples, "no sample was drawn");
    }
    let last = facts.samples.iter().filter_map(|sample| sample.step).max();
    let drawn = facts.samples.iter().filter(|sample| sample.step == last && sample.tokens > 0);
    let drawn: Vec<_> = drawn.filter(|sample| !sample.decode.contains("greedy")).collect();
    let looping: Vec<_> = drawn.iter().filter(|sample| sample.loop_period.is_some()).collect();
    if drawn.is_empty() {
        return notes.not_made(CheckName::Samples, "no sample was drawn at random from the last checkpoint");
    }
    notes.made(
        CheckName::Samples,
        format!("{} of {} random samples from the last checkpoint loop", looping.len(), drawn.len()),
    );
    if let Some(sample) = looping.first() {
        let period = sample.loop_period.unwrap_or(0);
        let what = if period == 1 { "token".to_owned() } else { format!("{period} tokens") };
        let said = format!("a random sample repeats the same {what} over and over: the model has collapsed");
        let figure = Figure {
            signal: Signal::LoopPeriod,
            value: period as f64,
            bound: None,
            step: last.map(|step| step as usize),
        };
        notes.finding(FindingKind::CollapsedSamples, figure, said);
    }
}
