//! The evidence for a rate that is too high or too low, and the outcomes of a course whose loss never rose.

use super::case::{Case, CourseOutcome};
use super::losses::Course;
use super::notes::{Figure, Notes, beside, number, percent};
use identity::verdict::{Cause, Kind, Signal};

/// A rate with one significant digit.
pub fn round(rate: f64) -> String {
    let digit = format!("{rate:.0e}");
    digit.parse().map_or(digit, |rate: f64| format!("{rate:?}"))
}

/// The advice to train at `factor` times the rate.
pub(super) fn rate_times(factor: f64, what: &str, case: &Case<'_>) -> Option<String> {
    let rate = case.facts.learning_rate()?;
    Some(format!("try {what}: --set train.learning_rate={}", round(rate * factor)))
}

/// Adds the evidence for a rate that is too high.
pub(super) fn evidence_of_rate(about: Kind, case: &Case<'_>, notes: &mut Notes) {
    let Case { signals, bounds, .. } = case;
    let Some(probes) = &signals.probes else { return };
    if let (Some(least), Some(at)) = (probes.overshoot_least, probes.overshoot_least_at) {
        let said =
            format!("the overshoot ratio falls to {}: that update increased the loss on its own batch", number(least));
        if least < 0.0 {
            notes.evidence(about, Figure::of(Signal::OvershootLeast, least, 0.0).at(at as usize), said);
        }
    }
    if let Some(steepness) = probes.steepness.filter(|value| *value > 2.0) {
        let said = format!(
            "learning rate times sharpness is {}: above 2, gradient descent diverges on a quadratic",
            number(steepness)
        );
        notes.evidence(about, Figure::of(Signal::RateTimesSharpness, steepness, 2.0), said);
    }
    if signals.clipped > bounds.clipped {
        let said = format!(
            "{} of steps were clipped, so the clipping norm, not the gradient, sets their length",
            percent(signals.clipped)
        );
        notes.evidence(about, Figure::of(Signal::Clipped, signals.clipped, bounds.clipped), said);
    }
}

/// Adds as evidence the level for which a loss above the unigram baseline is heading.
pub(super) fn heading(about: Kind, case: &Case<'_>, notes: &mut Notes) {
    let Case { signals, course, bounds, .. } = case;
    let heading = course.heading(bounds);
    // A loss that is not finite, or that has just risen, is not heading for any level.
    if !heading.is_finite() || course.falling <= 0.0 {
        return;
    }
    let said = format!(
        "the training loss fell by {} in the last fifth of steps, to {} {}, and is heading for {} it",
        number(course.falling),
        beside(course.excess),
        signals.beside,
        beside(heading)
    );
    notes.evidence(about, Figure::of(Signal::Heading, heading, bounds.heading), said);
}

/// A clause that says how a loss that never rose changed: `the training loss fell steadily from 7.00 to 4.10`.
fn path(course: &Course) -> String {
    let went = if course.last < course.first { "fell steadily" } else { "went" };
    format!("the training loss {went} from {} to {}", number(course.first), number(course.last))
}

pub(super) fn too_low(case: &Case<'_>, notes: &mut Notes) -> CourseOutcome {
    let Case { signals, course, view, bounds, .. } = case;
    let headroom = view.headroom.filter(|headroom| *headroom > bounds.headroom);
    if let Some(headroom) = headroom {
        let shown = if headroom > 1000.0 { "more than a thousand".to_owned() } else { number(headroom) };
        let said = format!(
            "updates lower the loss by as much as their gradients predict: a rate {shown} times as high would not \
             overshoot yet"
        );
        notes.evidence(Kind::TooLow, Figure::of(Signal::Headroom, headroom, bounds.headroom), said);
    }
    let said = format!("the training loss is {} {}", beside(course.excess), signals.beside);
    notes.evidence(Kind::TooLow, Figure::of(Signal::Excess, course.excess, -bounds.learned), said);
    let said = format!("the loss rose by at most {} nats, so a higher rate is possible", number(course.rise));
    notes.evidence(Kind::TooLow, Figure::of(Signal::Rise, course.rise, course.rise_bound), said);
    let factor = if headroom.is_some() { 10.0 } else { 3.0 };
    CourseOutcome {
        kind: Kind::TooLow,
        cause: Some(Cause::RateTooLow),
        onset: None,
        recovered: None,
        sentence: match (course.first - course.last).abs() < bounds.moved {
            true => {
                let (first, last) = (number(course.first), number(course.last));
                format!("the training loss has hardly changed: from {first} to {last}")
            }
            false if course.excess > bounds.heading => {
                format!("{}, but has not reached the unigram baseline yet", path(course))
            }
            false => format!("{}, and the model has learned little beyond the unigram baseline", path(course)),
        },
        because: Some("Consistent with a learning rate that is too low".to_owned()),
        advice: rate_times(factor, "a higher rate", case),
    }
}

pub(super) fn stable(case: &Case<'_>, notes: &mut Notes) -> CourseOutcome {
    let Case { course, view, bounds, .. } = case;
    let said = format!("the loss rose by at most {} nats", number(course.rise));
    notes.evidence(Kind::Stable, Figure::of(Signal::Rise, course.rise, course.rise_bound), said);
    let said = format!("the loss is now {}, compared with {}", number(view.now), view.reference());
    notes.evidence(Kind::Stable, Figure::of(Signal::AboveFrequencies, view.above, bounds.above), said);
    if view.above > bounds.above {
        heading(Kind::Stable, case, notes);
    }
    CourseOutcome {
        kind: Kind::Stable,
        cause: None,
        onset: None,
        recovered: None,
        sentence: path(course),
        because: None,
        advice: None,
    }
}
