//! Results are accepted.

use super::*;

impl Work<'_> {
    /// Accepts what an execution made, in one transaction. The outputs of a training are the kept checkpoints of its
    /// trajectory.
    pub(super) fn accept(
        &mut self,
        key: StageKey,
        execution: ExecutionId,
        mut made: Made,
        trajectory: Option<&Trajectory>,
        evaluations: &[Evaluation],
    ) -> Result<Accepted, WorkError> {
        let training = self.jobs[&key].node.training.as_ref();
        let outputs: Vec<(String, ObjectId, u64)> = match (trajectory, training) {
            (Some(trajectory), Some(training)) => {
                let reached = made.reached.unwrap_or(0);
                let looks = if training.looks() { self.record.looks(trajectory.row)? } else { Looks::new() };
                let kept = training.kept_until(reached, &looks);
                if let Some(best) = training.best_until(reached, &looks) {
                    made.report["best"] = best.into();
                }
                let weights = |step: u64| {
                    let (id, _) = trajectory.checkpoints.get(&step).ok_or(WorkError::NoCheckpoint(step))?;
                    let bytes = self.store.path(*id).metadata().map_or(0, |meta| meta.len());
                    Ok((format!("weights@{step}"), *id, bytes))
                };
                kept.into_iter().map(weights).collect::<Result<_, WorkError>>()?
            }
            _ => made.outputs.iter().map(|(name, put)| (name.clone(), put.id, put.bytes)).collect(),
        };
        let accepted = Accepted {
            execution,
            outputs: outputs.iter().map(|(name, id, _)| (name.clone(), *id)).collect(),
            report: made.report.clone(),
            reached: made.reached,
        };
        // `made` holds the store's content until its references are recorded.
        self.record.accept(&Finished {
            execution,
            key,
            outputs,
            report: &made.report,
            evaluations,
            samples: &made.samples,
            baselines: &made.baselines,
            events: &made.events,
            seconds: made.seconds,
            peak_memory: made.peak_memory,
            to_step: made.reached,
        })?;
        Ok(accepted)
    }
}

/// What is to be said of a training that ended before its length: it belongs to this execution and not to the
/// trajectory, since another run may go on along it.
pub(super) fn early_end(training: &Training, reached: u64, looks: &Looks) -> Option<Event> {
    if let Some(rule) = training.early_stopping.filter(|rule| rule.end(looks) == Some(reached)) {
        let many = if rule.patience == 0 {
            "no new best".to_owned()
        } else {
            format!("no new best for {} looks", rule.patience + 1)
        };
        let message = format!("the valid loss has {many}: training ends after {reached} steps");
        return Some(Event { step: Some(reached.saturating_sub(1)), kind: "stopped_early".to_owned(), message });
    }
    let steps = training.stop_after.filter(|_| reached < training.length)?;
    let plural = if steps == 1 { "" } else { "s" };
    let message = format!("the loss was not finite for {steps} step{plural} in a row: training ends");
    Some(Event { step: Some(reached.saturating_sub(1)), kind: "stopped_nonfinite".to_owned(), message })
}
