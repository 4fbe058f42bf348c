//! A copy of the record as it is at one moment, while others write.
//!
//! What SQLite's VACUUM INTO does, as plain statements in one transaction: so the counts that the copy is checked by are of
//! the same moment, pages are checked before anything is copied from them, and it can say how far it is.

use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnection, SqliteJournalMode, SqliteSynchronous};

use super::sound::pages;
use super::{Record, RecordError, Result, beside, now, options, sql};

/// Instructions of SQLite's machine between two looks at how large the copy is.
const BETWEEN: i32 = 50_000;

/// What a copy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    pub runs: i64,
    pub steps: i64,
}

/// The number of rows of each table.
type Counts = Vec<(String, i64)>;

impl Record {
    /// Copies the record into an empty file, in which `store` is where the objects are and nothing runs; and compares the
    /// copy. `progress` is told how many more bytes are written, and of how many in all; where it returns false, the copy
    /// ends with an error.
    ///
    /// # Errors
    /// Where the record is damaged, or the file can't be written.
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
            // Whoever names the file syncs it first.
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
            // As when a record is opened to be read: where no log can be made and there is none, the file is all there is.
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
        // All that is read is the source's.
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

    /// Closes the database, and says what went wrong.
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

/// A file's name as SQLite reads it in a URI.
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

/// Makes the tables with their rows, then what is built over them; says how many rows there are.
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
    // The numbers that were given already, so that none is given twice.
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
    // No process works on what is copied.
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
    // Last, so that none of this counts as a change.
    for (_, _, text) in triggers {
        run(c, text).await?;
    }
    Ok(counts)
}

async fn run(c: &mut SqliteConnection, text: String) -> sqlx::Result<()> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(c).await.map(|_| ())
}

/// Opens the copy as any command does, and compares it with what was copied.
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
            return Err(wrong(format!("{found} of {rows} rows of {table} were copied")));
        }
        match table.as_str() {
            "runs" => copied.runs = found,
            "steps" => copied.steps = found,
            _ => {}
        }
    }
    Ok(copied)
}
