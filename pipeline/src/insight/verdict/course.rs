//! What the loss did, and what that is consistent with.

use super::causes::{diverged, never_below, stable, too_low, unstable};
use super::notes::{Notes, count, counted, number, percent};
use super::signals::{Course, Probes, Signals, means};
use super::{Bounds, Facts};
use crate::record::read::Cell;
use crate::record::verdicts::Kind;

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
    let Some(course) = signals.course.as_ref().filter(|course| signals.steps >= bounds.steps || course.nonfinite > 0)
    else {
        notes.not_made("course of the loss", format!("{} steps are too few", signals.steps));
        return open(format!("{} steps are too few to say anything", signals.steps));
    };
    let view = View::of(signals, course);
    checks(signals, facts, course, &view, notes);
    let rose = course.rise >= bounds.rise;
    // A model that has learned its text by heart is worse than frequencies on any other, and has not diverged.
    let learned = course.excess < -bounds.learned_in_training;
    let worse = (view.above > bounds.above && !learned) || course.excess > bounds.above_in_training;
    // Where it had learned nothing yet, to be back there is nothing.
    let came_back = course.last <= course.rise_low + bounds.recovered && course.rise_low <= view.before + bounds.near;
    let on_its_way = course.heading(bounds) < bounds.heading;
    let returns = on_its_way && course.excess <= bounds.above_in_training;
    if !view.now.is_finite() || course.last.is_infinite() || (rose && worse && !came_back && !returns) {
        diverged(signals, facts, course, &view, bounds, notes)
    } else if rose {
        unstable(signals, facts, course, &view, bounds, notes)
    } else if !learned && view.is_low(signals, facts, course, bounds) {
        too_low(facts, course, &view, bounds, notes)
    } else if view.above > bounds.never_below && !on_its_way && !learned {
        never_below(signals, facts, course, &view, bounds, notes)
    } else {
        stable(course, &view, bounds, notes)
    }
}

/// The course beside what it is held against.
pub(super) struct View {
    /// The held-out loss, or the training loss where there is none.
    pub(super) now: f64,
    /// Which of the two it is, in a word.
    of: &'static str,
    /// What frequencies cost on the same text, or an even guess where they are not known.
    frequencies: f64,
    known: bool,
    pub(super) above: f64,
    /// What frequencies cost in training.
    pub(super) before: f64,
    /// By how much the rate could be raised until steps overshoot: 1 / (1 − ρ).
    pub(super) headroom: Option<f64>,
}

impl View {
    fn of(signals: &Signals, course: &Course) -> Self {
        // A score from before the loss left says nothing of where it is.
        let held_out = signals.held_out.as_ref().filter(|it| it.last_at > course.peak_at as i64);
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
    fn is_low(&self, signals: &Signals, facts: &Facts, course: &Course, bounds: &Bounds) -> bool {
        let Some(probes) = &signals.probes else { return false };
        let learned_little = course.excess > -bounds.learned;
        let short = self.headroom.is_some_and(|headroom| headroom > bounds.headroom);
        let rests = course.excess > bounds.rests
            && is_descent(facts)
            && probes.overshoot_below.is_some_and(|share| share <= bounds.raising)
            && bad_start(signals, course, bounds).is_none();
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

fn checks(signals: &Signals, facts: &Facts, course: &Course, view: &View, notes: &mut Notes) {
    let first =
        course.first_nonfinite.map_or(String::new(), |step| format!(", the first at step {}", count(step as u64)));
    let verb = if course.nonfinite == 1 { "is" } else { "are" };
    let of = count(signals.steps as u64);
    notes.made("finite losses", format!("{} of {of} {verb} not{first}", count(course.nonfinite as u64)));
    let of = view.of;
    match view.known {
        true => notes.made(
            "loss against the baselines",
            match view.above {
                above if !above.is_finite() => format!("the last {of} loss is not finite, beside {}", view.reference()),
                above if above > 0.0 => {
                    format!("the last {of} loss is {}, {} above {}", view.now(), number(above), view.reference())
                }
                above => format!("the last {of} loss is {}, {} below {}", view.now(), number(-above), view.reference()),
            },
        ),
        false => notes.not_made(
            "loss against the baselines",
            "the stage baselines was not computed for this run: run the experiment again",
        ),
    }
    if signals.held_out.is_none() {
        notes.not_made("held-out loss", "no checkpoint was scored on valid");
    }
    notes.made(
        "course of the loss",
        format!(
            "from {} to {}, the lowest mean of ten steps {} at step {}; the most it rose is {}; {}",
            number(course.first),
            finite(course.last),
            number(course.lowest),
            count(course.lowest_at as u64),
            finite(course.rise),
            counted(course.spikes.len(), "lone spike", "lone spikes")
        ),
    );
    let growth = signals.gradient_growth.filter(|growth| growth.is_finite()).map_or_else(String::new, |growth| {
        format!(
            "; the norm of the last tenth of steps is {} times that of the tenth before the lowest loss",
            number(growth)
        )
    });
    notes.made("gradient norm", format!("{} of steps were clipped{growth}", percent(signals.clipped)));
    match &signals.probes {
        Some(probes) => {
            let figure = |name: &str, value: Option<f64>| value.map(|value| format!("{name} {}", number(value)));
            let said = [
                figure("overshoot ratio", probes.overshoot),
                figure("the least", probes.overshoot_least),
                figure("update ratio", probes.update_ratio),
                figure("largest logit", probes.logit),
                figure("entropy", probes.entropy),
                figure("rate times sharpness", probes.steepness),
            ];
            let said: Vec<String> = said.into_iter().flatten().collect();
            let said = if said.is_empty() { "none was a number".to_owned() } else { said.join(", ") };
            let cost = facts
                .probe_share
                .map_or_else(String::new, |share| format!("; they took {} of the time", percent(share)));
            notes.made("probes", format!("{}: {said}{cost}", counted(probes.count, "step", "steps")));
        }
        None => notes.not_made("probes", "train.probes is 0: --set train.probes=10 measures overshoot and sharpness"),
    }
}

fn finite(x: f64) -> String {
    if x.is_finite() { number(x) } else { "what is not finite".to_owned() }
}

/// The first step from which on the loss stayed above what it had been before it rose.
pub(super) fn onset(facts: &Facts, course: &Course, bounds: &Bounds) -> usize {
    let losses: Vec<f64> = facts.trace.iter().map(|row| row.loss.unwrap_or(f64::INFINITY)).collect();
    let means = means(&losses);
    let above = course.rise_low + bounds.onset;
    // Backwards from the peak, as long as single losses stand above.
    let peak = (course.rise_from..=course.peak_at).max_by(|a, b| losses[*a].total_cmp(&losses[*b])).unwrap_or(0);
    let mut at = peak;
    while at > course.rise_from && (losses[at - 1] > above || means[at - 1] > above) {
        at -= 1;
    }
    at
}

/// Whether the start itself is off: weights or gates that begin far from where training can begin.
pub(super) fn bad_start(signals: &Signals, course: &Course, bounds: &Bounds) -> Option<f64> {
    signals.even.map(|even| course.first - even).filter(|above| above.abs() > bounds.start)
}
