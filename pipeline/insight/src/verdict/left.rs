//! The outcomes of a course whose loss rose, or never fell below the unigram baseline.

use super::case::{Case, CourseOutcome, bad_start, onset};
use super::causes::{evidence_of_rate, heading, rate_times};
use super::notes::{Figure, Notes, beside, count, finite, number};
use identity::verdict::{Cause, Kind, Signal};
use identity::{Cell, Status};

fn lower(case: &Case<'_>) -> Option<String> {
    rate_times(1.0 / 3.0, "a third of the rate", case)
}

pub(super) fn diverged(case: &Case<'_>, notes: &mut Notes) -> CourseOutcome {
    let Case { course, view, bounds, .. } = case;
    // If only the last evaluation is bad, the last updates are the cause.
    let scored = case.signals.held_out.as_ref().map_or(0, |it| usize::try_from(it.last_at).unwrap_or(0));
    let by_score = course.ends_finite && !course.rose();
    let by_score = by_score && (!view.now.is_finite() || view.jump.is_some());
    let at = if by_score { scored } else { onset(case) };
    let about = Kind::Diverged;
    nonfinite(about, case, notes);
    let worse = worse(about, case, notes);
    // If losses are not finite, that is evidence enough.
    if course.rise.is_finite() && course.rose() {
        let said = format!(
            "the loss rose {} nats above its lowest earlier mean, which was {} at step {}",
            number(course.rise),
            number(course.rise_low),
            count(course.rise_from as u64)
        );
        notes.evidence(about, Figure::of(Signal::Rise, course.rise, course.rise_bound).at(course.peak_at), said);
    }
    if course.heading(bounds) >= bounds.heading {
        heading(about, case, notes);
    }
    evidence_of_rate(about, case, notes);
    let (cause, because, advice) = cause(about, case, notes);
    let at_step = count(at as u64);
    CourseOutcome {
        kind: Kind::Diverged,
        cause: Some(cause),
        onset: Some(at),
        recovered: None,
        sentence: match course.ends_finite && view.now.is_finite() {
            true if by_score => format!(
                "the held-out loss jumped by {} nats at checkpoint {at_step} and is {worse}",
                number(view.jump.unwrap_or(f64::NAN))
            ),
            // A loss that has fallen below its earlier minimum has not diverged for good.
            true if course.lowest_at > course.peak_at && course.rise.is_finite() => format!(
                "the loss rose by {} nats from step {at_step} on; it has fallen since, but is {worse}",
                number(course.rise)
            ),
            true => format!("the loss diverged at step {at_step} and is {worse}"),
            false if by_score => format!("the held-out loss of checkpoint {at_step} is not finite"),
            false => format!("the loss diverged at step {at_step} and is now NaN or Inf"),
        },
        because: Some(format!("Consistent with {because}")),
        advice,
    }
}

/// Adds the losses that are not finite, if there are any, as evidence.
fn nonfinite(about: Kind, case: &Case<'_>, notes: &mut Notes) {
    let Some(step) = case.course.first_nonfinite else { return };
    let said = match case.course.nonfinite {
        1 => format!("the loss of step {} is not finite", count(step as u64)),
        many => format!("{} losses are not finite, the first at step {}", count(many as u64), count(step as u64)),
    };
    notes.evidence(about, Figure::of(Signal::Nonfinite, case.course.nonfinite as f64, 0.0).at(step), said);
}

/// The present loss and what it is worse than, as a phrase that follows `is`: `now 9.32, worse than the unigram
/// baseline (4.66)`. Also adds it as evidence.
fn worse(about: Kind, case: &Case<'_>, notes: &mut Notes) -> String {
    let Case { signals, course, view, bounds, .. } = case;
    // A held-out loss can lag behind a training loss that diverges.
    let (figure, worse) = match view.above <= bounds.above {
        false => (
            Figure::of(Signal::AboveFrequencies, view.above, bounds.above),
            format!("now {}, worse than {}", view.now(), view.reference()),
        ),
        true => (
            Figure::of(Signal::Excess, course.excess, bounds.above_in_training),
            format!("now {} in training, {} {}", finite(course.last), beside(course.excess), signals.beside),
        ),
    };
    notes.evidence(about, figure, format!("the loss is {worse}"));
    worse
}

/// The cause of a divergence, a phrase that describes it, and what to try.
fn cause(about: Kind, case: &Case<'_>, notes: &mut Notes) -> (Cause, &'static str, Option<String>) {
    let Some(above) = bad_start(case) else {
        return (Cause::RateTooHigh, "a learning rate that is too high", lower(case));
    };
    let said = format!(
        "the first loss is {}, {} that of a uniform guess: the initial weights are far too large",
        finite(case.course.first),
        beside(above)
    );
    notes.evidence(about, Figure::of(Signal::FirstAboveEven, above, case.bounds.start).at(0), said);
    (Cause::InitialWeights, "initial weights that are far too large", Some(smaller(case)))
}

/// The advice to start with smaller weights.
fn smaller(case: &Case<'_>) -> String {
    let gates = match case.facts.params.get("train.forget_bias") {
        Some(Cell::Real(bias)) if *bias != 0.0 => " --set train.forget_bias=0",
        _ => "",
    };
    format!("try smaller initial weights: --set 'train.init={{ uniform = 0.1 }}'{gates}")
}

/// The outcome of a loss that rose but has not diverged. `returns` says that it is still falling back.
pub(super) fn unstable(case: &Case<'_>, returns: bool, notes: &mut Notes) -> CourseOutcome {
    let Case { course, view, bounds, .. } = case;
    let at = onset(case);
    // A loss that is only better than an untrained model has not recovered.
    let learned = view.above <= bounds.above
        || course.excess < -bounds.learned_in_training
        || course.rise_low <= view.before + bounds.near;
    let back = !course.rose() || course.last <= course.rise_low + bounds.recovered;
    let recovered = learned && back;
    nonfinite(Kind::Unstable, case, notes);
    if course.rise.is_finite() && course.rose() {
        let said = format!(
            "the loss rose up to {} nats above its lowest earlier mean, peaking at step {}",
            number(course.rise),
            count(course.peak_at as u64)
        );
        notes.evidence(
            Kind::Unstable,
            Figure::of(Signal::Rise, course.rise, course.rise_bound).at(course.peak_at),
            said,
        );
    }
    if view.above > bounds.above {
        heading(Kind::Unstable, case, notes);
    }
    evidence_of_rate(Kind::Unstable, case, notes);
    let after = match recovered {
        true => "has recovered",
        false if returns => "is still recovering",
        false => "has not recovered",
    };
    let rose = match course.first_nonfinite {
        Some(first) => {
            let first = count(first as u64);
            match course.nonfinite {
                1 => format!("the training loss of step {first} was not finite; the loss {after}"),
                many => format!(
                    "{} training losses were not finite, the first at step {first}; the loss {after}",
                    count(many as u64)
                ),
            }
        }
        None => format!(
            "the training loss rose by {} nats from step {} on and {after}",
            number(course.rise),
            count(at as u64)
        ),
    };
    CourseOutcome {
        kind: Kind::Unstable,
        cause: Some(Cause::RateTooHigh),
        onset: Some(at),
        recovered: Some(recovered),
        sentence: format!("{rose}; it is now {}", finite(course.last)),
        because: Some("Consistent with a learning rate at the edge of stability".to_owned()),
        advice: lower(case),
    }
}

/// The outcome of a loss that is above the unigram baseline and never rose: there are too few steps, or the rate is
/// wrong. The rate is too high if the held-out loss has begun to rise although nothing is memorised.
pub(super) fn never_below(case: &Case<'_>, notes: &mut Notes) -> CourseOutcome {
    let Case { signals, facts, course, view, bounds } = case;
    let said = format!("the loss is {}, worse than {}, and never rose much", number(view.now), view.reference());
    let figure = Figure::of(Signal::AboveFrequencies, view.above, bounds.never_below);
    let rise = signals.held_out.as_ref().map_or(0.0, |it| it.rise);
    if rise < bounds.held_out_rise {
        notes.evidence(Kind::Inconclusive, figure, said.clone());
        heading(Kind::Inconclusive, case, notes);
        return CourseOutcome {
            kind: Kind::Inconclusive,
            cause: None,
            onset: None,
            recovered: None,
            sentence: format!(
                "{said}: there are too few steps or the learning rate is wrong, and the evidence does not say which"
            ),
            because: None,
            advice: Some(match &signals.probes {
                _ if facts.status != Status::Finished => "let the run finish".to_owned(),
                _ if bad_start(case).is_some() => smaller(case),
                None => "to measure overshoot and sharpness: --set train.probes=10".to_owned(),
                Some(probes) if probes.rate.is_some_and(|share| share < bounds.decayed) => {
                    "the schedule has lowered the rate to less than a hundredth; lower it more slowly".to_owned()
                }
                Some(_) => format!("train longer: --set train.steps={}", 2 * signals.steps),
            }),
        };
    }
    notes.evidence(Kind::Diverged, figure, said.clone());
    let words = format!("the held-out loss rose by {} nats during training", finite(rise));
    notes.evidence(Kind::Diverged, Figure::of(Signal::HeldOutRise, rise, bounds.held_out_rise), words.clone());
    heading(Kind::Diverged, case, notes);
    evidence_of_rate(Kind::Diverged, case, notes);
    CourseOutcome {
        kind: Kind::Diverged,
        cause: Some(Cause::RateTooHigh),
        onset: None,
        recovered: None,
        sentence: format!("{said}; {words} (the lowest mean of the training loss was {})", number(course.lowest)),
        because: Some("Consistent with a learning rate that is too high".to_owned()),
        advice: lower(case),
    }
}
