//! Errors as users see them: a kind, one line that says what is wrong and where, and a hint that can be typed.

use std::path::Path;
use std::{fmt, io};

use engine::store::advice;
use engine::work::WorkError;
use system::{files, limits, permission, quoted};

/// The kind of a failure. The program has an exit code for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The input is wrong; nothing recorded earlier was changed.
    WrongInput,
    /// A run failed, an object is damaged, or the system refused something for now, such as space on a full disk.
    Failed,
    /// The user asked to stop.
    Interrupted,
}

/// Why a request was not carried out.
#[derive(Debug)]
pub struct Failure {
    /// The kind, which decides the exit code.
    pub kind: FailureKind,
    /// What is wrong, where, and what is allowed; empty if it has been printed already.
    pub message: String,
    /// What to do or to type instead; can be empty.
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

    /// Something failed while running.
    pub fn failed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: FailureKind::Failed, message: message.into(), hint: hint.into() }
    }

    /// The user asked to stop before the end.
    pub fn interrupted(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: FailureKind::Interrupted, message: message.into(), hint: hint.into() }
    }

    /// A path that can't be used; `elsewhere` is the hint that says how to name another one.
    pub fn refused(place: &Path, error: &io::Error, elsewhere: &str) -> Self {
        // Some errors already begin with this path, or with a path inside it.
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
        // A path that can never be written to is wrong input; a full disk is a failure that can pass.
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
            E::Foreign(_) => "name another database, or a new file, with --db",
            E::Missing(_) | E::Empty(_) => {
                "to run an experiment first: pipeline run experiments/tiny.toml; or name another database with --db"
            }
            E::Newer { .. } => "use the newer version of pipeline, or name another database with --db",
            E::Damaged { path, .. } => {
                let name = quoted(&path.display().to_string());
                words = format!(
                    "to list the damage: pipeline verify --db {name}; then restore a copy made with `pipeline backup`, \
                     or name another database with --db"
                );
                &words
            }
            E::NoFolder(path) => {
                words = format!("to create the folder: mkdir -p {}", quoted(&path.display().to_string()));
                &words
            }
            E::SecondName { path, recorded, same } => &name_hint(path, recorded, *same),
            E::StaleLog(path) => {
                let [wal, shm] = ["-wal", "-shm"].map(|ending| quoted(&format!("{}{ending}", path.display())));
                words = format!("its content is already in the database; to remove it: rm -f {wal} {shm}");
                &words
            }
            E::Reserved { .. } => "name another database with --db",
            E::NotUtf8(_) => "give the folder or the file a name that is valid UTF-8, or name another path with --db",
            E::Denied(denied) => &format!("{}; or name another path with --db and --store", denied.hint),
            E::NotRegular { .. } => "move it away, or name another database with --db",
            E::Limit { limit, .. } => limit.hint(),
            E::Altered { path, version: Some(version), .. } => {
                let name = quoted(&path.display().to_string());
                words = format!(
                    "its tables are those of version {version}; to set the version to match: sqlite3 {name} 'PRAGMA \
                     user_version = {version}'"
                );
                &words
            }
            E::Altered { .. } => "restore an earlier copy, or name another database with --db",
            E::NoRoom { bytes, .. } => {
                let megabytes = 3 * bytes.div_ceil(1_000_000);
                words = format!("free about {megabytes} MB on that disk, then run the same command again");
                &words
            }
            E::NoLocks(_) | E::Filesystem { .. } => "name a writable path on a local disk with --db and --store",
            E::Busy { .. } => {
                "close the program that is writing to it, then run the same command again: finished work is kept"
            }
            E::Disk { .. } => "free some space, then run the same command again: finished work is kept",
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

/// An error that ended the work on all runs.
impl From<WorkError> for Failure {
    fn from(error: WorkError) -> Self {
        let hint = match &error {
            WorkError::Record(_) => "",
            WorkError::Store { error, .. } | WorkError::Disk(error) => advice(error),
            WorkError::NoCheckpoint(_) => "to check the store: pipeline objects verify",
            WorkError::Gone(_) => {
                "don't move or change experiments.db or its store during a run; run the same command again"
            }
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
