//! Copies the record as it is at one moment, while other processes write to it.
//!
//! The result is that of SQLite's VACUUM INTO, but the copy is made by plain statements in one transaction. So the row
//! counts used to check the copy belong to the same moment, pages are checked before they are copied, and progress can
//! be shown.

use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnection, SqliteJournalMode, SqliteSynchronous};

use super::sound::pages;
use super::{Record, RecordError, Result, beside, now, options, sql};

/// The number of instructions of SQLite's virtual machine between two progress reports.
const BETWEEN: i32 = 50_000;

/// What a copy contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    pub runs: i64,
    pub steps: i64,
}

/// The number of rows of each table.
type Counts = Vec<(String, i64)>;

impl Record {
    /// Copies the record into an empty file and checks the copy. In the copy, `store` is recorded as the path of the
    /// store, and running runs are marked as interrupted. `progress` gets the bytes written since the last call and the
    /// total; if it returns false, copying ends with an error.
    ///
    /// # Errors
    /// If the record is damaged or the file can't be written.
    pub fn copy(
        &mut self,
        target: &Path,
        store: Option<&str>,
        mut progress: impl FnMut(u64, u64) -> bool + Send + 'static,
    ) -> Result<Copied> {
        let (from, file) = (self.path.clone(), target.to_owned());
        let options = options(target)
            .foreign_keys(false)
            .journal_mode(SqliteJournalMode::Off)
            // The caller syncs the file before naming it.
            .synchronous(SqliteSynchronous::Off);
        let mut copy = Self::connect(target, options)?;
        copy.wait(async |c| {
            let (mut shown, whole) = (0, from.metadata().map_or(0, |meta| meta.len()));
            c.lock_handle().await?.set_progress_handler(BETWEEN, move || {
                let size = file.metadata().map_or(0, |meta| meta.len());
                let more = size.saturating_sub(shown);
                shown = shown.max(size);
                progress(more, whole)
            });
            Ok(())
        })?;
        let attached = copy.wait(async |c| attach(c, &uri(&self.path, "mode=ro")).await);
        match attached {
            // As in `open`: if there is no log and none can be created, the file alone holds everything.
            Err(RecordError::Filesystem { .. })
                if beside(&self.path, "-wal").metadata().map_or(0, |it| it.len()) == 0 =>
            {
                copy.wait(async |c| attach(c, &uri(&self.path, "immutable=1")).await)?;
            }
            other => other?,
        }
        let source = self.path.clone();
        let counts = copy.wait(async |c| {
            let mut transaction = c.begin().await?;
            let damaged = pages(&mut transaction, Some("source")).await?;
            if !damaged.is_empty() {
                return Ok(Err(damaged.join("; ")));
            }
            let counts = fill(&mut transaction, store).await?;
            transaction.commit().await?;
            Ok(Ok(counts))
        });
        // Only the source is read, so the damage is in the source.
        let counts = match counts {
            Err(RecordError::Damaged { message, .. }) | Ok(Err(message)) => {
                return Err(RecordError::Damaged { path: source, message });
            }
            Err(error) => return Err(error),
            Ok(Ok(counts)) => counts,
        };
        copy.close()?;
        check(target, &counts)
    }

    /// Closes the database, and returns the error if that fails.
    fn close(mut self) -> Result<()> {
        match self.connection.take() {
            Some(connection) => {
                let closed = self.runtime.block_on(connection.close());
                closed.map_err(|error| super::explain(&self.path, error))
            }
            None => Ok(()),
        }
    }
}

async fn attach(c: &mut SqliteConnection, uri: &str) -> sqlx::Result<()> {
    sqlx::query("ATTACH ?1 AS source").bind(uri).execute(&mut *c).await?;
    let read = sqlx::query("SELECT count(*) FROM source.sqlite_schema").execute(&mut *c).await;
    if read.is_err() {
        sqlx::query("DETACH source").execute(c).await?;
    }
    read.map(|_| ())
}

/// A path as a `file:` URI for SQLite, with a parameter.
fn uri(path: &Path, parameter: &str) -> String {
    let mut text = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => text.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(*byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("{text}?{parameter}")
}

/// Copies the tables with their rows, then indexes, views and triggers; returns the number of rows of each table.
async fn fill(c: &mut SqliteConnection, store: Option<&str>) -> sqlx::Result<Counts> {
    let schema: Vec<(String, String, String)> = sqlx::query_as(sql!("copy_schema")).fetch_all(&mut *c).await?;
    let (tables, over): (Vec<_>, Vec<_>) = schema.into_iter().partition(|(of, ..)| of == "table");
    let mut counts = Vec::new();
    for (_, name, text) in &tables {
        run(c, text.clone()).await?;
        let quoted = name.replace('"', "\"\"");
        run(c, format!("INSERT INTO main.\"{quoted}\" SELECT * FROM source.\"{quoted}\"")).await?;
        let query = format!("SELECT count(*) FROM source.\"{quoted}\"");
        counts.push((quoted, sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&mut *c).await?));
    }
    // Copy the largest id that each table has ever used, so that no id is used twice.
    run(
        c,
        "DELETE FROM main.sqlite_sequence; INSERT INTO main.sqlite_sequence SELECT * FROM source.sqlite_sequence"
            .into(),
    )
    .await?;
    let (triggers, over): (Vec<_>, Vec<_>) = over.into_iter().partition(|(of, ..)| of == "trigger");
    for (_, _, text) in over {
        run(c, text).await?;
    }
    for pragma in ["application_id", "user_version"] {
        let query = format!("PRAGMA source.{pragma}");
        let value: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&mut *c).await?;
        run(c, format!("PRAGMA main.{pragma} = {value}")).await?;
    }
    // No process works on what was running when the copy was made, so mark it as interrupted.
    sqlx::query(sql!("copy_interrupt_runs")).execute(&mut *c).await?;
    sqlx::query(sql!("copy_interrupt_executions")).bind(now()).execute(&mut *c).await?;
    let own = sqlx::query(sql!("copy_other_meta")).execute(&mut *c).await?.rows_affected();
    if let Some((_, rows)) = counts.iter_mut().find(|(table, _)| table == "meta") {
        *rows -= own as i64;
    }
    if let Some(store) = store {
        sqlx::query(sql!("set_store_path")).bind(store).execute(&mut *c).await?;
    }
    sqlx::query(sql!("set_uid")).execute(&mut *c).await?;
    // Create the triggers last, so that nothing above counts as a change.
    for (_, _, text) in triggers {
        run(c, text).await?;
    }
    Ok(counts)
}

async fn run(c: &mut SqliteConnection, text: String) -> sqlx::Result<()> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(c).await.map(|_| ())
}

/// Opens the copy as any command does, and compares the number of rows of each table.
fn check(target: &Path, counts: &Counts) -> Result<Copied> {
    let mut copy = Record::open(target)?;
    let wrong = |message| RecordError::Damaged { path: target.to_owned(), message };
    if let Some(first) = copy.damaged_pages()?.into_iter().next() {
        return Err(wrong(first));
    }
    let mut copied = Copied { runs: 0, steps: 0 };
    for (table, rows) in counts {
        let query = format!("SELECT count(*) FROM \"{table}\"");
        let found: i64 = copy.wait(async |c| sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(c).await)?;
        if found != *rows {
            return Err(wrong(format!("only {found} of {rows} rows of {table} were copied")));
        }
        match table.as_str() {
            "runs" => copied.runs = found,
            "steps" => copied.steps = found,
            _ => {}
        }
    }
    Ok(copied)
}
