//! What the loss did: the rules that tell one course from another.

use super::bounds::Bounds;
use super::case::{Case, CourseOutcome, CourseView};
use super::causes::{stable, too_low};
use super::checks;
use super::facts::Facts;
use super::left::{diverged, never_below, unstable};
use super::notes::Notes;
use super::signals::Signals;
use identity::verdict::{CheckName, Kind};

/// Judges the course of the loss.
pub fn outcome(signals: &Signals, facts: &Facts, bounds: &Bounds, notes: &mut Notes) -> CourseOutcome {
    let open = |sentence: String| CourseOutcome {
        kind: Kind::Inconclusive,
        cause: None,
        onset: None,
        recovered: None,
        sentence,
        because: None,
        advice: None,
    };
    if facts.is_range_test() {
        notes.not_made(CheckName::Course, "the rate rises until the loss breaks away");
        return open("it is a range test, which is to break: pipeline lr-range reads it".to_owned());
    }
    let Some(course) = signals.course.as_ref().filter(|course| signals.steps >= bounds.steps || !course.ends_finite)
    else {
        notes.not_made(CheckName::Course, format!("{} steps are too few", signals.steps));
        return open(format!("{} steps are too few to say anything", signals.steps));
    };
    let view = CourseView::of(signals, course, bounds);
    let case = &Case { signals, facts, course, view: &view, bounds };
    checks::tell(case, notes);
    // What is no number has risen, wherever it was.
    let rose = course.rose() || course.nonfinite > 0;
    // A model that has learned its text by heart is worse than frequencies on any other, and has not diverged.
    let learned = course.excess < -bounds.learned_in_training;
    let worse = (view.above > bounds.above && !learned) || course.excess > bounds.above_in_training;
    // Where it had learned nothing yet, to be back there is nothing.
    let came_back = course.last <= course.rise_low + bounds.recovered && course.rise_low <= view.before + bounds.near;
    let on_its_way = course.heading(bounds) < bounds.heading;
    let returns = on_its_way && course.excess <= bounds.above_in_training;
    if !course.ends_finite || !view.now.is_finite() || view.jump.is_some() || (rose && worse && !came_back && !returns)
    {
        diverged(case, notes)
    } else if rose {
        unstable(case, returns && !learned && view.above > bounds.above, notes)
    } else if view.is_low(case) {
        too_low(case, notes)
    } else if view.above > bounds.never_below && !on_its_way && !learned {
        never_below(case, notes)
    } else {
        stable(case, notes)
    }
}
