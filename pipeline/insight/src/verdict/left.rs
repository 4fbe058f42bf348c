//! What a course that left is consistent with, whether it came back or not.

use super::case::{Case, CourseOutcome, bad_start, onset};
use super::causes::{evidence_of_rate, heading, rate_times};
use super::notes::{Figure, Notes, beside, count, counted, finite, number};
use identity::verdict::{Cause, Kind, Signal};
use identity::{Cell, Status};

fn lower(case: &Case<'_>) -> Option<String> {
    rate_times(1.0 / 3.0, "a third of the rate", case)
}

pub(super) fn diverged(case: &Case<'_>, notes: &mut Notes) -> CourseOutcome {
    let Case { course, view, bounds, .. } = case;
    // Where but the last score is off, the last updates did it.
    let scored = case.signals.held_out.as_ref().map_or(0, |it| usize::try_from(it.last_at).unwrap_or(0));
    let by_score = course.ends_finite && !course.rose();
    let by_score = by_score && (!view.now.is_finite() || view.jump.is_some());
    let at = if by_score { scored } else { onset(case) };
    let about = Kind::Diverged;
    nonfinite(about, case, notes);
    let worse = worse(about, case, notes);
    // Where losses are not finite, that says it all.
    if course.rise.is_finite() && course.rose() {
        let said = format!(
            "it rose {} nats above its mean of {} at step {}",
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
                "the held-out loss rose by {} nats at once, until checkpoint {at_step}: it is {worse}",
                number(view.jump.unwrap_or(f64::NAN))
            ),
            // What was undercut later has not left for good.
            true if course.lowest_at > course.peak_at && course.rise.is_finite() => format!(
                "the loss rose by {} nats from step {at_step} on; it has fallen since, and is {worse}",
                number(course.rise)
            ),
            true => format!("the loss left for good at step {at_step}: it is {worse}"),
            false if by_score => format!("the held-out loss of checkpoint {at_step} is not finite"),
            false => format!("the loss left for good at step {at_step}: it is not finite now"),
        },
        because: Some(format!("Consistent with {because}")),
        advice,
    }
}

/// Losses that are no numbers, where there are any.
fn nonfinite(about: Kind, case: &Case<'_>, notes: &mut Notes) {
    let Some(step) = case.course.first_nonfinite else { return };
    let said = match case.course.nonfinite {
        1 => format!("the loss of step {} is not finite", count(step as u64)),
        many => format!("{} losses are not finite, from step {} on", count(many as u64), count(step as u64)),
    };
    notes.evidence(about, Figure::of(Signal::Nonfinite, case.course.nonfinite as f64, 0.0).at(step), said);
}

/// What the loss is now, and what that is worse than.
fn worse(about: Kind, case: &Case<'_>, notes: &mut Notes) -> String {
    let Case { signals, course, view, bounds, .. } = case;
    // A held-out loss may lag behind one that leaves.
    let (figure, worse) = match view.above <= bounds.above {
        false => (
            Figure::of(Signal::AboveFrequencies, view.above, bounds.above),
            format!("{} now, worse than {}", view.now(), view.reference()),
        ),
        true => (
            Figure::of(Signal::Excess, course.excess, bounds.above_in_training),
            format!("{} in training now, {} {}", finite(course.last), beside(course.excess), signals.beside),
        ),
    };
    notes.evidence(about, figure, format!("the loss is {worse}"));
    worse
}

/// The cause of a divergence, in a name and in words, and what to try.
fn cause(about: Kind, case: &Case<'_>, notes: &mut Notes) -> (Cause, &'static str, Option<String>) {
    let Some(above) = bad_start(case) else {
        return (Cause::RateTooHigh, "a learning rate that is too high", lower(case));
    };
    let said = format!(
        "the first loss is {}, {} an even guess: the weights begin where no training can",
        finite(case.course.first),
        beside(above)
    );
    notes.evidence(about, Figure::of(Signal::FirstAboveEven, above, case.bounds.start).at(0), said);
    (Cause::InitialWeights, "initial weights that are far too large", Some(smaller(case)))
}

/// The advice to begin with smaller weights.
fn smaller(case: &Case<'_>) -> String {
    let gates = match case.facts.params.get("train.forget_bias") {
        Some(Cell::Real(bias)) if *bias != 0.0 => " --set train.forget_bias=0",
        _ => "",
    };
    format!("begin with smaller weights: --set 'train.init={{ uniform = 0.1 }}'{gates}")
}

/// `returns`: it is not there yet.
pub(super) fn unstable(case: &Case<'_>, returns: bool, notes: &mut Notes) -> CourseOutcome {
    let Case { course, view, bounds, .. } = case;
    let at = onset(case);
    // To be better than an untrained model is not to have recovered.
    let learned = view.above <= bounds.above
        || course.excess < -bounds.learned_in_training
        || course.rise_low <= view.before + bounds.near;
    let back = !course.rose() || course.last <= course.rise_low + bounds.recovered;
    let recovered = learned && back;
    nonfinite(Kind::Unstable, case, notes);
    if course.rise.is_finite() && course.rose() {
        let said = format!(
            "the loss rose {} nats above its lowest mean before, the most at step {}",
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
        true => "came back",
        false if returns => "is on its way back",
        false => "has not come back to where it was",
    };
    let rose = match course.first_nonfinite {
        Some(first) => {
            let losses = counted(course.nonfinite, "training loss was", "training losses were");
            format!("{losses} not finite, from step {} on; the loss {after}", count(first as u64))
        }
        None => format!(
            "the training loss rose by {} nats from step {} on, and {after}",
            number(course.rise),
            count(at as u64)
        ),
    };
    CourseOutcome {
        kind: Kind::Unstable,
        cause: Some(Cause::RateTooHigh),
        onset: Some(at),
        recovered: Some(recovered),
        sentence: format!("{rose}: it is {} now", finite(course.last)),
        because: Some("Consistent with a rate at the edge of what this training bears".to_owned()),
        advice: lower(case),
    }
}

/// A loss that is worse than frequencies and never rose: too few steps, or a rate that is not right. That it is too high shows
/// where the held-out loss has begun to rise, though nothing is learned by heart.
pub(super) fn never_below(case: &Case<'_>, notes: &mut Notes) -> CourseOutcome {
    let Case { signals, facts, course, view, bounds } = case;
    let said = format!("the loss is {}, worse than {}, and never rose by much", number(view.now), view.reference());
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
            sentence: format!("{said}: there are too few steps, or the rate is not right, and nothing tells which"),
            because: None,
            advice: Some(match &signals.probes {
                _ if facts.status != Status::Finished => "let it train on".to_owned(),
                _ if bad_start(case).is_some() => smaller(case),
                None => "measure more: --set train.probes=10".to_owned(),
                Some(probes) if probes.rate.is_some_and(|share| share < bounds.decayed) => {
                    "its schedule has lowered the rate to less than a hundredth: let it fall more slowly".to_owned()
                }
                Some(_) => format!("train longer: --set train.steps={}", 2 * signals.steps),
            }),
        };
    }
    notes.evidence(Kind::Diverged, figure, said.clone());
    let words = format!("the held-out loss rose by {} nats on its way", finite(rise));
    notes.evidence(Kind::Diverged, Figure::of(Signal::HeldOutRise, rise, bounds.held_out_rise), words.clone());
    heading(Kind::Diverged, case, notes);
    evidence_of_rate(Kind::Diverged, case, notes);
    CourseOutcome {
        kind: Kind::Diverged,
        cause: Some(Cause::RateTooHigh),
        onset: None,
        recovered: None,
        sentence: format!("{said}; {words} (the lowest mean in training was {})", number(course.lowest)),
        because: Some("Consistent with a learning rate that is too high".to_owned()),
        advice: lower(case),
    }
}
