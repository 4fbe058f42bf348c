//! What was looked at of a course, and what it came to.

use super::case::Case;
use super::notes::{Notes, count, counted, finite, number, percent};
use identity::Cell;
use identity::verdict::CheckName;

/// Tells the checks of a course.
pub(super) fn tell(case: &Case<'_>, notes: &mut Notes) {
    let Case { signals, facts, course, view, .. } = case;
    let first =
        course.first_nonfinite.map_or(String::new(), |step| format!(", the first at step {}", count(step as u64)));
    let verb = if course.nonfinite == 1 { "is" } else { "are" };
    let of = count(signals.steps as u64);
    notes.made(CheckName::FiniteLosses, format!("{} of {of} {verb} not{first}", count(course.nonfinite as u64)));
    let of = view.of;
    match view.known {
        true => notes.made(
            CheckName::Baselines,
            match view.above {
                above if !above.is_finite() => format!("the last {of} loss is not finite, beside {}", view.reference()),
                above if above > 0.0 => {
                    format!("the last {of} loss is {}, {} above {}", view.now(), number(above), view.reference())
                }
                above => format!("the last {of} loss is {}, {} below {}", view.now(), number(-above), view.reference()),
            },
        ),
        false => notes.not_made(
            CheckName::Baselines,
            "the stage baselines was not computed for this run: run the experiment again",
        ),
    }
    if signals.held_out.is_none() {
        notes.not_made(CheckName::HeldOutLoss, "no checkpoint was scored on valid");
    }
    notes.made(
        CheckName::Course,
        format!(
            "from {} to {}, the lowest mean of ten steps {} at step {}; the most it rose is {}; {}",
            finite(course.first),
            finite(course.last),
            finite(course.lowest),
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
    notes.made(CheckName::GradientNorm, format!("{} of steps were clipped{growth}", percent(signals.clipped)));
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
            notes.made(CheckName::Probes, format!("{}: {said}{cost}", counted(probes.count, "step", "steps")));
        }
        None if matches!(facts.params.get("train.probes"), Some(Cell::Integer(0))) => {
            notes.not_made(
                CheckName::Probes,
                "train.probes is 0: --set train.probes=10 measures overshoot and sharpness",
            );
        }
        None => notes.not_made(CheckName::Probes, "no step was probed"),
    }
}
