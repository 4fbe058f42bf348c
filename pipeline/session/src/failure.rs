//! An error as a user sees it: its kind, one line that says what is wrong and where, and a hint that can be typed.

use std::path::Path;
use std::{fmt, io};

use engine::store::advice;
use engine::work::WorkError;
use system::{files, limits, permission, quoted};

/// What kind of failure it is. The program has an exit code for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The input is wrong; nothing that was recorded before is changed.
    WrongInput,
    /// A run failed, an object is damaged, or the system refused something that it may grant later.
    Failed,
    /// A user asked to stop.
    Interrupted,
}

/// Why what was asked for was not done.
#[derive(Debug)]
pub struct Failure {
    /// Its kind.
    pub kind: FailureKind,
    /// What is wrong, where, and what is allowed; empty when all was said already.
    pub message: String,
    /// What could be typed instead; empty when there is nothing.
    pub hint: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// The input is wrong.
    pub fn input(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: FailureKind::WrongInput, message: message.into(), hint: hint.into() }
    }

    /// Something failed while it ran.
    pub fn failed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: FailureKind::Failed, message: message.into(), hint: hint.into() }
    }

    /// A user asked to stop before it was done.
    pub fn interrupted(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: FailureKind::Interrupted, message: message.into(), hint: hint.into() }
    }

    /// A place that can't be used, as a user sees it: `elsewhere` says how to name another.
    pub fn refused(place: &Path, error: &io::Error, elsewhere: &str) -> Self {
        // Some errors name a path of their own, which lies there.
        let own = error.to_string();
        let message = match own.starts_with(&place.display().to_string()) {
            true => own,
            false => format!("{}: {own}", place.display()),
        };
        let path = files::path_of(error).unwrap_or(place);
        let denied = || permission::unwritable(path.ancestors().take(2)).map(|denied| denied.hint);
        let hint = match error.kind() {
            _ if limits::is_outside(error) && error.kind() != io::ErrorKind::ReadOnlyFilesystem => {
                advice(error).to_owned()
            }
            _ if files::is_not_regular(error) => advice(error).to_owned(),
            io::ErrorKind::PermissionDenied => denied().unwrap_or_else(|| elsewhere.to_owned()),
            io::ErrorKind::TimedOut => advice(error).to_owned(),
            _ => elsewhere.to_owned(),
        };
        // Wrong is a place where nothing can ever be written; a full disk is not.
        let passes = limits::is_outside(error) && error.kind() != io::ErrorKind::ReadOnlyFilesystem
            || error.kind() == io::ErrorKind::TimedOut;
        if passes { Self::failed(message, hint) } else { Self::input(message, hint) }
    }
}

impl From<record::RecordError> for Failure {
    fn from(error: record::RecordError) -> Self {
        use record::{RecordError as E, name_hint};
        let words;
        let hint = match &error {
            E::Foreign(_) => "name the record with --db, or a new file for one",
            E::Missing(_) | E::Empty(_) => {
                "run an experiment first (pipeline run experiments/tiny.toml), or name a database with --db"
            }
            E::Newer { .. } => "use the newer pipeline, or another database with --db",
            E::Damaged { path, .. } => {
                let name = quoted(&path.display().to_string());
                words = format!(
                    "pipeline verify --db {name} says what is damaged; restore a copy that pipeline backup made, or name \
                     another database with --db"
                );
                &words
            }
            E::NoFolder(path) => {
                words = format!("mkdir -p {}", quoted(&path.display().to_string()));
                &words
            }
            E::SecondName { path, recorded, same } => &name_hint(path, recorded, *same),
            E::StaleLog(path) => {
                let [wal, shm] = ["-wal", "-shm"].map(|ending| quoted(&format!("{}{ending}", path.display())));
                words = format!("what it holds is in the database: rm -f {wal} {shm}");
                &words
            }
            E::Reserved { .. } => "name another database with --db",
            E::NotUtf8(_) => "give its folder and its file names in UTF-8, or name another place with --db",
            E::Denied(denied) => &format!("{}; or name another place with --db and --store", denied.hint),
            E::NotRegular { .. } => "move it away, or name another database with --db",
            E::Limit { limit, .. } => limit.hint(),
            E::Altered { path, version: Some(version), .. } => {
                let name = quoted(&path.display().to_string());
                words = format!(
                    "its tables are those of version {version}: sqlite3 {name} 'PRAGMA user_version = {version}'"
                );
                &words
            }
            E::Altered { .. } => "bring back a copy from before, or name another database with --db",
            E::NoRoom { bytes, .. } => {
                words = format!(
                    "free some space there, about {} MB, then run the same again",
                    3 * bytes.div_ceil(1_000_000)
                );
                &words
            }
            E::NoLocks(_) | E::Filesystem { .. } => "name a writable place on a local disk with --db and --store",
            E::Busy { .. } => "close what has it open for writing, then run the same again: what is done is kept",
            E::Disk { .. } => "free some space, then run the same again: what is done is kept",
            E::Statement { .. } => "",
        };
        let failed =
            matches!(error, E::Busy { .. } | E::Disk { .. } | E::NoRoom { .. } | E::Limit { .. } | E::Statement { .. });
        let kind = if failed { FailureKind::Failed } else { FailureKind::WrongInput };
        Self { kind, message: error.to_string(), hint: hint.to_owned() }
    }
}

impl From<experiment::Refusal> for Failure {
    fn from(refusal: experiment::Refusal) -> Self {
        let kind = if refusal.is_system { FailureKind::Failed } else { FailureKind::WrongInput };
        Self { kind, message: refusal.message, hint: refusal.hint }
    }
}

/// Work that ended as a whole.
impl From<WorkError> for Failure {
    fn from(error: WorkError) -> Self {
        let hint = match &error {
            WorkError::Record(_) => "",
            WorkError::Store { error, .. } | WorkError::Disk(error) => advice(error),
            WorkError::NoCheckpoint(_) => "pipeline objects verify",
            WorkError::Gone(_) => "leave experiments.db and its store alone during a run, then run the same again",
        };
        match error {
            WorkError::Record(error) => error.into(),
            error => Self::failed(error.to_string(), hint),
        }
    }
}

impl From<stages::StageError> for Failure {
    fn from(error: stages::StageError) -> Self {
        Self::failed(error.to_string(), "")
    }
}

impl From<view::NoView> for Failure {
    fn from(refusal: view::NoView) -> Self {
        Self::input(refusal.message, refusal.hint)
    }
}
