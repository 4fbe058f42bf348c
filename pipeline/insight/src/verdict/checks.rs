//! The checks of a course, and their results.

use super::case::Case;
use super::notes::{Notes, count, counted, finite, number, percent};
use identity::Cell;
use identity::verdict::CheckName;

/// Records the checks of a course.
pub(super) fn tell(case: &Case<'_>, notes: &mut Notes) {
    let Case { signals, facts, course, view, .. } = case;
    let first =
        course.first_nonfinite.map_or(String::new(), |step| format!(", the first at step {}", count(step as u64)));
    let verb = if course.nonfinite == 1 { "is" } else { "are" };
    let of = count(signals.steps as u64);
    let said = format!("{} of {of} losses {verb} not finite{first}", count(course.nonfinite as u64));
    notes.made(CheckName::FiniteLosses, said);
    let of = view.of;
    match view.known {
        true => notes.made(
            CheckName::Baselines,
            match view.above {
                above if !above.is_finite() => {
                    format!("the last {of} loss is not finite and so worse than {}", view.reference())
                }
                above if above > 0.0 => {
                    format!("the last {of} loss is {}, {} above {}", view.now(), number(above), view.reference())
                }
                above => format!("the last {of} loss is {}, {} below {}", view.now(), number(-above), view.reference()),
            },
        ),
        false => notes.not_made(
            CheckName::Baselines,
            "the stage `baselines` was not computed for this run; run the experiment again",
        ),
    }
    if signals.held_out.is_none() {
        notes.not_made(CheckName::HeldOutLoss, "no checkpoint was scored on valid");
    }
    notes.made(
        CheckName::Course,
        format!(
            "the loss went from {} to {}; its lowest mean over ten steps was {} at step {}; it rose by at most {}; {}",
            finite(course.first),
            finite(course.last),
            finite(course.lowest),
            count(course.lowest_at as u64),
            finite(course.rise),
            counted(course.spikes.len(), "isolated spike", "isolated spikes")
        ),
    );
    let growth = signals.gradient_growth.filter(|growth| growth.is_finite()).map_or_else(String::new, |growth| {
        format!(
            "; the median norm in the last tenth of steps is {} times that in the tenth before the lowest loss",
            number(growth)
        )
    });
    notes.made(CheckName::GradientNorm, format!("{} of steps were clipped{growth}", percent(signals.clipped)));
    match &signals.probes {
        Some(probes) => {
            let figure = |name: &str, value: Option<f64>| value.map(|value| format!("{name} {}", number(value)));
            let said = [
                figure("overshoot ratio", probes.overshoot),
                figure("lowest overshoot ratio", probes.overshoot_least),
                figure("update ratio", probes.update_ratio),
                figure("largest logit", probes.logit),
                figure("entropy", probes.entropy),
                figure("learning rate times sharpness", probes.steepness),
            ];
            let said: Vec<String> = said.into_iter().flatten().collect();
            let said = if said.is_empty() { "no value was finite".to_owned() } else { said.join(", ") };
            let cost = facts
                .probe_share
                .map_or_else(String::new, |share| format!("; probing took {} of the time", percent(share)));
            notes.made(CheckName::Probes, format!("{}: {said}{cost}", counted(probes.count, "step", "steps")));
        }
        None if matches!(facts.params.get("train.probes"), Some(Cell::Integer(0))) => {
            notes.not_made(
                CheckName::Probes,
                "train.probes is 0; to measure overshoot and sharpness: --set train.probes=10",
            );
        }
        None => notes.not_made(CheckName::Probes, "no step was probed"),
    }
}
