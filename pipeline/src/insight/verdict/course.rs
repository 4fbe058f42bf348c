//! What the loss did, and what that is consistent with.

use super::notes::{Figure, Notes, count, number, percent};
use super::signals::{Course, Signals, means};
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
    pub sentence: String,
    pub advice: Option<String>,
}

/// Judges the course of the loss.
pub fn outcome(signals: &Signals, facts: &Facts, bounds: &Bounds, notes: &mut Notes) -> Outcome {
    let Some(course) = signals.course.as_ref().filter(|_| signals.steps >= bounds.steps) else {
        notes.not_made("course of the loss", format!("{} steps are too few", signals.steps));
        return Outcome {
            kind: Kind::Inconclusive,
            cause: None,
            onset: None,
            recovered: None,
            sentence: format!("{} steps are too few to say anything", signals.steps),
            advice: None,
        };
    };
    let view = View::of(signals, course);
    checks(signals, course, &view, notes);
    let rose = course.rise.max(view.held_out_rise) >= bounds.rise;
    let worse = view.above > bounds.above;
    let gone = !view.now.is_finite() || (worse && rose && view.above > bounds.recovering * course.falling.max(0.0));
    if gone {
        diverged(signals, facts, course, &view, bounds, notes)
    } else if rose {
        unstable(course, facts, &view, bounds, notes)
    } else if view.headroom.is_some_and(|headroom| headroom > bounds.headroom) && view.slow(course, bounds) {
        too_low(facts, course, &view, bounds, notes)
    } else if worse && !view.falls(course, bounds) {
        stuck(course, &view, bounds, notes)
    } else {
        stable(course, &view, bounds, notes)
    }
}

/// The course beside what it is held against.
struct View {
    /// The held-out loss, or the training loss where there is none.
    now: f64,
    /// What frequencies cost on the same text, or an even guess where they are not known.
    frequencies: f64,
    known: bool,
    above: f64,
    held_out_rise: f64,
    /// By how much the rate could be raised until steps overshoot: 1 / (1 − ρ).
    headroom: Option<f64>,
}

impl View {
    fn of(signals: &Signals, course: &Course) -> Self {
        let held_out = signals.held_out.as_ref();
        let now = held_out.map_or(course.last, |it| it.last);
        let known = if held_out.is_some() { signals.unigram_valid } else { signals.unigram_train };
        let frequencies = known.or(signals.even).unwrap_or(course.first);
        Self {
            now,
            frequencies,
            known: known.is_some(),
            above: now - frequencies,
            held_out_rise: held_out.map_or(0.0, |it| it.rise),
            headroom: signals.probes.as_ref().and_then(|it| it.overshoot).map(|rho| 1.0 / (1.0 - rho).max(1e-6)),
        }
    }

    fn now(&self) -> String {
        if self.now.is_finite() { number(self.now) } else { "not finite".to_owned() }
    }

    /// What frequencies cost, in words.
    fn reference(&self) -> String {
        let name = if self.known { "word frequencies alone" } else { "an even guess" };
        format!("{name} ({})", number(self.frequencies))
    }

    /// Whether so little was learned that a rate with much headroom is one that is too low.
    fn slow(&self, course: &Course, bounds: &Bounds) -> bool {
        self.above > -bounds.learned || course.last > self.frequencies - bounds.learned
    }

    fn falls(&self, course: &Course, bounds: &Bounds) -> bool {
        course.falling > bounds.falling
    }
}

fn checks(signals: &Signals, course: &Course, view: &View, notes: &mut Notes) {
    let first = course.first_nonfinite.map_or(String::new(), |step| format!(", the first at step {}", count(step as u64)));
    notes.made("finite losses", format!("{} of {} are not{first}", course.nonfinite, count(signals.steps as u64)));
    let of = if signals.held_out.is_some() { "held-out" } else { "training" };
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
            "from {} to {}, the lowest mean of ten steps {} at step {}; the most it rose is {}; {} lone spikes",
            number(course.first),
            finite(course.last),
            number(course.lowest),
            count(course.lowest_at as u64),
            finite(course.rise),
            course.spikes.len()
        ),
    );
    notes.made("clipping", format!("{} of steps were clipped", percent(signals.clipped)));
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
            notes.made("probes", format!("{} steps: {}", count(probes.count as u64), said.join(", ")));
        }
        None => notes.not_made("probes", "train.probes is 0: --set train.probes=10 measures overshoot and sharpness"),
    }
}

fn finite(x: f64) -> String {
    if x.is_finite() { number(x) } else { "what is not finite".to_owned() }
}

/// The first step from which on the loss stayed above what it had been before it rose.
fn onset(facts: &Facts, course: &Course, bounds: &Bounds) -> usize {
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

/// What the run's rate is, in words.
fn rate(facts: &Facts) -> Option<f64> {
    match facts.params.get("train.learning_rate") {
        Some(Cell::Real(rate)) => Some(*rate),
        _ => None,
    }
}

/// The rate divided by three, in one digit that counts.
fn third(rate: f64) -> String {
    let digit = format!("{:.0e}", rate / 3.0);
    digit.parse().map_or(digit, |rate: f64| format!("{rate:?}"))
}

fn lower(facts: &Facts) -> Option<String> {
    let rate = rate(facts)?;
    Some(format!("try a third of the rate: --set train.learning_rate={}; pipeline confirm run{} tries it", third(rate), facts.run))
}

/// Whether the start itself is off: weights or gates that begin far from where training can begin.
fn bad_start(signals: &Signals, course: &Course, bounds: &Bounds) -> Option<f64> {
    signals.even.map(|even| course.first - even).filter(|above| above.abs() > bounds.start)
}

fn evidence_of_rate(signals: &Signals, about: &str, bounds: &Bounds, notes: &mut Notes) {
    let Some(probes) = &signals.probes else { return };
    if let (Some(least), Some(at)) = (probes.overshoot_least, probes.overshoot_least_at) {
        let said = format!("the overshoot ratio falls to {}: that update undid what its gradient promised", number(least));
        if least < 0.0 {
            notes.evidence(about, Figure::of("overshoot_least", least, 0.0).at(at as usize), said);
        }
    }
    if let Some(steepness) = probes.steepness.filter(|value| *value > 2.0) {
        let said = format!("rate times sharpness is {}: beyond 2 a quadratic diverges", number(steepness));
        notes.evidence(about, Figure::of("rate_times_sharpness", steepness, 2.0), said);
    }
    if signals.clipped > bounds.clipped {
        let said = format!("{} of steps were clipped: the norm, and not the gradient, sets their length", percent(signals.clipped));
        notes.evidence(about, Figure::of("clipped", signals.clipped, bounds.clipped), said);
    }
}

fn diverged(
    signals: &Signals,
    facts: &Facts,
    course: &Course,
    view: &View,
    bounds: &Bounds,
    notes: &mut Notes,
) -> Outcome {
    let at = onset(facts, course, bounds);
    let about = "diverged";
    if let Some(step) = course.first_nonfinite {
        let said = format!("{} losses are not finite, from step {} on", course.nonfinite, count(step as u64));
        notes.evidence(about, Figure::of("nonfinite", course.nonfinite as f64, 0.0).at(step), said);
    }
    notes.evidence(
        about,
        Figure::of("above_frequencies", view.above, bounds.above),
        format!("the loss is {} at the end, worse than {}", view.now(), view.reference()),
    );
    // Where losses are not finite, that says it all.
    if course.rise.is_finite() {
        let said = format!(
            "it rose {} nats above its mean of {} at step {}",
            number(course.rise),
            number(course.rise_low),
            count(course.rise_from as u64)
        );
        notes.evidence(about, Figure::of("rise", course.rise, bounds.rise).at(course.peak_at), said);
    }
    evidence_of_rate(signals, about, bounds, notes);
    let start = bad_start(signals, course, bounds);
    let (cause, because) = match start {
        Some(above) => {
            let said = format!(
                "the first loss is {}, {} nats from an even guess: the weights begin where no training can",
                number(course.first),
                number(above)
            );
            notes.evidence(about, Figure::of("first_above_even", above, bounds.start).at(0), said);
            ("initial_weights", "initial weights that are far too large")
        }
        None => ("rate_too_high", "a learning rate that is too high"),
    };
    let advice = match start {
        Some(_) => Some("begin with smaller weights: --set train.init={uniform=0.1}".to_owned()),
        None => lower(facts),
    };
    Outcome {
        kind: Kind::Diverged,
        cause: Some(cause),
        onset: Some(at),
        recovered: None,
        sentence: format!(
            "the loss left for good at step {}: it is {} now, worse than {}. Consistent with {because}",
            count(at as u64),
            view.now(),
            view.reference()
        ),
        advice,
    }
}

fn unstable(course: &Course, facts: &Facts, view: &View, bounds: &Bounds, notes: &mut Notes) -> Outcome {
    let at = onset(facts, course, bounds);
    let recovered = course.last <= course.rise_low + bounds.recovered;
    notes.evidence(
        "unstable",
        Figure::of("rise", course.rise.max(view.held_out_rise), bounds.rise).at(course.peak_at),
        format!(
            "the loss rose {} nats above its lowest mean before, to its highest at step {}",
            number(course.rise.max(view.held_out_rise)),
            count(course.peak_at as u64)
        ),
    );
    let after = if recovered { "came back" } else { "has not come back to where it was" };
    Outcome {
        kind: Kind::Unstable,
        cause: Some("rate_too_high"),
        onset: Some(at),
        recovered: Some(recovered),
        sentence: format!(
            "the loss rose by {} nats from step {} on, and {after}: it is {} now. Consistent with a rate at the edge of what \
             this training bears",
            number(course.rise.max(view.held_out_rise)),
            count(at as u64),
            number(view.now)
        ),
        advice: lower(facts),
    }
}

fn too_low(facts: &Facts, course: &Course, view: &View, bounds: &Bounds, notes: &mut Notes) -> Outcome {
    let headroom = view.headroom.unwrap_or(f64::INFINITY);
    let shown = if headroom > 1000.0 { "more than a thousand".to_owned() } else { number(headroom) };
    let said = format!("updates take what their gradients promise: a rate {shown} times as high would not overshoot yet");
    notes.evidence("too_low", Figure::of("headroom", headroom, bounds.headroom), said);
    let said = format!("the loss is {} at the end, beside {}", number(view.now), view.reference());
    notes.evidence("too_low", Figure::of("above_frequencies", view.above, -bounds.learned), said);
    let rate = rate(facts);
    Outcome {
        kind: Kind::TooLow,
        cause: Some("rate_too_low"),
        onset: None,
        recovered: None,
        sentence: format!(
            "the loss went from {} to {} and never rose: consistent with a rate that could be {shown} times as high",
            number(course.first),
            number(course.last)
        ),
        advice: rate.map(|rate| {
            let higher = rate * (headroom / 3.0).clamp(3.0, 10.0);
            format!("try a higher rate: --set train.learning_rate={}", number(higher))
        }),
    }
}

fn stuck(course: &Course, view: &View, bounds: &Bounds, notes: &mut Notes) -> Outcome {
    let said = format!("the loss is {} and no longer falls, worse than {}", number(view.now), view.reference());
    notes.evidence("inconclusive", Figure::of("above_frequencies", view.above, bounds.above), said.clone());
    Outcome {
        kind: Kind::Inconclusive,
        cause: None,
        onset: None,
        recovered: None,
        sentence: format!("{said}, yet it never rose: no rule says why (the lowest was {})", number(course.lowest)),
        advice: None,
    }
}

fn stable(course: &Course, view: &View, bounds: &Bounds, notes: &mut Notes) -> Outcome {
    let said = format!("the most that the loss rose is {} nats", number(course.rise));
    notes.evidence("stable", Figure::of("rise", course.rise, bounds.rise), said);
    let said = format!("the loss is {} at the end, beside {}", number(view.now), view.reference());
    notes.evidence("stable", Figure::of("above_frequencies", view.above, bounds.above), said);
    Outcome {
        kind: Kind::Stable,
        cause: None,
        onset: None,
        recovered: None,
        sentence: format!("the loss went from {} to {} without leaving its way", number(course.first), number(course.last)),
        advice: None,
    }
}
