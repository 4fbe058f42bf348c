//! A run with enough steps to be judged, what it is compared with, and the outcome of its training.

use super::bounds::{BOUNDS, Bounds};
use super::facts::Facts;
use super::losses::{Course, losses};
use super::notes::{finite, number};
use super::rise;
use super::signals::{Probes, Signals};
use identity::Cell;
use identity::verdict::{Cause, Kind};

/// The outcome of training, assuming that the data are sound.
#[derive(Debug, Clone, PartialEq)]
pub struct CourseOutcome {
    pub kind: Kind,
    pub cause: Option<Cause>,
    pub onset: Option<usize>,
    pub recovered: Option<bool>,
    /// What happened.
    pub sentence: String,
    /// A sentence that names the cause with which this is consistent.
    pub because: Option<String>,
    pub advice: Option<String>,
}

/// A run with enough steps to be judged, and what it is compared with.
pub(super) struct Case<'a> {
    pub(super) signals: &'a Signals,
    pub(super) facts: &'a Facts,
    pub(super) course: &'a Course,
    pub(super) view: &'a CourseView,
    pub(super) bounds: &'a Bounds,
}

/// The present loss and other figures of a course, and what they are compared with.
pub(super) struct CourseView {
    /// The held-out loss, or the training loss if there is none.
    pub(super) now: f64,
    /// Which of the two it is: `held-out` or `training`.
    pub(super) of: &'static str,
    /// The unigram baseline on the same text, or the loss of a uniform guess if that baseline is unknown.
    frequencies: f64,
    /// Whether the unigram baseline is known.
    pub(super) known: bool,
    /// How far `now` is above `frequencies`.
    pub(super) above: f64,
    /// How far a held-out loss that is above the unigram baseline rose between its last two evaluations. If the model
    /// memorises its text, the held-out loss rises more slowly.
    pub(super) jump: Option<f64>,
    /// The unigram baseline on the training text.
    pub(super) before: f64,
    /// The factor by which the rate could be raised before steps overshoot.
    pub(super) headroom: Option<f64>,
}

impl CourseView {
    pub(super) fn of(signals: &Signals, course: &Course, bounds: &Bounds) -> Self {
        // A score from before the rise says nothing about the present loss.
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
        finite(self.now)
    }

    /// The baseline that the loss is compared with, as a phrase: `the unigram baseline (4.66)`.
    pub(super) fn reference(&self) -> String {
        let name = if self.known { "the unigram baseline" } else { "a uniform guess" };
        format!("{name} ({})", number(self.frequencies))
    }

    /// Whether the model would have learned more at a higher rate. Steps that lower the loss by as much as their
    /// gradients predict could be longer. And plain gradient descent crosses a plateau only as fast as its rate allows:
    /// if the loss is stuck at the unigram baseline and few steps raise their own loss, the rate is too low.
    /// (Optimizers that divide by the size of the gradient cross the plateau at any rate.)
    pub(super) fn is_low(&self, case: &Case<'_>) -> bool {
        let Case { signals, facts, course, bounds, .. } = case;
        // A loss that has not moved at all requires a higher rate.
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
    /// Where the training loss will be relative to the unigram baseline if it goes on falling as fast as it last did.
    pub(super) fn heading(&self, bounds: &Bounds) -> f64 {
        self.excess - bounds.ahead * self.falling
    }
}

/// Whether the length of a step is proportional to that of the gradient.
fn is_descent(facts: &Facts) -> bool {
    matches!(facts.params.get("train.optimizer"), Some(Cell::Text(rule)) if rule == "sgd" || rule == "momentum")
}

/// The step from which the loss stayed above its level before the rise.
pub(super) fn onset(case: &Case<'_>) -> usize {
    let Case { facts, course, bounds, .. } = case;
    if !course.rose() {
        // The losses that are not finite came too early, or were too few, to be a rise.
        return course.first_nonfinite.unwrap_or(0);
    }
    // If the noise of the tokens, or the level before the rise, raises the bound that a rise must exceed, this level is
    // raised in proportion. The noise of the run itself does not count, because a loss that diverges slowly is noisy by
    // then.
    let above = course.rise_low + bounds.onset * (course.rise_least / BOUNDS.rise).max(1.0);
    rise::onset(&losses(facts), course.rise_from..=course.peak_at, course.rise_steps, above)
}

/// How far the first loss is above that of a uniform guess, if it is so far that the initial weights or gates are at
/// fault; `None` otherwise, and for a fork, which does not start from initial weights.
pub(super) fn bad_start(case: &Case<'_>) -> Option<f64> {
    if case.facts.forked_at().is_some() {
        return None;
    }
    case.signals
        .even
        .map(|even| case.course.first - even)
        .filter(|above| *above > case.bounds.start && above.is_finite())
}
