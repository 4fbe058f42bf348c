//! Experiments that ask for nothing new.

use super::how::RunOptions;
use crate::failure::Failure;
use engine::store::Store;
use engine::work::{End, WorkSummary};
use experiment::Experiment;
use identity::{RunId, Status};
use record::Record;
use record::rows::{NewExperiment, RunRow};

/// The runs of the points, where every point is answered by a study that stands: then nothing is written.
pub(super) fn answered(
    record: &mut Record,
    new: &NewExperiment<'_>,
    keys: &[String],
) -> Result<Option<Vec<RunRow>>, Failure> {
    let answers: Option<Vec<RunRow>> = record.answers(keys)?.into_iter().collect();
    let Some(rows) = answers.filter(|rows| rows.iter().all(|row| row.status == Status::Finished)) else {
        return Ok(None);
    };
    let ids: Vec<RunId> = rows.iter().map(|row| row.id).collect();
    Ok(record.study_stands(new, &ids)?.then_some(rows))
}

/// What came of an experiment whose runs are all finished and whose objects all stand as they did; `None` where the work
/// must look closer. It says the same, for a study of a thousand points in a tenth of the time.
pub(super) fn nothing_to_do(
    experiment: &Experiment,
    how: &RunOptions,
    record: &mut Record,
    store: &Store,
    rows: &[RunRow],
) -> Result<Option<WorkSummary>, Failure> {
    let finished = !rows.is_empty() && rows.iter().all(|row| row.status == Status::Finished && !row.new);
    if !finished || how.dry_run || how.explain || how.until.is_some() {
        return Ok(None);
    }
    let ids: Vec<RunId> = rows.iter().map(|row| row.id).collect();
    // All points of an experiment have the same stages.
    let stages = experiment.points.first().map_or(0, |point| point.stages.tables().count());
    let held = record.held(&ids, stages)?.filter(|held| store.are_unchanged(&held.objects));
    Ok(held.map(|held| WorkSummary {
        ends: vec![End::Finished; rows.len()],
        partial: false,
        executed: 0,
        cached: held.executions,
        pending: Vec::new(),
        later: Vec::new(),
    }))
}
