//! A run of enough steps beside what it is held against, and what can come of it.

use super::bounds::{BOUNDS, Bounds};
use super::facts::Facts;
use super::losses::{Course, losses};
use super::notes::number;
use super::rise;
use super::signals::{Probes, Signals};
use identity::Cell;
use identity::verdict::{Cause, Kind};

/// What came of a training, were its data sound.
#[derive(Debug, Clone, PartialEq)]
pub struct CourseOutcome {
    pub kind: Kind,
    pub cause: Option<Cause>,
    pub onset: Option<usize>,
    pub recovered: Option<bool>,
    /// What happened.
    pub sentence: String,
    /// What that is consistent with.
    pub because: Option<String>,
    pub advice: Option<String>,
}

/// A run of enough steps, and what it is held against.
pub(super) struct Case<'a> {
    pub(super) signals: &'a Signals,
    pub(super) facts: &'a Facts,
    pub(super) course: &'a Course,
    pub(super) view: &'a CourseView,
    pub(super) bounds: &'a Bounds,
}

/// The course beside what it is held against.
pub(super) struct CourseView {
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

impl CourseView {
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
    pub(super) fn is_low(&self, case: &Case<'_>) -> bool {
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
    rise::onset(&losses(facts), course.rise_from..=course.peak_at, course.rise_steps, above)
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
