//! Trajectories: their steps, blocks and checkpoints.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteConnection;

use super::blocks::summarise;
use super::executions::{insert_evaluation, insert_event, insert_object};
use super::rows::{Mismatch, NewTrajectory, Trajectory};
use super::step_rows::{insert, nonfinite};
use super::{Record, Result, now, sql};
use identity::observations::{Evaluation, Event, Looks, Measured, Step};
use identity::{ExecutionId, ObjectId, TrajectoryId, TrajectoryRow};

impl Record {
    /// Creates a trajectory, or finds the existing one.
    pub fn start_trajectory(&mut self, new: &NewTrajectory<'_>) -> Result<Trajectory> {
        self.transaction(async |c| {
            sqlx::query(sql!("insert_trajectory"))
                .bind(new.identity.to_string())
                .bind(new.fields.to_json())
                .bind(new.threads)
                .bind(new.cpu_capability)
                .bind(now())
                .bind(new.parent.map(|(identity, _)| identity.to_string()))
                .bind(new.parent.map(|(_, step)| step as i64))
                .execute(&mut *c)
                .await?;
            load(c, new.identity).await?.ok_or(sqlx::Error::RowNotFound)
        })
    }

    /// A trajectory in its current state, if it exists.
    pub fn find_trajectory(&mut self, identity: TrajectoryId) -> Result<Option<Trajectory>> {
        self.wait(async |c| load(c, identity).await)
    }

    /// Begins another realisation of a trajectory whose numbers came out differently after checkpoint `from_step`. The
    /// earlier realisation stays; what is computed from there on belongs to the new one, which the identity now names.
    ///
    /// # Errors
    /// If there is no such trajectory, or it begins after `from_step`.
    pub fn begin_realisation(&mut self, identity: TrajectoryId, from_step: u64) -> Result<Trajectory> {
        self.transaction(async |c| {
            let query = sqlx::query(sql!("begin_realisation")).bind(identity.to_string()).bind(from_step as i64);
            if query.bind(now()).execute(&mut *c).await?.rows_affected() == 0 {
                return Err(sqlx::Error::RowNotFound);
            }
            load(c, identity).await?.ok_or(sqlx::Error::RowNotFound)
        })
    }

    /// Begins to compute a trajectory, under its claim. If none of it is computed yet, its threads and CPU capability
    /// are fixed to those of `new`.
    pub fn begin_trajectory(&mut self, new: &NewTrajectory<'_>) -> Result<Trajectory> {
        self.start_trajectory(new)?;
        self.transaction(async |c| {
            sqlx::query(sql!("begin_trajectory"))
                .bind(new.identity.to_string())
                .bind(new.threads)
                .bind(new.cpu_capability)
                .execute(&mut *c)
                .await?;
            load(c, new.identity).await?.ok_or(sqlx::Error::RowNotFound)
        })
    }

    /// The fields of a trajectory's identity.
    pub fn trajectory_fields(&mut self, identity: TrajectoryId) -> Result<Option<String>> {
        self.wait(async |c| {
            sqlx::query_scalar(sql!("trajectory_fields")).bind(identity.to_string()).fetch_optional(c).await
        })
    }

    /// The fields and numbers of steps of trajectories whose schedule depends on their length, newest first.
    pub fn other_lengths(&mut self) -> Result<Vec<(String, i64)>> {
        self.wait(async |c| sqlx::query_as(sql!("other_lengths")).fetch_all(c).await)
    }

    /// The first of the steps 0..steps that is a multiple of `every` and has no probes.
    pub fn missing_probes(&mut self, trajectory: TrajectoryRow, every: u64, steps: u64) -> Result<Option<u64>> {
        if every == 0 {
            return Ok(None);
        }
        self.wait(async |c| {
            let query = sqlx::query_scalar(sql!("missing_probes"));
            let step: Option<i64> = query.bind(trajectory.0).bind(every as i64).bind(steps as i64).fetch_one(c).await?;
            Ok(step.map(|step| step as u64))
        })
    }

    /// The step after the first `in_a_row` consecutive steps with losses that are not finite, if there are that many.
    pub fn ended_early(&mut self, trajectory: TrajectoryRow, in_a_row: u64) -> Result<Option<u64>> {
        self.wait(async |c| {
            let query = sqlx::query_scalar(sql!("ended_early")).bind(trajectory.0).bind(in_a_row as i64);
            let step: Option<i64> = query.fetch_one(c).await?;
            Ok(step.map(|step| step as u64))
        })
    }

    /// The validation losses measured during training, including those of the parents before a fork.
    pub fn looks(&mut self, trajectory: TrajectoryRow) -> Result<Looks> {
        self.wait(async |c| {
            let rows: Vec<(i64, Option<f64>)> = sqlx::query_as(sql!("looks")).bind(trajectory.0).fetch_all(c).await?;
            Ok(rows.into_iter().map(|(step, loss)| (step as u64, loss.unwrap_or(f64::NAN))).collect())
        })
    }

    /// Appends steps, in one transaction with their blocks. `recorded` is the number of steps that the trajectory has:
    /// a step below it is compared instead of inserted, and the first that differs in its loss or gradient norm is
    /// returned. Probes that were not measured before are filled in.
    pub fn append_steps(
        &mut self,
        trajectory: TrajectoryRow,
        recorded: u64,
        steps: &[Step],
    ) -> Result<Option<Mismatch>> {
        let again = steps.partition_point(|step| step.step < recorded);
        self.transaction(async |c| {
            let mut mismatch = None;
            for step in &steps[..again] {
                let differs = compare(c, trajectory, step).await?;
                mismatch = mismatch.or(differs);
            }
            insert(c, trajectory, &steps[again..]).await?;
            summarise(c, trajectory, &steps[again..]).await?;
            Ok(mismatch)
        })
    }

    /// Records a checkpoint whose objects are durable.
    pub fn add_checkpoint(
        &mut self,
        trajectory: TrajectoryRow,
        execution: ExecutionId,
        step: u64,
        weights: (ObjectId, u64),
        state: (ObjectId, u64),
    ) -> Result<()> {
        self.durable(async |c| {
            for (object, bytes) in [weights, state] {
                insert_object(c, &object.to_string(), bytes).await?;
            }
            sqlx::query(sql!("insert_checkpoint"))
                .bind(trajectory.0)
                .bind(step as i64)
                .bind(weights.0.to_string())
                .bind(state.0.to_string())
                .bind(execution.0)
                .execute(c)
                .await
                .map(|_| ())
        })
    }

    /// Prunes states and checkpoints that are no longer needed; their objects stay until they are removed.
    pub fn thin_checkpoints(&mut self, trajectory: TrajectoryRow, states: &[u64], whole: &[u64]) -> Result<()> {
        self.transaction(async |c| {
            for step in states {
                sqlx::query(sql!("drop_state")).bind(trajectory.0).bind(*step as i64).execute(&mut *c).await?;
            }
            for step in whole {
                sqlx::query(sql!("drop_checkpoint")).bind(trajectory.0).bind(*step as i64).execute(&mut *c).await?;
            }
            Ok(())
        })
    }

    /// Records an event that happened during training.
    pub fn trajectory_event(&mut self, trajectory: TrajectoryRow, event: &Event) -> Result<()> {
        self.transaction(async |c| {
            let seen: bool = sqlx::query_scalar(sql!("event_is_known"))
                .bind(trajectory.0)
                .bind(event.step.map(|step| step as i64))
                .bind(&event.kind)
                .bind(&event.message)
                .fetch_one(&mut *c)
                .await?;
            // A resumed training run reports the same events again.
            if seen { Ok(()) } else { insert_event(c, None, Some(trajectory), event).await }
        })
    }

    /// Records an evaluation made during training.
    pub fn trajectory_evaluation(
        &mut self,
        trajectory: TrajectoryRow,
        execution: ExecutionId,
        evaluation: &Evaluation,
    ) -> Result<()> {
        self.transaction(async |c| insert_evaluation(c, execution, evaluation, Some(trajectory)).await)
    }

    /// Those of the given objects to which nothing in the record refers.
    pub fn unreferenced(&mut self, objects: &[ObjectId]) -> Result<Vec<ObjectId>> {
        self.wait(async |c| {
            let mut found = Vec::new();
            for object in objects {
                let used: bool =
                    sqlx::query_scalar(sql!("object_is_used")).bind(object.to_string()).fetch_one(&mut *c).await?;
                if !used {
                    found.push(*object);
                }
            }
            Ok(found)
        })
    }

    /// Deletes the rows of removed objects.
    pub fn forget_objects(&mut self, objects: &[ObjectId]) -> Result<()> {
        self.transaction(async |c| {
            for object in objects {
                sqlx::query(sql!("forget_object")).bind(object.to_string()).execute(&mut *c).await?;
            }
            Ok(())
        })
    }
}

async fn load(c: &mut SqliteConnection, identity: TrajectoryId) -> sqlx::Result<Option<Trajectory>> {
    let row: Option<(i64, i64, String, i64)> =
        sqlx::query_as(sql!("trajectory")).bind(identity.to_string()).fetch_optional(&mut *c).await?;
    let Some((row, threads, cpu_capability, steps)) = row else { return Ok(None) };
    let rows: Vec<(i64, String, Option<String>)> =
        sqlx::query_as(sql!("checkpoints")).bind(row).fetch_all(&mut *c).await?;
    let parse = |text: String| text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)));
    let mut checkpoints = BTreeMap::new();
    for (step, weights, state) in rows {
        checkpoints.insert(step as u64, (parse(weights)?, state.map(parse).transpose()?));
    }
    Ok(Some(Trajectory {
        row: TrajectoryRow(row),
        threads: threads as u32,
        cpu_capability,
        steps: steps as u64,
        checkpoints,
    }))
}

/// Compares a recomputed step with the recorded one, and fills in probes that were not measured then.
async fn compare(c: &mut SqliteConnection, trajectory: TrajectoryRow, step: &Step) -> sqlx::Result<Option<Mismatch>> {
    let row: Option<(Option<f64>, Option<String>, Option<f64>)> =
        sqlx::query_as(sql!("step_numbers")).bind(trajectory.0).bind(step.step as i64).fetch_optional(&mut *c).await?;
    let Some((loss, kind, grad_norm)) = row else { return Ok(None) };
    let kind = kind.unwrap_or_else(|| "not measured".to_owned());
    let bits = |x: Option<f64>| x.map(f64::to_bits);
    let same = bits(loss) == bits(step.loss.finite())
        && kind == step.loss.kind().as_str()
        && bits(grad_norm) == bits(step.grad_norm.finite());
    // If a step came out differently, its probes say nothing about the recorded one.
    if let Some(entropy) = step.entropy.filter(|_| same) {
        let measured = |x: Option<Measured>| x.and_then(Measured::finite);
        sqlx::query(sql!("fill_probes"))
            .bind(trajectory.0)
            .bind(step.step as i64)
            .bind(measured(step.update_ratio))
            .bind(measured(step.logit_max))
            .bind(entropy.finite())
            .bind(nonfinite(step))
            .bind(measured(step.overshoot))
            .bind(measured(step.sharpness))
            .execute(&mut *c)
            .await?;
    }
    let words = |loss: Option<f64>, kind: &str, norm: Option<f64>| {
        let loss = loss.map_or(kind.to_owned(), |loss| loss.to_string());
        format!("loss {loss}, gradient norm {}", norm.map_or("not finite".to_owned(), |norm| norm.to_string()))
    };
    Ok((!same).then(|| Mismatch {
        step: step.step,
        before: words(loss, &kind, grad_norm),
        now: words(step.loss.finite(), step.loss.kind().as_str(), step.grad_norm.finite()),
    }))
}
