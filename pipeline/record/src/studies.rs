//! Studies and runs, as `pipeline run` writes them.

use std::collections::HashMap;

use identity::{Cell, NoWord, ObjectId, RunId, Status, TrajectoryRow};
use serde_json::Value;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};

use super::rows::{Held, NewExperiment, NewRun, Provenance, RunEnd, RunRow};
use super::{Record, Result, now, sql};

/// Binds a JSON value in its own type: booleans as 0 and 1, lists and tables as JSON text.
fn bind_value<'q>(
    query: Query<'q, sqlx::Sqlite, SqliteArguments>,
    value: &Value,
) -> Query<'q, sqlx::Sqlite, SqliteArguments> {
    match Cell::from(value.clone()) {
        Cell::Null => query.bind(None::<String>),
        Cell::Integer(value) => query.bind(value),
        Cell::Real(value) => query.bind(value),
        Cell::Text(value) => query.bind(value),
        Cell::Blob(value) => query.bind(value),
    }
}

impl Record {
    /// The recorded path of the store.
    pub fn store_path(&mut self) -> Result<Option<String>> {
        self.wait(async |c| sqlx::query_scalar(sql!("store_path")).fetch_optional(c).await)
    }

    /// Records the store's path.
    pub fn set_store_path(&mut self, path: &str) -> Result<()> {
        self.transaction(async |c| sqlx::query(sql!("set_store_path")).bind(path).execute(c).await.map(|_| ()))
    }

    /// Marks the runs and executions of dead processes as interrupted; `why` is the error of the executions.
    pub fn sweep(&mut self, is_alive: impl Fn(&str) -> bool, why: &str) -> Result<()> {
        let processes: Vec<String> =
            self.wait(async |c| sqlx::query_scalar(sql!("running_processes")).fetch_all(c).await)?;
        let dead: Vec<String> = processes.into_iter().filter(|process| !is_alive(process)).collect();
        if dead.is_empty() {
            return Ok(());
        }
        self.transaction(async |c| {
            for process in &dead {
                sqlx::query(sql!("interrupt_runs_of")).bind(process).execute(&mut *c).await?;
                sqlx::query(sql!("interrupt_executions_of"))
                    .bind(process)
                    .bind(now())
                    .bind(why)
                    .execute(&mut *c)
                    .await?;
            }
            Ok(())
        })
    }

    /// The newest run of each point, ignoring failed runs; `None` if there is none.
    pub fn answers(&mut self, keys: &[String]) -> Result<Vec<Option<RunRow>>> {
        let newest: HashMap<String, RunRow> = self.wait(async |c| {
            let keys = Value::from(keys).to_string();
            let found: Vec<(String, i64, String, Option<String>)> =
                sqlx::query_as(sql!("answers")).bind(keys).fetch_all(c).await?;
            let rows = found.into_iter();
            rows.map(|(key, id, status, process)| Ok((key, found_run(id, &status, process)?))).collect()
        })?;
        Ok(keys.iter().map(|key| newest.get(key).cloned()).collect())
    }

    /// The executions and objects of the given finished runs; `None` unless each run has executions in `stages` stages.
    pub fn held(&mut self, runs: &[RunId], stages: usize) -> Result<Option<Held>> {
        let ids = Value::from(runs.iter().map(|run| run.0).collect::<Vec<_>>()).to_string();
        self.wait(async |c| {
            let query = sqlx::query_as(sql!("held_runs")).bind(&ids).bind(stages as i64);
            let (whole, executions): (i64, i64) = query.fetch_one(&mut *c).await?;
            if whole != runs.len() as i64 {
                return Ok(None);
            }
            let digests: Vec<String> = sqlx::query_scalar(sql!("held_objects")).bind(&ids).fetch_all(c).await?;
            let objects: Option<Vec<ObjectId>> = digests.iter().map(|digest| digest.parse().ok()).collect();
            Ok(objects.map(|objects| Held { executions: executions.unsigned_abs() as usize, objects }))
        })
    }

    /// Whether the newest study of this experiment consists of exactly these runs.
    pub fn study_stands(&mut self, experiment: &NewExperiment<'_>, runs: &[RunId]) -> Result<bool> {
        self.wait(async |c| holds(c, experiment, runs).await)
    }

    /// Registers a study: finds or creates a run for each point, in one transaction, so that two processes that start
    /// the same experiment share its runs.
    pub fn register(
        &mut self,
        experiment: &NewExperiment<'_>,
        points: &[NewRun],
        origin: &Provenance,
    ) -> Result<Vec<RunRow>> {
        self.durable(async |c| {
            sqlx::query(sql!("insert_experiment"))
                .bind(experiment.name)
                .bind(experiment.path)
                .bind(experiment.toml)
                .bind(experiment.overrides)
                .bind(now())
                .execute(&mut *c)
                .await?;
            let experiment_id: i64 = sqlx::query_scalar(sql!("experiment_id"))
                .bind(experiment.name)
                .bind(experiment.toml)
                .bind(experiment.overrides)
                .fetch_one(&mut *c)
                .await?;
            let mut rows = Vec::with_capacity(points.len());
            for point in points {
                rows.push(match answer(c, &point.run_key).await? {
                    Some(row) => row,
                    None => insert_run(c, experiment_id, point, origin).await?,
                });
            }
            let runs: Vec<RunId> = rows.iter().map(|row| row.id).collect();
            if !holds(c, experiment, &runs).await? {
                let study: i64 = sqlx::query_scalar(sql!("insert_study"))
                    .bind(experiment_id)
                    .bind(experiment.name)
                    .bind(points.len() as i64)
                    .bind(now())
                    .fetch_one(&mut *c)
                    .await?;
                for (position, (point, row)) in points.iter().zip(&rows).enumerate() {
                    sqlx::query(sql!("insert_study_run"))
                        .bind(study)
                        .bind(position as i64)
                        .bind(row.id.0)
                        .bind(&point.swept)
                        .execute(&mut *c)
                        .await?;
                }
            }
            Ok(rows)
        })
    }

    /// Takes over unfinished runs: each becomes `running` in this process, unless another process has taken it since
    /// `rows` was read. Returns which runs were taken.
    pub fn take_runs(&mut self, rows: &[&RunRow], process: &str) -> Result<Vec<bool>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        self.transaction(async |c| {
            let mut taken = Vec::with_capacity(rows.len());
            for row in rows {
                let query = sqlx::query(sql!("take_run")).bind(row.id.0).bind(process).bind(&row.process);
                taken.push(query.execute(&mut *c).await?.rows_affected() > 0);
            }
            Ok(taken)
        })
    }

    /// Ties a run to the trajectory that it shows, up to step `length`.
    pub fn tie_run(&mut self, run: RunId, trajectory: TrajectoryRow, length: u64) -> Result<()> {
        self.transaction(async |c| {
            let query = sqlx::query(sql!("tie_run")).bind(run.0).bind(trajectory.0).bind(length as i64);
            query.execute(c).await.map(|_| ())
        })
    }

    /// Ends the work on the runs that `process` owns; other runs are left unchanged.
    pub fn end_runs(&mut self, ends: &[RunEnd], process: &str) -> Result<()> {
        if ends.is_empty() {
            return Ok(());
        }
        self.durable(async |c| {
            for end in ends {
                sqlx::query(sql!("end_run"))
                    .bind(end.run.0)
                    .bind(end.status.as_str())
                    .bind(end.steps.map(|steps| steps as i64))
                    .bind(end.seconds)
                    .bind(&end.error)
                    .bind(end.status.is_over().then(now))
                    .bind(process)
                    .execute(&mut *c)
                    .await?;
            }
            Ok(())
        })
    }

    /// The process that works on a run, or did until it died.
    pub fn process_of(&mut self, run: RunId) -> Result<Option<String>> {
        self.wait(async |c| Ok(sqlx::query_scalar(sql!("run_process")).bind(run.0).fetch_optional(c).await?.flatten()))
    }
}

/// Whether the newest study of an experiment consists of exactly these runs.
async fn holds(c: &mut SqliteConnection, experiment: &NewExperiment<'_>, runs: &[RunId]) -> sqlx::Result<bool> {
    let held: Option<String> = sqlx::query_scalar(sql!("study_of"))
        .bind(experiment.name)
        .bind(experiment.toml)
        .bind(experiment.overrides)
        .fetch_optional(c)
        .await?
        .flatten();
    Ok(held == Some(runs.iter().map(|run| run.0.to_string()).collect::<Vec<_>>().join(",")))
}

async fn answer(c: &mut SqliteConnection, run_key: &str) -> sqlx::Result<Option<RunRow>> {
    let row: Option<(i64, String, Option<String>)> =
        sqlx::query_as(sql!("answer")).bind(run_key).fetch_optional(c).await?;
    row.map(|(id, status, process)| found_run(id, &status, process)).transpose()
}

/// A run that already existed.
fn found_run(id: i64, status: &str, process: Option<String>) -> sqlx::Result<RunRow> {
    let status = status.parse().map_err(|error: NoWord| sqlx::Error::Decode(Box::new(error)))?;
    Ok(RunRow { id: RunId(id), status, process, new: false })
}

async fn insert_run(
    c: &mut SqliteConnection,
    experiment: i64,
    point: &NewRun,
    origin: &Provenance,
) -> sqlx::Result<RunRow> {
    let resolved: serde_json::Map<String, Value> = point.params.iter().cloned().collect();
    let id: i64 = sqlx::query_scalar(sql!("insert_run"))
        .bind(system::uid())
        .bind(&point.run_key)
        .bind(experiment)
        .bind(Value::from(resolved).to_string())
        .bind(point.seed)
        .bind(&origin.process)
        .bind(now())
        .bind(&origin.host)
        .bind(&origin.program_version)
        .bind(&origin.git_commit)
        .bind(origin.git_dirty)
        .bind(&origin.directory)
        .fetch_one(&mut *c)
        .await?;
    for (name, value) in &point.params {
        let query = sqlx::query(sql!("insert_param")).bind(id).bind(name);
        bind_value(query, value).execute(&mut *c).await?;
    }
    Ok(RunRow { id: RunId(id), status: Status::Running, process: Some(origin.process.clone()), new: true })
}
