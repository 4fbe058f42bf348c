//! What a course that never left is consistent with: the evidence for it, in figures and in words, and what to try.

use super::case::{Case, CourseOutcome};
use super::notes::{Figure, Notes, beside, number, percent};
use identity::verdict::{Cause, Kind, Signal};

/// A rate in one digit that counts.
pub fn round(rate: f64) -> String {
    let digit = format!("{rate:.0e}");
    digit.parse().map_or(digit, |rate: f64| format!("{rate:?}"))
}

/// The advice to train at so many times the rate.
pub(super) fn rate_times(factor: f64, what: &str, case: &Case<'_>) -> Option<String> {
    let rate = case.facts.learning_rate()?;
    Some(format!("try {what}: --set train.learning_rate={}", round(rate * factor)))
}

/// What speaks for a rate that is too high.
pub(super) fn evidence_of_rate(about: Kind, case: &Case<'_>, notes: &mut Notes) {
    let Case { signals, bounds, .. } = case;
    let Some(probes) = &signals.probes else { return };
    if let (Some(least), Some(at)) = (probes.overshoot_least, probes.overshoot_least_at) {
        let said =
            format!("the overshoot ratio falls to {}: that update undid what its gradient promised", number(least));
        if least < 0.0 {
            notes.evidence(about, Figure::of(Signal::OvershootLeast, least, 0.0).at(at as usize), said);
        }
    }
    if let Some(steepness) = probes.steepness.filter(|value| *value > 2.0) {
        let said = format!("rate times sharpness is {}: beyond 2 a quadratic diverges", number(steepness));
        notes.evidence(about, Figure::of(Signal::RateTimesSharpness, steepness, 2.0), said);
    }
    if signals.clipped > bounds.clipped {
        let said = format!(
            "{} of steps were clipped: the norm, and not the gradient, sets their length",
            percent(signals.clipped)
        );
        notes.evidence(about, Figure::of(Signal::Clipped, signals.clipped, bounds.clipped), said);
    }
}

/// Where a loss that is worse than frequencies will soon be.
pub(super) fn heading(about: Kind, case: &Case<'_>, notes: &mut Notes) {
    let Case { signals, course, bounds, .. } = case;
    let heading = course.heading(bounds);
    // Where losses are not finite, or have just left, nothing points anywhere.
    if !heading.is_finite() || course.falling <= 0.0 {
        return;
    }
    let said = format!(
        "in training it fell by {} in the last fifth of steps, to {} {}: it is heading for {} them",
        number(course.falling),
        beside(course.excess),
        signals.beside,
        beside(heading)
    );
    notes.evidence(about, Figure::of(Signal::Heading, heading, bounds.heading), said);
}

pub(super) fn too_low(case: &Case<'_>, notes: &mut Notes) -> CourseOutcome {
    let Case { signals, course, view, bounds, .. } = case;
    let headroom = view.headroom.filter(|headroom| *headroom > bounds.headroom);
    if let Some(headroom) = headroom {
        let shown = if headroom > 1000.0 { "more than a thousand".to_owned() } else { number(headroom) };
        let said =
            format!("updates take what their gradients promise: a rate {shown} times as high would not overshoot yet");
        notes.evidence(Kind::TooLow, Figure::of(Signal::Headroom, headroom, bounds.headroom), said);
    }
    let said = format!("the training loss is {} {}", beside(course.excess), signals.beside);
    notes.evidence(Kind::TooLow, Figure::of(Signal::Excess, course.excess, -bounds.learned), said);
    let said = format!(
        "the most that the loss rose is {} nats: nothing keeps the rate from being higher",
        number(course.rise)
    );
    notes.evidence(Kind::TooLow, Figure::of(Signal::Rise, course.rise, course.rise_bound), said);
    let factor = if headroom.is_some() { 10.0 } else { 3.0 };
    CourseOutcome {
        kind: Kind::TooLow,
        cause: Some(Cause::RateTooLow),
        onset: None,
        recovered: None,
        sentence: format!(
            "the training loss went from {} to {}, never left its way, and {}",
            number(course.first),
            number(course.last),
            match (course.first - course.last).abs() < bounds.moved {
                true => "has hardly moved",
                false if course.excess > bounds.heading => "has not come down to word frequencies yet",
                false => "the model has learned little beyond word frequencies",
            }
        ),
        because: Some("Consistent with a rate that is too low".to_owned()),
        advice: rate_times(factor, "a higher rate", case),
    }
}

pub(super) fn stable(case: &Case<'_>, notes: &mut Notes) -> CourseOutcome {
    let Case { course, view, bounds, .. } = case;
    let said = format!("the most that the loss rose is {} nats", number(course.rise));
    notes.evidence(Kind::Stable, Figure::of(Signal::Rise, course.rise, course.rise_bound), said);
    let said = format!("the loss is {} now, beside {}", number(view.now), view.reference());
    notes.evidence(Kind::Stable, Figure::of(Signal::AboveFrequencies, view.above, bounds.above), said);
    if view.above > bounds.above {
        heading(Kind::Stable, case, notes);
    }
    CourseOutcome {
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
