//! What a course is consistent with: the evidence for it, in figures and in words, and what to try.

use super::course::{Outcome, View, bad_start, onset};
use super::notes::{Figure, Notes, count, number, percent};
use super::signals::{Course, Signals};
use super::{Bounds, Facts};
use crate::record::read::Cell;
use crate::record::verdicts::Kind;

/// What the run's rate is, in words.
fn rate(facts: &Facts) -> Option<f64> {
    match facts.params.get("train.learning_rate") {
        Some(Cell::Real(rate)) => Some(*rate),
        _ => None,
    }
}

/// A rate in one digit that counts.
pub fn round(rate: f64) -> String {
    let digit = format!("{rate:.0e}");
    digit.parse().map_or(digit, |rate: f64| format!("{rate:?}"))
}

fn lower(facts: &Facts) -> Option<String> {
    let rate = rate(facts)?;
    Some(format!("try a third of the rate: --set train.learning_rate={}", round(rate / 3.0)))
}

fn evidence_of_rate(signals: &Signals, about: &str, bounds: &Bounds, notes: &mut Notes) {
    let Some(probes) = &signals.probes else { return };
    if let (Some(least), Some(at)) = (probes.overshoot_least, probes.overshoot_least_at) {
        let said =
            format!("the overshoot ratio falls to {}: that update undid what its gradient promised", number(least));
        if least < 0.0 {
            notes.evidence(about, Figure::of("overshoot_least", least, 0.0).at(at as usize), said);
        }
    }
    if let Some(steepness) = probes.steepness.filter(|value| *value > 2.0) {
        let said = format!("rate times sharpness is {}: beyond 2 a quadratic diverges", number(steepness));
        notes.evidence(about, Figure::of("rate_times_sharpness", steepness, 2.0), said);
    }
    if signals.clipped > bounds.clipped {
        let said = format!(
            "{} of steps were clipped: the norm, and not the gradient, sets their length",
            percent(signals.clipped)
        );
        notes.evidence(about, Figure::of("clipped", signals.clipped, bounds.clipped), said);
    }
}

/// How far above or below something, in words.
fn beside(above: f64) -> String {
    format!("{} {}", number(above.abs()), if above < 0.0 { "below" } else { "above" })
}

/// Where a loss that is worse than frequencies will soon be.
fn heading(about: &str, course: &Course, bounds: &Bounds, notes: &mut Notes) {
    let heading = course.heading(bounds);
    // Where losses are not finite, or have just left, nothing points anywhere.
    if !heading.is_finite() || course.falling <= 0.0 {
        return;
    }
    let said = format!(
        "in training it fell by {} in the last fifth of steps, to {} word frequencies on the same words: it is heading for {} \
         them",
        number(course.falling),
        beside(course.excess),
        beside(heading)
    );
    notes.evidence(about, Figure::of("heading", heading, bounds.heading), said);
}

pub(super) fn diverged(
    signals: &Signals,
    facts: &Facts,
    course: &Course,
    view: &View,
    bounds: &Bounds,
    notes: &mut Notes,
) -> Outcome {
    let at = onset(facts, course, bounds);
    let about = "diverged";
    if let Some(step) = course.first_nonfinite {
        let said = match course.nonfinite {
            1 => format!("the loss of step {} is not finite", count(step as u64)),
            many => format!("{} losses are not finite, from step {} on", count(many as u64), count(step as u64)),
        };
        notes.evidence(about, Figure::of("nonfinite", course.nonfinite as f64, 0.0).at(step), said);
    }
    // A held-out loss may lag behind one that leaves.
    let held_out = !(view.above <= bounds.above);
    let (figure, worse) = match held_out {
        true => (
            Figure::of("above_frequencies", view.above, bounds.above),
            format!("{} now, worse than {}", view.now(), view.reference()),
        ),
        false => (
            Figure::of("excess", course.excess, bounds.above_in_training),
            format!(
                "{} in training now, {} word frequencies on the same words",
                number(course.last),
                beside(course.excess)
            ),
        ),
    };
    notes.evidence(about, figure, format!("the loss is {worse}"));
    // Where losses are not finite, that says it all.
    if course.rise.is_finite() && course.rise >= bounds.rise {
        let said = format!(
            "it rose {} nats above its mean of {} at step {}",
            number(course.rise),
            number(course.rise_low),
            count(course.rise_from as u64)
        );
        notes.evidence(about, Figure::of("rise", course.rise, bounds.rise).at(course.peak_at), said);
    }
    heading(about, course, bounds, notes);
    evidence_of_rate(signals, about, bounds, notes);
    let start = bad_start(signals, course, bounds);
    let (cause, because) = match start {
        Some(above) => {
            let said = format!(
                "the first loss is {}, {} nats from an even guess: the weights begin where no training can",
                number(course.first),
                number(above)
            );
            notes.evidence(about, Figure::of("first_above_even", above, bounds.start).at(0), said);
            ("initial_weights", "initial weights that are far too large")
        }
        None => ("rate_too_high", "a learning rate that is too high"),
    };
    let advice = match start {
        Some(_) => {
            let gates = match facts.params.get("train.forget_bias") {
                Some(Cell::Real(bias)) if *bias != 0.0 => " --set train.forget_bias=0",
                _ => "",
            };
            Some(format!("begin with smaller weights: --set 'train.init={{ uniform = 0.1 }}'{gates}"))
        }
        None => lower(facts),
    };
    Outcome {
        kind: Kind::Diverged,
        cause: Some(cause),
        onset: Some(at),
        recovered: None,
        sentence: match view.now.is_finite() {
            // What was undercut later has not left for good.
            true if course.lowest_at > course.peak_at => format!(
                "the loss rose by {} nats from step {} on; it has fallen since, and is {worse}",
                number(course.rise),
                count(at as u64)
            ),
            true => format!("the loss left for good at step {}: it is {worse}", count(at as u64)),
            false => format!("the loss left for good at step {}: it is not finite now", count(at as u64)),
        },
        because: Some(format!("Consistent with {because}")),
        advice,
    }
}

pub(super) fn unstable(
    signals: &Signals,
    facts: &Facts,
    course: &Course,
    view: &View,
    bounds: &Bounds,
    notes: &mut Notes,
) -> Outcome {
    let at = onset(facts, course, bounds);
    // To be better than an untrained model is not to have recovered.
    let told = view.above <= bounds.above || course.rise_low <= view.before + bounds.near;
    let recovered = told && course.last <= course.rise_low + bounds.recovered;
    notes.evidence(
        "unstable",
        Figure::of("rise", course.rise, bounds.rise).at(course.peak_at),
        format!(
            "the loss rose {} nats above its lowest mean before, to its highest at step {}",
            number(course.rise),
            count(course.peak_at as u64)
        ),
    );
    if view.above > bounds.above {
        heading("unstable", course, bounds, notes);
    }
    evidence_of_rate(signals, "unstable", bounds, notes);
    let after = match recovered {
        true => "came back",
        false if view.above > bounds.above => "is on its way back",
        false => "has not come back to where it was",
    };
    Outcome {
        kind: Kind::Unstable,
        cause: Some("rate_too_high"),
        onset: Some(at),
        recovered: Some(recovered),
        sentence: format!(
            "the training loss rose by {} nats from step {} on, and {after}: it is {} now",
            number(course.rise),
            count(at as u64),
            number(course.last)
        ),
        because: Some("Consistent with a rate at the edge of what this training bears".to_owned()),
        advice: lower(facts),
    }
}

pub(super) fn too_low(facts: &Facts, course: &Course, view: &View, bounds: &Bounds, notes: &mut Notes) -> Outcome {
    let headroom = view.headroom.unwrap_or(f64::INFINITY);
    let shown = if headroom > 1000.0 { "more than a thousand".to_owned() } else { number(headroom) };
    if headroom > bounds.headroom {
        let said =
            format!("updates take what their gradients promise: a rate {shown} times as high would not overshoot yet");
        notes.evidence("too_low", Figure::of("headroom", headroom, bounds.headroom), said);
    }
    let said = format!("the training loss is {} word frequencies on the same words", beside(course.excess));
    notes.evidence("too_low", Figure::of("excess", course.excess, -bounds.learned), said);
    let said = format!(
        "the most that the loss rose is {} nats: nothing keeps the rate from being higher",
        number(course.rise)
    );
    notes.evidence("too_low", Figure::of("rise", course.rise, bounds.rise), said);
    let factor = if headroom > bounds.headroom { 10.0 } else { 3.0 };
    Outcome {
        kind: Kind::TooLow,
        cause: Some("rate_too_low"),
        onset: None,
        recovered: None,
        sentence: format!(
            "the training loss went from {} to {}, never rose, and has learned little beyond word frequencies",
            number(course.first),
            number(course.last)
        ),
        because: Some("Consistent with a rate that is too low".to_owned()),
        advice: rate(facts)
            .map(|rate| format!("try a higher rate: --set train.learning_rate={}", round(rate * factor))),
    }
}

/// A loss that is worse than frequencies and never rose: too few steps, or a rate that is not right. That it is too high shows
/// where the held-out loss has begun to rise, though nothing is learned by heart.
pub(super) fn never_below(
    signals: &Signals,
    facts: &Facts,
    course: &Course,
    view: &View,
    bounds: &Bounds,
    notes: &mut Notes,
) -> Outcome {
    let said = format!("the loss is {}, worse than {}, and never rose by much", number(view.now), view.reference());
    let figure = Figure::of("above_frequencies", view.above, bounds.never_below);
    let rise = signals.held_out.as_ref().map_or(0.0, |it| it.rise);
    if rise < bounds.held_out_rise {
        notes.evidence("inconclusive", figure, said.clone());
        return Outcome {
            kind: Kind::Inconclusive,
            cause: None,
            onset: None,
            recovered: None,
            sentence: format!("{said}: there are too few steps, or the rate is not right, and nothing tells which"),
            because: None,
            advice: Some(match signals.probes {
                None => "measure more: --set train.probes=10".to_owned(),
                Some(_) => format!("train longer: --set train.steps={}", 2 * signals.steps),
            }),
        };
    }
    notes.evidence("diverged", figure, said.clone());
    let words = format!("the held-out loss rose by {} nats on its way", number(rise));
    notes.evidence("diverged", Figure::of("held_out_rise", rise, bounds.held_out_rise), words.clone());
    heading("diverged", course, bounds, notes);
    evidence_of_rate(signals, "diverged", bounds, notes);
    Outcome {
        kind: Kind::Diverged,
        cause: Some("rate_too_high"),
        onset: None,
        recovered: None,
        sentence: format!("{said}; {words} (the lowest mean in training was {})", number(course.lowest)),
        because: Some("Consistent with a learning rate that is too high".to_owned()),
        advice: lower(facts),
    }
}

pub(super) fn stable(course: &Course, view: &View, bounds: &Bounds, notes: &mut Notes) -> Outcome {
    let said = format!("the most that the loss rose is {} nats", number(course.rise));
    notes.evidence("stable", Figure::of("rise", course.rise, bounds.rise), said);
    let said = format!("the loss is {} now, beside {}", number(view.now), view.reference());
    notes.evidence("stable", Figure::of("above_frequencies", view.above, bounds.above), said);
    Outcome {
        kind: Kind::Stable,
        cause: None,
        onset: None,
        recovered: None,
        sentence: format!(
            "the training loss went from {} to {} without leaving its way",
            number(course.first),
            number(course.last)
        ),
        because: None,
        advice: None,
    }
}
