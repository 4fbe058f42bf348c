//! Runs from other programs' logs.
//!
//! An import is one transaction: a log that is read again leaves the rows that reading it once leaves, and an import that is
//! killed leaves nothing. Rows are written to a trajectory of their own first. Where the run is recorded already, what
//! differs is then moved into its trajectory, so that readers of the cursor are told of new steps and of nothing else.

use std::collections::HashMap;

use identity::logged::{LoggedNumber, LoggedRows, LoggedStep};
use identity::{BLOCK, Cell, Fields, Loss, RunId, TrajectoryRow};
use serde_json::Value;
use sqlx::sqlite::SqliteConnection;

use super::rows::Provenance;
use super::{Record, Result, blocks, now, sql};

/// A run to be imported.
#[derive(Debug, Clone)]
pub struct NewImport<'a> {
    /// What tells it from every other imported run: the paths of its files, and its name among the runs that they hold.
    pub key: &'a str,
    /// What the run is called.
    pub name: &'a str,
    /// The study that it belongs to.
    pub study: &'a str,
    /// The settings that its log states, dotted.
    pub params: &'a [(String, Value)],
    /// The unit of its losses, if known.
    pub unit: Option<&'a str>,
    /// The size of the vocabulary, if known.
    pub vocabulary: Option<i64>,
    /// Its files.
    pub sources: &'a [NewSource],
    /// Where and by what it is imported.
    pub origin: &'a Provenance,
}

/// A file of an imported run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSource {
    /// Its absolute path.
    pub path: String,
    /// The SHA-256 of the bytes that are read.
    pub digest: String,
    /// How many these are.
    pub bytes: i64,
    /// Its format, in a word.
    pub format: String,
    /// A JSON object: the record's name of each series to the log's own.
    pub columns: String,
}

/// An imported run as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedRun {
    /// The run.
    pub run: RunId,
    /// Its files, as they were when they were read last.
    pub sources: Vec<NewSource>,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportEnd {
    /// The run.
    pub run: RunId,
    /// Whether the run is new.
    pub new: bool,
    /// Steps that were added or changed.
    pub steps: i64,
}

impl Record {
    /// The newest imported run of a key.
    pub fn imported(&mut self, key: &str) -> Result<Option<ImportedRun>> {
        self.wait(async |c| {
            let found: Option<i64> = sqlx::query_scalar(sql!("imported_run")).bind(key).fetch_optional(&mut *c).await?;
            let Some(run) = found else { return Ok(None) };
            let rows: Vec<(String, String, i64, String, String)> =
                sqlx::query_as(sql!("imported_sources")).bind(run).fetch_all(c).await?;
            let source = |(path, digest, bytes, format, columns)| NewSource { path, digest, bytes, format, columns };
            Ok(Some(ImportedRun { run: RunId(run), sources: rows.into_iter().map(source).collect() }))
        })
    }

    /// Begins to import a run. Nothing of it is recorded before [`Import::finish`].
    pub fn import<'r>(&'r mut self, new: &NewImport<'_>) -> Result<Import<'r>> {
        self.wait(async |c| sqlx::query("BEGIN IMMEDIATE").execute(c).await.map(|_| ()))?;
        let mut import = Import {
            record: self,
            trajectory: TrajectoryRow(0),
            execution: 0,
            sources: Vec::new(),
            series: HashMap::new(),
            nats: new.unit == Some("nats/token"),
            open: true,
        };
        import.begin(new)?;
        Ok(import)
    }
}

/// An import on its way; dropped before [`Self::finish`], it leaves nothing.
#[derive(Debug)]
pub struct Import<'r> {
    record: &'r mut Record,
    trajectory: TrajectoryRow,
    execution: i64,
    /// The rows of the files.
    sources: Vec<i64>,
    /// The rows of the series, by their names.
    series: HashMap<String, i64>,
    /// Whether its losses are in nats per token, and so have a perplexity.
    nats: bool,
    open: bool,
}

impl Import<'_> {
    fn begin(&mut self, new: &NewImport<'_>) -> Result<()> {
        let uid = system::uid();
        // What another program trained is known by nothing but this import.
        let mut fields = Fields::default();
        fields.put("import", uid.as_str());
        let (key, fields) = (fields.digest().to_string(), fields.to_json());
        let (trajectory, execution, sources) = self.record.wait(async |c| {
            let query = sqlx::query_scalar(sql!("import_trajectory")).bind(&key).bind(&fields);
            let trajectory: i64 = query.bind(now()).fetch_one(&mut *c).await?;
            let execution: i64 = sqlx::query_scalar(sql!("import_execution"))
                .bind(&uid)
                .bind(&key)
                .bind(&fields)
                .bind(now())
                .bind(trajectory)
                .fetch_one(&mut *c)
                .await?;
            let mut sources = Vec::with_capacity(new.sources.len());
            for source in new.sources {
                let query = sqlx::query_scalar(sql!("import_source")).bind(execution).bind(&source.path);
                let query = query.bind(&source.digest).bind(source.bytes).bind(&source.format).bind(&source.columns);
                sources.push(query.fetch_one(&mut *c).await?);
            }
            Ok((trajectory, execution, sources))
        })?;
        (self.trajectory, self.execution, self.sources) = (TrajectoryRow(trajectory), execution, sources);
        Ok(())
    }

    /// Puts rows away; `names` has the names of their series, by index.
    pub fn put(&mut self, rows: &LoggedRows, names: &dyn Fn(usize) -> String) -> Result<()> {
        let (trajectory, execution, sources, nats) = (self.trajectory, self.execution, &self.sources, self.nats);
        let series = &mut self.series;
        self.record.wait(async |c| {
            for some in rows.steps.chunks(ROWS) {
                put_steps(c, trajectory, sources, some).await?;
            }
            for it in &rows.evaluations {
                let loss = Loss(it.loss.value);
                let perplexity = loss.finite().filter(|_| nats).map(f64::exp).filter(|it| it.is_finite());
                sqlx::query(sql!("import_evaluation"))
                    .bind(execution)
                    .bind(trajectory.0)
                    .bind(it.step)
                    .bind(&it.split)
                    .bind(loss.finite())
                    .bind(loss.kind().as_str())
                    .bind(sources[it.loss.origin.source])
                    .bind(it.loss.origin.place)
                    .bind(perplexity)
                    .execute(&mut *c)
                    .await?;
            }
            for it in &rows.values {
                let name = names(it.series);
                let row = match series.get(&name) {
                    Some(row) => *row,
                    None => {
                        let query = sqlx::query_scalar(sql!("import_series")).bind(trajectory.0).bind(&name);
                        let row: i64 = query.fetch_one(&mut *c).await?;
                        series.insert(name, row);
                        row
                    }
                };
                let value = Loss(it.value.value);
                sqlx::query(sql!("import_value"))
                    .bind(row)
                    .bind(it.step)
                    .bind(value.finite())
                    .bind(value.kind().as_str())
                    .bind(sources[it.value.origin.source])
                    .bind(it.value.origin.place)
                    .execute(&mut *c)
                    .await?;
            }
            Ok(())
        })
    }

    /// Takes back what a column of steps, a split or a series had from a step on.
    pub fn void(&mut self, what: &Voided, from_step: i64) -> Result<()> {
        let trajectory = self.trajectory.0;
        let (statement, name): (&'static str, Option<&str>) = match what {
            Voided::Loss => (sql!("void_loss"), None),
            Voided::LearningRate => (sql!("void_learning_rate"), None),
            Voided::GradNorm => (sql!("void_grad_norm"), None),
            Voided::Split(split) => (sql!("void_split"), Some(split)),
            Voided::Series(name) => (sql!("void_series"), Some(name)),
        };
        self.record.wait(async |c| {
            let query = sqlx::query(statement).bind(trajectory).bind(from_step);
            match name {
                Some(name) => query.bind(name).execute(c).await.map(|_| ()),
                None => query.execute(c).await.map(|_| ()),
            }
        })
    }
}

/// What a log takes back when it begins again at an earlier step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Voided {
    /// The training loss.
    Loss,
    /// The learning rate.
    LearningRate,
    /// The norm of the gradient.
    GradNorm,
    /// The losses on a split.
    Split(String),
    /// A series of the log's own.
    Series(String),
}

impl Import<'_> {
    /// Records the run, whole. `known` is the run of the same key, and whether its files have only grown since; where they
    /// were rewritten, it is the same run if all losses that were recorded still stand there.
    pub fn finish(mut self, new: &NewImport<'_>, known: Option<(RunId, bool)>) -> Result<ImportEnd> {
        let (trajectory, execution) = (self.trajectory.0, self.execution);
        let end = self.record.wait(async |c| {
            sqlx::query(sql!("import_drop_empty")).bind(trajectory).execute(&mut *c).await?;
            if let Some((run, grown)) = known {
                let row: Option<(i64, i64)> =
                    sqlx::query_as(sql!("imported_parts")).bind(run.0).fetch_optional(&mut *c).await?;
                if let Some((before, of)) = row {
                    let agrees = grown || {
                        let query = sqlx::query_scalar(sql!("import_agrees")).bind(before).bind(trajectory);
                        query.fetch_one(&mut *c).await?
                    };
                    if agrees {
                        let steps = merge(c, (trajectory, execution), (before, of)).await?;
                        describe(c, run, new).await?;
                        return Ok(ImportEnd { run, new: false, steps });
                    }
                }
            }
            blocks::sum_up(c, TrajectoryRow(trajectory)).await?;
            let run = insert(c, new, trajectory, execution).await?;
            let steps: i64 = sqlx::query_scalar(sql!("count_steps")).bind(trajectory).fetch_one(&mut *c).await?;
            Ok(ImportEnd { run, new: true, steps })
        })?;
        self.record.wait(async |c| sqlx::query("COMMIT").execute(c).await.map(|_| ()))?;
        self.open = false;
        Ok(end)
    }
}

impl Drop for Import<'_> {
    fn drop(&mut self) {
        if self.open {
            // If this fails, the connection's end takes back what was written.
            let _ = self.record.wait(async |c| sqlx::query("ROLLBACK").execute(c).await.map(|_| ()));
        }
    }
}

/// Rows of one INSERT at most.
const ROWS: usize = 128;

/// Inserts steps; of one that is there already, the columns that these have are replaced.
async fn put_steps(
    c: &mut SqliteConnection,
    trajectory: TrajectoryRow,
    sources: &[i64],
    steps: &[LoggedStep],
) -> sqlx::Result<()> {
    // The file has one row, so that it can be prepared as it is.
    const ROW: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let text = sql!("import_steps").replace(ROW, &vec![ROW; steps.len()].join(", "));
    let mut query = sqlx::query(sqlx::AssertSqlSafe(text));
    for step in steps {
        let loss = step.loss.map(|read| Loss(read.value));
        let norm = step.grad_norm.map(|read| Loss(read.value));
        let origin = origins(step).next();
        query = query
            .bind(trajectory.0)
            .bind(step.step)
            .bind(step.epoch.map(|read| read.value))
            .bind(loss.and_then(Loss::finite))
            .bind(loss.map(|loss| loss.kind().as_str()))
            .bind(step.learning_rate.map(|read| read.value).filter(|rate| rate.is_finite()))
            .bind(norm.and_then(Loss::finite))
            .bind(step.tokens.map(|read| read.value))
            .bind(step.seconds.map(|read| read.value).filter(|seconds| seconds.is_finite()))
            .bind(norm.filter(|norm| norm.finite().is_none()).map(|norm| format!("grad_norm:{}", norm.kind())))
            .bind(step.window)
            .bind(origin.map(|(_, origin)| sources[origin.source]))
            .bind(origin.map(|(_, origin)| origin.place));
    }
    query.execute(&mut *c).await?;
    for step in steps {
        let mut all = origins(step);
        let Some((_, of_step)) = all.next() else { continue };
        for (series, origin) in all.filter(|(_, origin)| *origin != of_step) {
            sqlx::query(sql!("import_place"))
                .bind(trajectory.0)
                .bind(step.step)
                .bind(series)
                .bind(sources[origin.source])
                .bind(origin.place)
                .execute(&mut *c)
                .await?;
        }
    }
    Ok(())
}

/// Where each column of a step was read, the loss's first: its place is that of the step.
fn origins(step: &LoggedStep) -> impl Iterator<Item = (&'static str, identity::logged::Origin)> {
    fn of<T: Copy>(
        name: &'static str,
        read: &Option<LoggedNumber<T>>,
    ) -> Option<(&'static str, identity::logged::Origin)> {
        read.map(|read| (name, read.origin))
    }
    [
        of("loss", &step.loss),
        of("learning_rate", &step.learning_rate),
        of("grad_norm", &step.grad_norm),
        of("epoch", &step.epoch),
        of("tokens", &step.tokens),
        of("seconds", &step.seconds),
    ]
    .into_iter()
    .flatten()
}

/// Moves what differs from a trajectory into the one that the run has, and drops the rest. Says how many steps differed.
async fn merge(c: &mut SqliteConnection, from: (i64, i64), into: (i64, i64)) -> sqlx::Result<i64> {
    let mut changed = 0;
    for statement in [
        sql!("merge_sources"),
        sql!("merge_source_ids_of_steps"),
        sql!("merge_source_ids_of_places"),
        sql!("merge_source_ids_of_evaluations"),
        sql!("merge_source_ids_of_values"),
        sql!("merge_delete_steps"),
        sql!("merge_insert_steps"),
        sql!("merge_delete_places"),
        sql!("merge_insert_places"),
        sql!("merge_delete_evaluations"),
        sql!("merge_insert_evaluations"),
        sql!("merge_insert_series"),
        sql!("merge_delete_values"),
        sql!("merge_insert_values"),
        sql!("merge_drop_places"),
        sql!("merge_drop_steps"),
        sql!("merge_drop_evaluations"),
        sql!("merge_drop_values"),
        sql!("merge_drop_series"),
        sql!("merge_take_sources"),
        sql!("merge_drop_sources"),
        sql!("merge_drop_execution"),
        sql!("merge_drop_parts"),
        sql!("merge_drop_trajectory"),
    ] {
        let query = sqlx::query(statement).bind(from.0).bind(from.1).bind(into.0).bind(into.1);
        let rows = query.execute(&mut *c).await?.rows_affected();
        if statement == sql!("merge_insert_steps") {
            changed = rows as i64;
        }
    }
    let query = sqlx::query(sql!("merge_drop_blocks")).bind(into.0).bind(BLOCK);
    query.execute(&mut *c).await?;
    blocks::sum_up(c, TrajectoryRow(into.0)).await?;
    Ok(changed)
}

/// Adds the run to the record and to its study.
async fn insert(c: &mut SqliteConnection, new: &NewImport<'_>, trajectory: i64, execution: i64) -> sqlx::Result<RunId> {
    let resolved: serde_json::Map<String, Value> = new.params.iter().cloned().collect();
    let run: i64 = sqlx::query_scalar(sql!("import_run"))
        .bind(system::uid())
        .bind(new.key)
        .bind(Value::from(resolved).to_string())
        .bind(trajectory)
        .bind(now())
        .bind(&new.origin.host)
        .bind(&new.origin.program_version)
        .bind(new.name)
        .bind(&new.origin.directory)
        .fetch_one(&mut *c)
        .await?;
    sqlx::query(sql!("import_stage")).bind(run).bind(execution).execute(&mut *c).await?;
    describe(c, RunId(run), new).await?;
    let study: Option<i64> = sqlx::query_scalar(sql!("import_study")).bind(new.study).fetch_optional(&mut *c).await?;
    let study = match study {
        Some(study) => study,
        None => {
            let query = sqlx::query_scalar(sql!("insert_study")).bind(None::<i64>).bind(new.study).bind(0).bind(now());
            query.fetch_one(&mut *c).await?
        }
    };
    sqlx::query(sql!("import_study_run")).bind(study).bind(run).execute(&mut *c).await?;
    sqlx::query(sql!("import_study_points")).bind(study).execute(&mut *c).await?;
    Ok(RunId(run))
}

/// Sets what may be known better at the next import: settings, length, unit.
async fn describe(c: &mut SqliteConnection, run: RunId, new: &NewImport<'_>) -> sqlx::Result<()> {
    sqlx::query(sql!("import_describe")).bind(run.0).bind(new.unit).bind(new.vocabulary).execute(&mut *c).await?;
    sqlx::query(sql!("import_forget_params")).bind(run.0).execute(&mut *c).await?;
    for (name, value) in new.params {
        let query = sqlx::query(sql!("insert_param")).bind(run.0).bind(name);
        let query = match Cell::from(value.clone()) {
            Cell::Null => query.bind(None::<String>),
            Cell::Integer(value) => query.bind(value),
            Cell::Real(value) => query.bind(value),
            Cell::Text(value) => query.bind(value),
            Cell::Blob(value) => query.bind(value),
        };
        query.execute(&mut *c).await?;
    }
    Ok(())
}
