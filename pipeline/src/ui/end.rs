//! The messages at the end of a computation.

use super::{data, format, talk};
use engine::work::{End, Interruption, WorkSummary};
use experiment::{Experiment, Point};
use identity::Status;
use session::failure::Failure;
use session::places::Paths;
use session::run::Computed;

/// Prints what would be computed.
pub fn tell_dry(summary: &WorkSummary) {
    for words in &summary.pending {
        data(&format!("would execute {words}\n"));
    }
    let later: Vec<String> = summary
        .later
        .iter()
        .map(|(stage, points)| if *points == 1 { stage.to_string() } else { format!("{stage} (for {points} points)") })
        .collect();
    if !later.is_empty() {
        data(&format!("then, unless cached: {}\n", later.join(", ")));
    }
    let rest = if summary.pending.is_empty() { "; nothing to compute" } else { "" };
    talk(&format!("{} cached{rest}", summary.cached));
}

/// The values that distinguish a point from its siblings.
pub fn label(point: &Point) -> String {
    format::point(&point.swept.iter().cloned().collect())
}

/// Reports the result of each point, with a short verdict.
pub fn conclude(
    experiment: &Experiment,
    done: &Computed,
    judged: &[String],
    stopped: bool,
    paths: &Paths,
) -> Result<(), Failure> {
    let Computed { rows, summary } = done;
    let mut text = String::new();
    for (((row, end), point), judged) in rows.iter().zip(&summary.ends).zip(&experiment.points).zip(judged) {
        let status = match end {
            End::Finished if summary.partial && row.status != Status::Finished => "stopped as requested",
            End::Finished => "finished",
            End::Failed { .. } => "failed",
            End::Interrupted { .. } => "interrupted",
        };
        let (run, label) = (row.id.to_string(), label(point));
        let words: Vec<&str> = [&run, &label, status, judged].into_iter().filter(|word| !word.is_empty()).collect();
        text.push_str(&words.join("  "));
        text.push('\n');
    }
    data(&text);
    let counted = format!("{} executed, {} cached", summary.executed, summary.cached);
    let all = summary.ends.iter().all(|end| *end == End::Finished);
    if all && summary.executed == 0 && rows.iter().any(|row| row.new) {
        talk(&format!("{}: every stage was cached ({counted})", experiment.name));
    } else if all && summary.executed == 0 {
        talk(&format!("{} is up to date ({} cached)", experiment.name, summary.cached));
    } else {
        talk(&format!("{}: {counted}", experiment.name));
    }
    trouble(experiment, done, stopped, paths)
}

/// Returns the first failure that kept a point from finishing, if there is one.
pub fn trouble(experiment: &Experiment, done: &Computed, stopped: bool, paths: &Paths) -> Result<(), Failure> {
    let Computed { rows, summary } = done;
    let all = summary.ends.iter().all(|end| *end == End::Finished);
    let mut failure = None;
    for (row, end) in rows.iter().zip(&summary.ends) {
        match end {
            End::Failed { message, key: Some(key), hint } => {
                failure.get_or_insert_with(|| experiment.complain(key, message, hint).into());
            }
            End::Failed { message, key: None, hint } => {
                failure.get_or_insert_with(|| Failure::failed(format!("{}: {message}", row.id), hint));
            }
            End::Interrupted { cause: Some(Interruption { message, hint }) } => {
                let hint = if hint.is_empty() { resumes(experiment, paths) } else { hint.clone() };
                failure.get_or_insert_with(|| Failure::failed(format!("{}: {message}", row.id), hint));
            }
            End::Finished | End::Interrupted { cause: None } => {}
        }
    }
    match failure {
        Some(failure) => Err(failure),
        None if stopped && !all => Err(Failure::interrupted("interrupted", resumes(experiment, paths))),
        None => Ok(()),
    }
}

/// The hint with the command that resumes the computation.
pub fn resumes(experiment: &Experiment, paths: &Paths) -> String {
    let command = format::command(&experiment.path.display().to_string(), &experiment.overrides);
    format!("to resume: {command}{}", paths.flags())
}
