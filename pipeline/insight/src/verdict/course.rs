//! What the loss did, and what that is consistent with.

use super::bounds::BOUNDS;
use super::causes::{stable, too_low};
use super::left::{diverged, never_below, unstable};
use super::losses::{Course, losses};
use super::notes::{Notes, number};
use super::signals::{Probes, Signals};
use super::{Bounds, Facts, checks, rise};
use record::read::Cell;
use record::verdicts::Kind;

/// What came of a training, were its data sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub kind: Kind,
    pub cause: Option<&'static str>,
    pub onset: Option<usize>,
    pub recovered: Option<bool>,
    /// What happened.
    pub sentence: String,
    /// What that is consistent with.
    pub because: Option<String>,
    pub advice: Option<String>,
}

/// Judges the course of the loss.
pub fn outcome(signals: &Signals, facts: &Facts, bounds: &Bounds, notes: &mut Notes) -> Outcome {
    let open = |sentence: String| Outcome {
        kind: Kind::Inconclusive,
        cause: None,
        onset: None,
        recovered: None,
        sentence,
        because: None,
        advice: None,
    };
    if facts.is_range_test() {
        notes.not_made("course of the loss", "the rate rises until the loss breaks away");
        return open("it is a range test, which is to break: pipeline lr-range reads it".to_owned());
    }
    let Some(course) = signals.course.as_ref().filter(|course| signals.steps >= bounds.steps || !course.ends_finite)
    else {
        notes.not_made("course of the loss", format!("{} steps are too few", signals.steps));
        return open(format!("{} steps are too few to say anything", signals.steps));
    };
    let view = View::of(signals, course, bounds);
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

/// A run of enough steps, and what it is held against.
pub(super) struct Case<'a> {
    pub(super) signals: &'a Signals,
    pub(super) facts: &'a Facts,
    pub(super) course: &'a Course,
    pub(super) view: &'a View,
    pub(super) bounds: &'a Bounds,
}

/// The course beside what it is held against.
pub(super) struct View {
    /// The held-out loss, or the training loss where there is none.
    pub(super) now: f64,
    /// Which of the two it is, in a word.
    pub(super) of: &'static str,
    /// What frequencies cost on the same text, or an even guess where they are not known.
    frequencies: f64,
    pub(super) known: bool,
    pub(super) above: f64,
    /// How far a held-out loss that is worse than frequencies rose at once: to learn by heart takes longer.
    pub(super) jump: Option<f64>,
    /// What frequencies cost in training.
    pub(super) before: f64,
    /// By how much the rate could be raised until steps overshoot.
    pub(super) headroom: Option<f64>,
}

impl View {
    pub(super) fn of(signals: &Signals, course: &Course, bounds: &Bounds) -> Self {
        // A score from before the loss left says nothing of where it is.
        let left = course.rose();
        let held_out = signals.held_out.as_ref().filter(|it| !left || it.last_at > course.peak_at as i64);
        let now = held_out.map_or(course.last, |it| it.last);
        let known = signals.unigram_valid.filter(|_| held_out.is_some()).or(signals.unigram_train);
        let before = signals.unigram_train.or(signals.even).unwrap_or(course.first);
        let frequencies = known.or(signals.even).unwrap_or(course.first);
        Self {
            now,
            of: if held_out.is_some() { "held-out" } else { "training" },
            frequencies,
            known: known.is_some(),
            above: now - frequencies,
            jump: held_out
                .and_then(|it| it.jump)
                .filter(|jump| *jump > bounds.jump && now - frequencies > bounds.above),
            before,
            headroom: signals.probes.as_ref().and_then(Probes::headroom),
        }
    }

    pub(super) fn now(&self) -> String {
        if self.now.is_finite() { number(self.now) } else { "not finite".to_owned() }
    }

    /// What frequencies cost, in words.
    pub(super) fn reference(&self) -> String {
        let name = if self.known { "word frequencies alone" } else { "an even guess" };
        format!("{name} ({})", number(self.frequencies))
    }

    /// Whether a higher rate would have learned more. A step that takes what its gradient promises could be longer. And plain
    /// gradient descent goes over a plateau as fast as its rate lets it: one that rests on word frequencies, without steps
    /// that raise their own loss, wants a higher one. (Rules that divide by the gradient's size go over it at any rate.)
    fn is_low(&self, case: &Case<'_>) -> bool {
        let Case { signals, facts, course, bounds, .. } = case;
        // A loss that has not moved at all wants whatever moves it.
        let still = (course.first - course.last).abs() < bounds.moved && course.rise < bounds.onset;
        let held_still = signals.held_out.as_ref().is_none_or(|it| it.rise < bounds.held_out_rise);
        if course.excess > bounds.rests && still && held_still {
            return bad_start(case).is_none();
        }
        let Some(probes) = &signals.probes else { return false };
        let learned_little = course.excess > -bounds.learned;
        let short = self.headroom.is_some_and(|headroom| headroom > bounds.headroom);
        let rests = course.excess > bounds.rests
            && is_descent(facts)
            && probes.overshoot_below.is_some_and(|share| share <= bounds.raising)
            && probes.update_ratio.is_some_and(|ratio| ratio < bounds.short)
            && bad_start(case).is_none();
        learned_little && (short || rests)
    }
}

impl Course {
    /// What the training loss will be above frequencies, once it has fallen on for a while as it last did.
    pub(super) fn heading(&self, bounds: &Bounds) -> f64 {
        self.excess - bounds.ahead * self.falling
    }
}

/// Whether the length of a step goes with that of the gradient.
fn is_descent(facts: &Facts) -> bool {
    matches!(facts.params.get("train.optimizer"), Some(Cell::Text(rule)) if rule == "sgd" || rule == "momentum")
}

/// The first step from which on the loss stayed above what it had been before it rose.
pub(super) fn onset(case: &Case<'_>) -> usize {
    let Case { facts, course, bounds, .. } = case;
    if !course.rose() {
        // Too early, or too few, to be a rise.
        return course.first_nonfinite.unwrap_or(0);
    }
    // Where the words' noise, or the level that it starts from, makes a rise one only from more on, that much more. The noise
    // of the run itself has no say: a loss that left slowly was noisy by then.
    let above = course.rise_low + bounds.onset * (course.rise_least / BOUNDS.rise).max(1.0);
    rise::onset(&losses(facts), course, above)
}

/// Whether the start itself is off: weights or gates that begin far from where training can begin. A fork begins elsewhere.
pub(super) fn bad_start(case: &Case<'_>) -> Option<f64> {
    if case.facts.forked_at().is_some() {
        return None;
    }
    case.signals
        .even
        .map(|even| case.course.first - even)
        .filter(|above| *above > case.bounds.start && above.is_finite())
}
