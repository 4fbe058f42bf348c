//! The rules that judge the course of the loss.

use super::bounds::Bounds;
use super::case::{Case, CourseOutcome, CourseView};
use super::causes::{stable, too_low};
use super::checks;
use super::facts::Facts;
use super::left::{diverged, never_below, unstable};
use super::notes::{Notes, counted};
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
        notes.not_made(CheckName::Course, "in a range test, the rate rises until the loss diverges");
        let said = "it is a range test, whose loss is meant to diverge; for its result, see `pipeline lr-range`";
        return open(said.to_owned());
    }
    let Some(course) = signals.course.as_ref().filter(|course| signals.steps >= bounds.steps || !course.ends_finite)
    else {
        let said = format!("{} too few to judge the loss", counted(signals.steps, "step is", "steps are"));
        notes.not_made(CheckName::Course, said.clone());
        return open(said);
    };
    let view = CourseView::of(signals, course, bounds);
    let case = &Case { signals, facts, course, view: &view, bounds };
    checks::tell(case, notes);
    // A loss that is not finite counts as risen, whatever it was before.
    let rose = course.rose() || course.nonfinite > 0;
    // A model that has memorised its text is worse than the unigram baseline on any other, but has not diverged.
    let learned = course.excess < -bounds.learned_in_training;
    let worse = (view.above > bounds.above && !learned) || course.excess > bounds.above_in_training;
    // If the model had learned nothing before the rise, returning to that level is not a recovery.
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
