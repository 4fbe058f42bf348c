//! Executions: attempts to compute a stage key, and their accepted results.

use serde_json::Value;
use sqlx::sqlite::SqliteConnection;

use super::rows::{Accepted, Finished, NewExecution, Served};
use super::{Record, Result, now, sql};
use identity::observations::{Evaluation, Event};
use identity::{ExecutionId, How, Loss, OutputName, RunId, StageKey, Status, TrajectoryRow};

impl Record {
    /// The accepted result of a key.
    pub fn result(&mut self, key: StageKey) -> Result<Option<Accepted>> {
        self.wait(async |c| {
            let row: Option<(i64, Option<String>, Option<i64>)> =
                sqlx::query_as(sql!("result")).bind(key.to_string()).fetch_optional(&mut *c).await?;
            let Some((execution, report, reached)) = row else { return Ok(None) };
            let outputs: Vec<(String, String)> =
                sqlx::query_as(sql!("outputs")).bind(execution).fetch_all(&mut *c).await?;
            let output = |(name, digest): (String, String)| {
                let name = OutputName::new(name).map_err(|e| sqlx::Error::Decode(Box::new(e)))?;
                Ok((name, digest.parse().map_err(|e| sqlx::Error::Decode(Box::new(e)))?))
            };
            let outputs = outputs.into_iter().map(output).collect::<sqlx::Result<_>>()?;
            Ok(Some(Accepted {
                execution: ExecutionId(execution),
                outputs,
                report: report.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null),
                reached: reached.map(|step| step as u64),
            }))
        })
    }

    /// Records that an attempt begins.
    pub fn begin(&mut self, new: &NewExecution<'_>) -> Result<ExecutionId> {
        self.transaction(async |c| {
            let id: i64 = sqlx::query_scalar(sql!("insert_execution"))
                .bind(new.uid)
                .bind(new.stage)
                .bind(new.key.to_string())
                .bind(new.fields.to_json())
                .bind(new.process)
                .bind(now())
                .bind(new.threads)
                .bind(new.device)
                .bind(new.cpu_capability)
                .bind(new.libtorch)
                .bind(new.trajectory.map(|row| row.0))
                .bind(new.from_step.map(|step| step as i64))
                .fetch_one(&mut *c)
                .await?;
            for (name, digest) in &new.inputs {
                sqlx::query(sql!("insert_input")).bind(id).bind(name).bind(digest).execute(&mut *c).await?;
            }
            let execution = ExecutionId(id);
            for (i, run) in new.runs.iter().enumerate() {
                let how = if i == 0 { How::Executed } else { How::Cached };
                serve(c, *run, new.stage, &Served { item: new.item.to_owned(), step: new.step, execution, how })
                    .await?;
                if let Some(trajectory) = new.trajectory {
                    sqlx::query(sql!("train_on")).bind(run.0).bind(trajectory.0).execute(&mut *c).await?;
                }
            }
            Ok(execution)
        })
    }

    /// Records where the worker's log of an attempt begins.
    pub fn set_log(&mut self, execution: ExecutionId, log: &str, from: u64) -> Result<()> {
        self.transaction(async |c| {
            sqlx::query(sql!("set_log")).bind(execution.0).bind(log).bind(from as i64).execute(c).await.map(|_| ())
        })
    }

    /// Accepts an attempt with everything that it produced, in one transaction that is synced to the disk.
    pub fn accept(&mut self, done: &Finished<'_>) -> Result<()> {
        self.durable(async |c| {
            for (name, object, bytes) in &done.outputs {
                insert_object(c, &object.to_string(), *bytes).await?;
                sqlx::query(sql!("insert_output"))
                    .bind(done.execution.0)
                    .bind(name.as_str())
                    .bind(object.to_string())
                    .execute(&mut *c)
                    .await?;
            }
            for evaluation in done.evaluations {
                insert_evaluation(c, done.execution, evaluation, None).await?;
            }
            for (position, sample) in done.samples.iter().enumerate() {
                sqlx::query(sql!("insert_sample"))
                    .bind(done.execution.0)
                    .bind(position as i64)
                    .bind(sample.decode.to_string())
                    .bind(&sample.prompt)
                    .bind(&sample.text)
                    .bind(sample.tokens as i64)
                    .bind(sample.distinct_1)
                    .bind(sample.distinct_2)
                    .bind(sample.seq_rep_4)
                    .bind(sample.loop_period.map(|n| n as i64))
                    .bind(sample.loop_onset.map(|n| n as i64))
                    .bind(&sample.why_empty)
                    .execute(&mut *c)
                    .await?;
            }
            for baseline in done.baselines {
                sqlx::query(sql!("insert_baseline"))
                    .bind(done.execution.0)
                    .bind(&baseline.split)
                    .bind(&baseline.model)
                    .bind(i64::from(baseline.order))
                    .bind(baseline.loss)
                    .bind(baseline.loss.exp())
                    .bind(baseline.tokens as i64)
                    .execute(&mut *c)
                    .await?;
            }
            for event in done.events {
                insert_event(c, Some(done.execution), None, event).await?;
            }
            sqlx::query(sql!("finish_execution"))
                .bind(done.execution.0)
                .bind(now())
                .bind(done.seconds)
                .bind(done.peak_memory.map(|bytes| bytes as i64))
                .bind(done.report.to_string())
                .bind(done.to_step.map(|step| step as i64))
                .execute(&mut *c)
                .await?;
            sqlx::query(sql!("accept_result"))
                .bind(done.key.to_string())
                .bind(done.execution.0)
                .execute(&mut *c)
                .await?;
            Ok(())
        })
    }

    /// Ends an attempt that produced nothing to accept.
    pub fn give_up(
        &mut self,
        execution: ExecutionId,
        status: Status,
        error: &str,
        exit: Option<&str>,
        seconds: f64,
    ) -> Result<()> {
        self.transaction(async |c| {
            sqlx::query(sql!("give_up"))
                .bind(execution.0)
                .bind(status.as_str())
                .bind(now())
                .bind(error)
                .bind(exit)
                .bind(seconds)
                .execute(c)
                .await
                .map(|_| ())
        })
    }

    /// Records which executions served a stage of a run.
    pub fn serve(&mut self, run: RunId, stage: &str, served: &[Served]) -> Result<()> {
        self.transaction(async |c| {
            for served in served {
                serve(c, run, stage, served).await?;
                sqlx::query(sql!("have_trained")).bind(run.0).bind(served.execution.0).execute(&mut *c).await?;
            }
            Ok(())
        })
    }

    /// Whether any execution served a stage of a run.
    pub fn is_served(&mut self, run: RunId, stage: &str) -> Result<bool> {
        self.wait(async |c| sqlx::query_scalar(sql!("is_served")).bind(run.0).bind(stage).fetch_one(c).await)
    }

    /// The process that an execution runs in, by the uid that names its scratch folder; `None` if there is no such
    /// execution, `Some(None)` if it has ended.
    pub fn scratch_process(&mut self, uid: &str) -> Result<Option<Option<String>>> {
        self.wait(async |c| sqlx::query_scalar(sql!("scratch_process")).bind(uid).fetch_optional(c).await)
    }

    /// The earlier executions of a stage and their fields, newest first, for `--explain` to compare with.
    pub fn earlier_fields(&mut self, stage: &str) -> Result<Vec<(i64, String)>> {
        self.wait(async |c| sqlx::query_as(sql!("earlier_fields")).bind(stage).fetch_all(c).await)
    }

    /// The digests of an execution's outputs.
    pub fn made_by(&mut self, execution: ExecutionId) -> Result<Vec<String>> {
        let outputs: Vec<(String, String)> =
            self.wait(async |c| sqlx::query_as(sql!("outputs")).bind(execution.0).fetch_all(c).await)?;
        Ok(outputs.into_iter().map(|(_, digest)| digest).collect())
    }
}

async fn serve(c: &mut SqliteConnection, run: RunId, stage: &str, served: &Served) -> sqlx::Result<()> {
    sqlx::query(sql!("serve"))
        .bind(run.0)
        .bind(stage)
        .bind(&served.item)
        .bind(served.step.map(|step| step as i64))
        .bind(served.execution.0)
        .bind(served.how.as_str())
        .execute(c)
        .await
        .map(|_| ())
}

pub(super) async fn insert_object(c: &mut SqliteConnection, digest: &str, bytes: u64) -> sqlx::Result<()> {
    sqlx::query(sql!("insert_object")).bind(digest).bind(bytes as i64).bind(now()).execute(c).await.map(|_| ())
}

pub(super) async fn insert_event(
    c: &mut SqliteConnection,
    execution: Option<ExecutionId>,
    trajectory: Option<TrajectoryRow>,
    event: &Event,
) -> sqlx::Result<()> {
    sqlx::query(sql!("insert_event"))
        .bind(execution.map(|execution| execution.0))
        .bind(trajectory.map(|row| row.0))
        .bind(event.step.map(|step| step as i64))
        .bind(&event.kind)
        .bind(&event.message)
        .bind(now())
        .execute(c)
        .await
        .map(|_| ())
}

/// Inserts an evaluation; `trajectory` is given if it was made during training.
pub(super) async fn insert_evaluation(
    c: &mut SqliteConnection,
    execution: ExecutionId,
    evaluation: &Evaluation,
    trajectory: Option<TrajectoryRow>,
) -> sqlx::Result<()> {
    let (loss, kind) = evaluation.loss.columns();
    sqlx::query(sql!("insert_evaluation"))
        .bind(execution.0)
        .bind(if trajectory.is_some() { "train" } else { "evaluate" })
        .bind(trajectory.map(|row| row.0))
        .bind(evaluation.step.map(|step| step as i64))
        .bind(&evaluation.split)
        .bind(loss)
        .bind(kind.as_str())
        .bind(Loss(evaluation.loss.0.exp()).finite())
        .bind(evaluation.tokens as i64)
        .bind(evaluation.seconds)
        .execute(c)
        .await
        .map(|_| ())
}
