//! The only door to `experiments.db`, and the only place that names `sqlx`.
//!
//! Every statement is a file in the folder `sql`, read into the program by [`sql!`]; a test prepares each against the
//! migrations. Calls are plain functions that wait: one thread of a process talks to the database, and SQLite answers
//! in microseconds, so callers need not know that the driver is asynchronous.
//!
//! It keeps rows and finds them again. It concludes nothing from them, words nothing for a screen, and knows no stage by name.

#![allow(missing_docs, reason = "most public fields are columns, which the migrations and docs/sql.md explain")]

mod aside;
mod blocks;
mod changes;
mod copy;
mod executions;
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
    /// There is no folder to make it in.
    #[error("{}: no such folder", .0.display())]
    NoFolder(PathBuf),
    /// There is nothing in it.
    #[error("{}: an empty file", .0.display())]
    Empty(PathBuf),
    /// It is a database, and no record.
    #[error("{}: a database of another program", .0.display())]
    Foreign(PathBuf),
    /// It was written by a later version.
    #[error("{}: written by a newer version of pipeline (schema {found}, this program knows {known})", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    /// It is no database, or a damaged one.
    #[error("{}: not a sound database: it is damaged, or not one at all ({message})", path.display())]
    Damaged { path: PathBuf, message: String },
    /// Its schema is not the one that its version names.
    #[error("{}: its tables are not this program's: it was altered or is damaged ({message})", path.display())]
    Altered { path: PathBuf, message: String, version: Option<i64> },
    /// SQLite takes its path as UTF-8.
    #[error("{0:?}: the path is not UTF-8, which the database's must be")]
    NotUtf8(PathBuf),
    /// SQLite keeps a file of its own under such a name.
    #[error("{}: a name that ends in {ending} belongs to the database before it", path.display())]
    Reserved { path: PathBuf, ending: &'static str },
    /// It is one file under several names, and this is not the one that may be used.
    #[error("{}", names::words(path, recorded, *same))]
    SecondName { path: PathBuf, recorded: PathBuf, same: bool },
    /// Beside it lies a log that is older than it is.
    #[error("{}-wal: a log from before this database was last written, under another name (a hard link)", .0.display())]
    StaleLog(PathBuf),
    /// This user lacks a permission.
    #[error("{}: this user has no {} permission", .0.path.display(), .0.right)]
    Denied(Denied),
    /// Something else stands in the place of the database, or of a file beside it.
    #[error("{}: {what}", path.display())]
    NotRegular { path: PathBuf, what: NotRegular },
    /// A limit of this process is reached.
    #[error("{}: {limit}", path.display())]
    Limit { path: PathBuf, limit: Limit },
    /// Its filesystem has no working locks: SQLite gave up on them.
    #[error("{}: this filesystem has no working locks", .0.display())]
    NoLocks(PathBuf),
    /// Its filesystem refuses what a database needs.
    #[error("{}: {message}", path.display())]
    Filesystem { path: PathBuf, message: String },
    /// Another program holds it for too long.
    #[error("{}: another program has held the database for {} seconds{holder}", path.display(), BUSY.as_secs())]
    Busy { path: PathBuf, holder: String },
    /// There is no room for the copy that an update to another schema begins with.
    #[error("{}: the disk has no room to copy it before it is updated to schema {}; nothing was changed", path.display(), migrate::KNOWN)]
    NoRoom { path: PathBuf, bytes: u64 },
    /// The disk failed while it was written.
    #[error("{}: {message}", path.display())]
    Disk { path: PathBuf, message: String },
    /// A statement failed.
    #[error("{}: {error}", path.display())]
    Statement { path: PathBuf, error: sqlx::Error },
}

impl RecordError {
    /// Whether the database can't be written now, or here, or by this user, though it may well be read.
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

/// How long a write waits for another's to end. Measured with eight writers: one batch waited 4.2 s.
const BUSY: Duration = Duration::from_secs(30);

/// Files that SQLite opens at once: the database, its log, the log's index, and one more while it looks at folders.
const OPENED: u64 = 4;

pub type Result<T> = std::result::Result<T, RecordError>;

/// An open database.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    runtime: tokio::runtime::Runtime,
    /// `None` only while it is being closed.
    connection: Option<SqliteConnection>,
    /// Whether its filesystem is known to have locks.
    locks: bool,
    /// What was done to an older database as it was opened.
    migrated: Option<Migrated>,
}

impl Record {
    /// Opens the database for writing; makes it, and brings it to this version, where needed.
    pub fn create(path: &Path) -> Result<Self> {
        check_files(path)?;
        check_new_name(path)?;
        names::check_log(path)?;
        names::settle(path)?;
        let _gate = gate(path)?;
        make(path)?;
        let mut record = Self::connect(path, options(path))?;
        migrate::is_older(&mut record)?;
        // Only now: a database of somebody else would be changed by this.
        let mode: String = record.wait(async |c| sqlx::query_scalar("PRAGMA journal_mode = WAL").fetch_one(c).await)?;
        if mode != "wal" {
            let message = "this filesystem has no write-ahead log (WAL)".to_owned();
            return Err(RecordError::Filesystem { path: path.to_owned(), message });
        }
        record.migrated = migrate::bring_up(&mut record)?;
        names::note(&mut record)?;
        record.locks = true;
        Ok(record)
    }

    /// Opens an existing database for reading; an older one is brought to this version first.
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
            // Even to read, SQLite keeps an index of the log beside the database. Where that can't be written and there
            // is no log, nobody writes, and the file alone is all there is.
            Err(
                RecordError::NoLocks(_)
                | RecordError::Filesystem { .. }
                | RecordError::Disk { .. }
                | RecordError::Denied(_),
            ) if beside(path, "-wal").metadata().map_or(0, |log| log.len()) == 0 => attempt(options.immutable(true))?,
            other => other?,
        };
        if older {
            // Opened anew: what was seen so far may be the state before a journal was played back.
            drop(record);
            let migrated = Self::create(path)?.migrated.take();
            let mut record = Self::connect(path, self::options(path).read_only(true))?;
            record.migrated = migrated;
            return Ok(record);
        }
        Ok(record)
    }

    /// An empty record that is nowhere.
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

    /// Says that the database was of an earlier schema, and where it is as it was; once.
    pub fn take_migrated(&mut self) -> Option<Migrated> {
        self.migrated.take()
    }

    /// Runs `work` on the connection and waits for it.
    pub fn wait<T>(&mut self, work: impl AsyncFnOnce(&mut SqliteConnection) -> sqlx::Result<T>) -> Result<T> {
        let connection = self.connection.as_mut().expect("BUG: the connection is open until the drop");
        self.runtime.block_on(work(connection)).map_err(|error| match explain(&self.path, error) {
            RecordError::NoLocks(path) if self.locks => {
                RecordError::Disk { path, message: "the disk failed: locks worked, and now they don't".to_owned() }
            }
            other => other,
        })
    }

    /// From here on waits for another's writing a moment only, for what can as well be written another time.
    pub fn hurry(&mut self) -> Result<()> {
        self.wait(async |c| sqlx::query("PRAGMA busy_timeout = 250").execute(c).await.map(|_| ()))
    }

    /// Runs `work` in a transaction that takes the write lock at its start, so that no reader turns writer half-way
    /// and meets "database is locked".
    pub fn transaction<T>(&mut self, work: impl AsyncFnOnce(&mut SqliteConnection) -> sqlx::Result<T>) -> Result<T> {
        self.wait(async |connection| {
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            let value = work(&mut transaction).await?;
            transaction.commit().await?;
            Ok(value)
        })
    }

    /// The same, synced to the disk before it returns: for what must survive a pulled plug.
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
            // Closing writes the log back into the database, but only the last connection does so, and one that only reads
            // can't: who has written empties the log where nobody else needs it, so that a copy that is put in the
            // database's place meets no log. A failure leaves the log, which the next open reads.
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

/// The file beside the database whose name goes on with `ending`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    path.with_file_name(format!("{}{ending}", path.file_name().unwrap_or_default().display()))
}

/// Now, as the record writes times: UTC, ISO 8601, milliseconds.
fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .synchronous(SqliteSynchronous::Normal)
        // Rows come from another thread: with the driver's 50, most of what many rows cost is waking each other.
        .row_buffer_size(1024)
        .disable_statement_logging()
}

#[cfg(test)]
mod tests;
