//! What is said when the work has ended.

use super::{Done, swept};
use crate::failure::{Failure, INTERRUPTED};
use crate::places::Paths;
use crate::ui;
use crate::ui::format;
use engine::store;
use engine::work::{Cause, End, Summary, WorkError};
use engine::worker::WorkerError;
use experiment::Experiment;
use record::verdicts::{Kind, Verdict};
use system::quoted;
use view::verdict::short;

/// Says what would be computed.
pub(super) fn tell_dry(summary: &Summary) {
    for words in &summary.pending {
        ui::data(&format!("would execute {words}\n"));
    }
    let later: Vec<String> = summary
        .later
        .iter()
        .map(
            |(stage, points)| if *points == 1 { (*stage).to_owned() } else { format!("{stage} (for {points} points)") },
        )
        .collect();
    if !later.is_empty() {
        ui::data(&format!("after that, as far as it is not there: {}\n", later.join(", ")));
    }
    let rest = if summary.pending.is_empty() { "; nothing to do" } else { "" };
    ui::talk(&format!("{} cached{rest}", summary.cached));
}

/// Says what came of it, and with which exit code.
pub(super) fn conclude(
    experiment: &Experiment,
    done: &Done,
    verdicts: &[Verdict],
    stopped: bool,
    paths: &Paths,
) -> Result<(), Failure> {
    let Done { rows, summary } = done;
    for (((row, end), point), verdict) in rows.iter().zip(&summary.ends).zip(&experiment.points).zip(verdicts) {
        let status = match end {
            End::Finished if summary.partial && row.status != "finished" => "stopped as asked",
            End::Finished => "finished",
            End::Failed { .. } => "failed",
            End::Interrupted { .. } => "interrupted",
        };
        let (run, label) = (row.id.to_string(), format::point(&swept(point)));
        // What can't be judged is no news.
        let judged = if verdict.verdict == Kind::Inconclusive { String::new() } else { short(verdict) };
        let words: Vec<&str> = [&run, &label, status, &judged].into_iter().filter(|word| !word.is_empty()).collect();
        ui::data(&format!("{}\n", words.join("  ")));
    }
    let counted = format!("{} executed, {} cached", summary.executed, summary.cached);
    let all = summary.ends.iter().all(|end| *end == End::Finished);
    if all && summary.executed == 0 && rows.iter().any(|row| row.new) {
        ui::talk(&format!("{}: all that it asks for was there ({counted})", experiment.name));
    } else if all && summary.executed == 0 {
        ui::talk(&format!("nothing to do: {} answered already ({counted})", experiment.name));
    } else {
        ui::talk(&format!("{}: {counted}", experiment.name));
    }
    trouble(experiment, done, stopped, paths)
}

/// What kept a point from its end, as a user sees it.
pub fn trouble(experiment: &Experiment, done: &Done, stopped: bool, paths: &Paths) -> Result<(), Failure> {
    let Done { rows, summary } = done;
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
            End::Interrupted { cause: Some(Cause { message, hint }) } => {
                let hint = if hint.is_empty() { resumes(experiment, paths) } else { hint.clone() };
                failure.get_or_insert_with(|| Failure::failed(format!("{}: {message}", row.id), hint));
            }
            End::Finished | End::Interrupted { cause: None } => {}
        }
    }
    match failure {
        Some(failure) => Err(failure),
        None if stopped && !all => {
            Err(Failure { code: INTERRUPTED, message: "interrupted".to_owned(), hint: resumes(experiment, paths) })
        }
        None => Ok(()),
    }
}

/// The command that this was, which resumes it.
fn resumes(experiment: &Experiment, paths: &Paths) -> String {
    let command = format::command(&experiment.path.display().to_string(), &experiment.overrides);
    format!("{command}{} resumes where it stopped", paths.flags())
}

/// A worker that can't be used, as a user sees it.
pub(super) fn worker_failure(error: &WorkerError, experiment: &Experiment, paths: &Paths) -> Failure {
    let message = error.to_string();
    if let Some(what) = error.shortage() {
        return Failure::failed(message, what.hint());
    }
    match error {
        WorkerError::Missing(_) => {
            Failure::input(message, "build it (cargo build --release), or name it in PIPELINE_NEURAL")
        }
        WorkerError::Unreadable { denied, .. } => Failure::input(message, denied.hint.clone()),
        WorkerError::OtherBuild { .. } => Failure::input(message, "build both programs anew: cargo build --release"),
        WorkerError::Broken { path, .. } => {
            let shown = quoted(&path.display().to_string());
            Failure::input(message, format!("see what it says by itself: {shown} describe"))
        }
        WorkerError::Died { killed: true, .. } => Failure::failed(message, resumes(experiment, paths)),
        _ => Failure::failed(message, ""),
    }
}

/// Work that ended as a whole, as a user sees it.
pub(super) fn work_failure(error: WorkError) -> Failure {
    let hint = match &error {
        WorkError::Record(_) => "",
        WorkError::Store { error, .. } | WorkError::Disk(error) => store::advice(error),
        WorkError::NoCheckpoint(_) => "pipeline objects verify",
        WorkError::Gone(_) => "leave experiments.db and its store alone while a run goes on; run again",
    };
    match error {
        WorkError::Record(error) => error.into(),
        error => Failure::failed(error.to_string(), hint),
    }
}
