//! All access to `experiments.db`; no other crate uses `sqlx`.
//!
//! Every SQL statement is a file in the folder `sql`, included by [`sql!`]; a test prepares each one on a database that
//! the migrations created.
//! Calls block: one thread of a process uses the database, and SQLite answers in microseconds, so callers need not know
//! that the driver is asynchronous.
//!
//! This crate stores and finds rows. It draws no conclusions from them, formats nothing for a screen and knows no stage
//! by name.

#![allow(missing_docs, reason = "most public fields are columns, which the migrations and docs/sql.md explain")]

mod aside;
mod blocks;
mod changes;
mod copy;
mod executions;
pub mod logged;
mod migrate;
mod names;
pub mod objects;
mod open;
pub mod read;
pub mod rows;
pub mod sound;
mod step_rows;
mod steps;
mod studies;
pub mod verdicts;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use changes::Change;
pub use migrate::Migrated;
pub use names::hint as name_hint;
pub use open::BESIDE;
use open::{check_files, check_name, check_new_name, explain, gate, make};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};

use system::files::NotRegular;
use system::limits::Limit;
use system::permission::Denied;

/// The text of a statement, by its file's name in the folder `sql`.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/sql/", $name, ".sql"))
    };
}
pub(crate) use sql;

/// Why the record can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There is no database.
    #[error("{}: no such database", .0.display())]
    Missing(PathBuf),
    /// The folder to create it in does not exist.
    #[error("{}: no such folder", .0.display())]
    NoFolder(PathBuf),
    /// The file is empty.
    #[error("{} is an empty file, not a database", .0.display())]
    Empty(PathBuf),
    /// It is a database, but not a record.
    #[error("{} is another program's database", .0.display())]
    Foreign(PathBuf),
    /// It was written by a later version.
    #[error("{} was written by a newer pipeline (schema {found}; this one supports up to {known})", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    /// It is damaged or not a database.
    #[error("{} is damaged or not a database ({message})", path.display())]
    Damaged { path: PathBuf, message: String },
    /// Its schema is not the one of its version.
    #[error("{}: the schema was altered or is damaged ({message})", path.display())]
    Altered { path: PathBuf, message: String, version: Option<i64> },
    /// SQLite requires a UTF-8 path.
    #[error("{0:?}: the path of a database must be valid UTF-8")]
    NotUtf8(PathBuf),
    /// SQLite or this program uses such a name for a file that accompanies a database.
    #[error("{}: names ending in {ending} are reserved for files that accompany a database", path.display())]
    Reserved { path: PathBuf, ending: &'static str },
    /// The file has several names, and this is not the one that may be used.
    #[error("{}", names::words(path, recorded, *same))]
    SecondName { path: PathBuf, recorded: PathBuf, same: bool },
    /// The log beside it is older than the database.
    #[error("{}-wal is a stale log: the database was last written under another name (a hard link)", .0.display())]
    StaleLog(PathBuf),
    /// This user lacks a permission.
    #[error("{}: this user has no {} permission", .0.path.display(), .0.right)]
    Denied(Denied),
    /// The database, or a file beside it, is not a regular file.
    #[error("{}: {what}", path.display())]
    NotRegular { path: PathBuf, what: NotRegular },
    /// This process has reached a limit.
    #[error("{}: {limit}", path.display())]
    Limit { path: PathBuf, limit: Limit },
    /// File locks do not work on its filesystem: SQLite failed to take one.
    #[error("{}: file locks do not work on this filesystem", .0.display())]
    NoLocks(PathBuf),
    /// Its filesystem lacks something that a database requires.
    #[error("{}: {message}", path.display())]
    Filesystem { path: PathBuf, message: String },
    /// Another program has held it for too long.
    #[error("{}: another program has held the database for {} seconds{holder}", path.display(), BUSY.as_secs())]
    Busy { path: PathBuf, holder: String },
    /// The disk has no room for the copy that is made before a schema update.
    #[error(
        "{}: can't update the database to schema {}, because the disk has no space for a copy; nothing was changed",
        path.display(),
        migrate::KNOWN
    )]
    NoRoom { path: PathBuf, bytes: u64 },
    /// The disk failed, or is full.
    #[error("{}: {message}", path.display())]
    Disk { path: PathBuf, message: String },
    /// A statement failed.
    #[error("{}: {error}", path.display())]
    Statement { path: PathBuf, error: sqlx::Error },
}

impl RecordError {
    /// Whether the database can't be written now, here or by this user, although reading it may work.
    pub fn is_refusal(&self) -> bool {
        use RecordError as E;
        match self {
            E::Filesystem { .. }
            | E::Disk { .. }
            | E::NoRoom { .. }
            | E::Busy { .. }
            | E::Denied(_)
            | E::Limit { .. } => true,
            E::NoFolder(_) | E::NoLocks(_) | E::SecondName { .. } | E::StaleLog(_) => true,
            E::Missing(_) | E::Empty(_) | E::Foreign(_) | E::Newer { .. } | E::Damaged { .. } | E::Altered { .. } => {
                false
            }
            E::NotUtf8(_) | E::Reserved { .. } | E::NotRegular { .. } | E::Statement { .. } => false,
        }
    }
}

/// How long a write waits for another to end. Measured with eight writers: one batch waited 4.2 s.
const BUSY: Duration = Duration::from_secs(30);

/// Files that SQLite has open at once: the database, its log, the log's index, and one more while it checks folders.
const OPENED: u64 = 4;

pub type Result<T> = std::result::Result<T, RecordError>;

/// An open database.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    runtime: tokio::runtime::Runtime,
    /// `None` only while it is being closed.
    connection: Option<SqliteConnection>,
    /// Whether locks are known to work on its filesystem.
    locks: bool,
    /// The schema update made when an older database was opened.
    migrated: Option<Migrated>,
}

impl Record {
    /// Opens the database for writing. Creates it if missing, and updates an older schema.
    pub fn create(path: &Path) -> Result<Self> {
        check_files(path)?;
        check_new_name(path)?;
        names::check_log(path)?;
        names::settle(path)?;
        let _gate = gate(path)?;
        make(path)?;
        let mut record = Self::connect(path, options(path))?;
        migrate::is_older(&mut record)?;
        // Only now, because this changes the file: before the check, it could have been another program's database.
        let mode: String = record.wait(async |c| sqlx::query_scalar("PRAGMA journal_mode = WAL").fetch_one(c).await)?;
        if mode != "wal" {
            let message = "this filesystem does not support write-ahead logs (WAL)".to_owned();
            return Err(RecordError::Filesystem { path: path.to_owned(), message });
        }
        record.migrated = migrate::bring_up(&mut record)?;
        names::note(&mut record)?;
        record.locks = true;
        Ok(record)
    }

    /// Opens an existing database for reading, after updating an older schema.
    pub fn open(path: &Path) -> Result<Self> {
        check_name(path)?;
        if !path.exists() {
            return Err(RecordError::Missing(path.to_owned()));
        }
        check_files(path)?;
        if path.metadata().is_ok_and(|meta| meta.len() == 0) {
            return Err(RecordError::Empty(path.to_owned()));
        }
        names::check_log(path)?;
        let attempt = |options| -> Result<(Self, bool)> {
            let mut record = Self::connect(path, options)?;
            let older = migrate::is_older(&mut record)?;
            names::check_read(&mut record)?;
            Ok((record, older))
        };
        let options = options(path).read_only(true);
        let (record, older) = match attempt(options.clone()) {
            // Even a reader needs an index of the log beside the database. If that can't be written and there is no
            // log, there is no writer either, and the file alone holds everything.
            Err(
                RecordError::NoLocks(_)
                | RecordError::Filesystem { .. }
                | RecordError::Disk { .. }
                | RecordError::Denied(_),
            ) if beside(path, "-wal").metadata().map_or(0, |log| log.len()) == 0 => attempt(options.immutable(true))?,
            other => other?,
        };
        if older {
            // Reopen it, because what was read so far may predate the replay of a journal.
            drop(record);
            let migrated = Self::create(path)?.migrated.take();
            let mut record = Self::connect(path, self::options(path).read_only(true))?;
            record.migrated = migrated;
            return Ok(record);
        }
        Ok(record)
    }

    /// An empty record in memory.
    pub fn imagine() -> Result<Self> {
        let mut record = Self::blank()?;
        migrate::bring_up(&mut record)?;
        Ok(record)
    }

    /// A database in memory, without tables.
    fn blank() -> Result<Self> {
        Self::connect(Path::new("(no database)"), SqliteConnectOptions::new().in_memory(true))
    }

    fn connect(path: &Path, options: SqliteConnectOptions) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| RecordError::Filesystem { path: path.to_owned(), message: error.to_string() })?;
        tracing::debug!(path = %path.display(), "opening");
        let connection = runtime.block_on(options.connect()).map_err(|error| explain(path, error))?;
        Ok(Self { path: path.to_owned(), runtime, connection: Some(connection), locks: false, migrated: None })
    }

    /// The database's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The schema update made on opening, if any; only the first call returns it.
    pub fn take_migrated(&mut self) -> Option<Migrated> {
        self.migrated.take()
    }

    /// Runs `work` on the connection and waits for it.
    pub fn wait<T>(&mut self, work: impl AsyncFnOnce(&mut SqliteConnection) -> sqlx::Result<T>) -> Result<T> {
        let connection = self.connection.as_mut().expect("BUG: the connection is already closed");
        self.runtime.block_on(work(connection)).map_err(|error| match explain(&self.path, error) {
            RecordError::NoLocks(path) if self.locks => {
                RecordError::Disk { path, message: "disk error: file locks have stopped working".to_owned() }
            }
            other => other,
        })
    }

    /// From now on, waits only briefly for another writer: for writes that can be made later just as well.
    pub fn hurry(&mut self) -> Result<()> {
        self.wait(async |c| sqlx::query("PRAGMA busy_timeout = 250").execute(c).await.map(|_| ()))
    }

    /// Runs `work` in a transaction that takes the write lock at its start, because a reader that becomes a writer
    /// half-way can fail with "database is locked".
    pub fn transaction<T>(&mut self, work: impl AsyncFnOnce(&mut SqliteConnection) -> sqlx::Result<T>) -> Result<T> {
        self.wait(async |connection| {
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            let value = work(&mut transaction).await?;
            transaction.commit().await?;
            Ok(value)
        })
    }

    /// Like [`Self::transaction`], but synced to the disk before it returns, for writes that must survive a power
    /// failure.
    pub fn durable<T>(&mut self, work: impl AsyncFnOnce(&mut SqliteConnection) -> sqlx::Result<T>) -> Result<T> {
        self.wait(async |connection| {
            sqlx::query("PRAGMA synchronous = FULL").execute(&mut *connection).await?;
            Ok(())
        })?;
        let value = self.transaction(work);
        self.wait(async |connection| {
            sqlx::query("PRAGMA synchronous = NORMAL").execute(&mut *connection).await?;
            Ok(())
        })?;
        value
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            // Closing writes the log back into the database, but only on the last connection, and never on a read-only
            // one. So a writer empties the log here unless another connection needs it; otherwise a backup restored
            // over the database would find the log of the old one. If this fails, the next process to open the
            // database reads the log.
            if self.locks {
                let empty = async |c: &mut SqliteConnection| -> sqlx::Result<()> {
                    sqlx::query("PRAGMA busy_timeout = 0").execute(&mut *c).await?;
                    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(c).await.map(|_| ())
                };
                let _ = self.runtime.block_on(empty(&mut connection));
            }
            let _ = self.runtime.block_on(connection.close());
        }
    }
}

/// The file beside the database with `ending` appended to its name.
fn beside(path: &Path, ending: &str) -> PathBuf {
    path.with_file_name(format!("{}{ending}", path.file_name().unwrap_or_default().display()))
}

/// The current time as the record stores it: UTC, ISO 8601, milliseconds.
fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .synchronous(SqliteSynchronous::Normal)
        // Rows come from another thread: with the driver's default buffer of 50 rows, the two threads spend most of
        // the time waking each other.
        .row_buffer_size(1024)
        .disable_statement_logging()
}

#[cfg(test)]
mod tests;
