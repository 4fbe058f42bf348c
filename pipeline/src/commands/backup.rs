//! `pipeline backup`: copies the record. The copy gets its name only when it is complete and checked.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::args::BackupArgs;
use crate::exit;
use crate::ui;
use crate::ui::counter::Counter;
use crate::ui::format::{bytes, count};
use crate::ui::watch::Terminal;
use engine::stop::Stop as _;
use record::{BESIDE, Record, RecordError};
use session::failure::{Failure, FailureKind};
use session::places::Paths;
use session::updated;
use system::quoted;

/// Copies the record.
pub fn backup(args: &BackupArgs, paths: &Paths, here: &Path) -> Result<(), Failure> {
    let interrupt = exit::interrupt();
    let (folder, name) = place(args, here)?;
    let file = folder.join(&name);
    refuse(&file, args.force, paths)?;
    let open = || {
        let mut record = updated(Record::open(&paths.db)?, &mut Terminal);
        let store = record.store_path()?;
        Ok((record, store))
    };
    let (mut record, recorded) = open().map_err(|error| damaged(error, &paths.db))?;
    let store = recorded.filter(|_| folder != paths.root()).map(|recorded| {
        let store = Paths { store: None, ..paths.clone() }.store(Some(&recorded));
        Paths { db: file.clone(), named: true, store: None }.to_be_recorded(&store)
    });
    // A signal must not leave the temporary file behind.
    interrupt.listen();
    let began = format!(".{name}.unfinished-");
    sweep(&folder, &began);
    // The copy gets the permissions of the database, so that no other users can read it.
    let mode = paths.db.metadata().map_or(0o600, |meta| meta.permissions().mode());
    let unfinished = tempfile::Builder::new()
        .prefix(&began)
        .permissions(Permissions::from_mode(0o666 & mode))
        .tempfile_in(&folder)
        .map_err(|error| unwritable(&file, &error))?;
    // If the file system has no locks, `sweep` can't lock the file either, and does not remove it.
    let _ = unfinished.as_file().lock();
    let mut counter = None;
    let asked = interrupt.clone();
    let copied = record.copy(unfinished.path(), store.as_deref(), move |more, whole| {
        counter.get_or_insert_with(|| Counter::new("copying the record", 0, Some(whole))).advance(more);
        !asked.is_asked()
    });
    if interrupt.is_asked() {
        let message = format!("interrupted; {} was not written", file.display());
        return Err(Failure::interrupted(message, ""));
    }
    let copied = copied.map_err(|error| explain(error, &paths.db, unfinished.path(), &file))?;
    unfinished.as_file().sync_all().map_err(|error| unwritable(&file, &error))?;
    let size = unfinished.as_file().metadata().map_or(0, |meta| meta.len());
    if args.force {
        unfinished.persist(&file).map_err(|error| unwritable(&file, &error.error))?;
    } else {
        unfinished.persist_noclobber(&file).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => exists(&file),
            _ => unwritable(&file, &error.error),
        })?;
    }
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(|error| unwritable(&file, &error))?;
    let (runs, steps, s) = (count(copied.runs), count(copied.steps), if copied.runs == 1 { "" } else { "s" });
    ui::talk(&format!("wrote {} ({}) and checked it: {runs} run{s}, {steps} steps", file.display(), bytes(size)));
    Ok(())
}

/// The folder and name of the file to write.
fn place(args: &BackupArgs, here: &Path) -> Result<(PathBuf, String), Failure> {
    let path = here.join(&args.file);
    if path.is_dir() {
        let message = format!("{}: this is a folder", args.file.display());
        let inside = args.file.join("experiments.db");
        let hint = format!("to write into that folder: pipeline backup {}", quoted(&inside.display().to_string()));
        return Err(Failure::input(message, hint));
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    let folder = parent.canonicalize().map_err(|error| unwritable(&args.file, &error))?;
    match (path.file_name().and_then(|name| name.to_str()), folder.to_str()) {
        (Some(name), Some(_)) => Ok((folder, name.to_owned())),
        _ => {
            let message = format!("{}: SQLite requires a UTF-8 path", path.display());
            Err(Failure::input(message, "choose another file"))
        }
    }
}

/// Refuses to overwrite the database, a file that is not a database, and any existing file without `force`.
fn refuse(file: &Path, force: bool, paths: &Paths) -> Result<(), Failure> {
    let beside = |of: &Path, ending: &str| {
        of.with_file_name(format!("{}{ending}", of.file_name().unwrap_or_default().display()))
    };
    let same = |a: &Path, b: &Path| {
        let of = |path: &Path| path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
        a == b || of(a).is_some_and(|it| Some(it) == of(b))
    };
    let db = &paths.db;
    if same(file, db) || BESIDE.iter().any(|ending| same(file, &beside(db, ending))) {
        let message = format!("{}: this is the database, or a file that belongs to it", file.display());
        return Err(Failure::input(message, "choose another file"));
    }
    let there = file.symlink_metadata().ok();
    if there.is_some() && file.metadata().is_ok_and(|meta| !meta.is_file()) {
        return Err(Failure::input(format!("{}: not a regular file", file.display()), "choose another file"));
    }
    if there.is_some() && !force {
        return Err(exists(file));
    }
    if there.as_ref().is_some_and(|meta| meta.len() > 0) && !is_database(file) {
        let message = format!("{}: not a database; --force only replaces databases", file.display());
        return Err(Failure::input(message, "choose another file"));
    }
    // SQLite would replay the log of an earlier database of that name into the copy.
    for ending in ["-wal", "-journal"] {
        let log = beside(file, ending);
        // A reader leaves an empty log behind.
        if log.symlink_metadata().is_ok_and(|log| !log.is_file() || log.len() > 0) {
            let message = format!("{}: this is the log of another database with that name", log.display());
            let hint = match there.is_some() {
                true => {
                    let [wal, shm] = ["-wal", "-shm"].map(|ending| quoted(&beside(file, ending).display().to_string()));
                    format!("if no process has that database open: rm -f {wal} {shm}")
                }
                false => "move it away, or choose another file".to_owned(),
            };
            return Err(Failure::input(message, hint));
        }
    }
    Ok(())
}

/// Whether a file starts with SQLite's magic bytes.
fn is_database(file: &Path) -> bool {
    use std::io::Read as _;
    let mut begin = [0; 16];
    File::open(file).and_then(|mut file| file.read_exact(&mut begin)).is_ok() && begin == *b"SQLite format 3\0"
}

fn exists(file: &Path) -> Failure {
    Failure::input(format!("{}: already exists", file.display()), "choose another file, or replace it with --force")
}

/// Removes unfinished copies of that name that killed processes left behind: those that no process has locked.
fn sweep(folder: &Path, began: &str) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let left = entry.file_name().to_string_lossy().starts_with(began)
            && entry.file_type().is_ok_and(|kind| kind.is_file())
            && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
        if left {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Explains why a copy failed, with the name that the user gave the file.
fn explain(error: RecordError, db: &Path, unfinished: &Path, file: &Path) -> Failure {
    let of_copy = |path: &Path| path == unfinished;
    match error {
        RecordError::Disk { path, message } if of_copy(&path) => {
            Failure::failed(format!("{}: {message}", file.display()), "free some space, or choose another disk")
        }
        RecordError::Damaged { path, message } if of_copy(&path) => {
            Failure::failed(format!("{}: the copy is damaged ({message})", file.display()), "check the disk for errors")
        }
        error => damaged(error, db),
    }
}

/// Explains an error of the record that is being copied. If it is damaged, the hint is to run `pipeline verify`.
fn damaged(error: RecordError, db: &Path) -> Failure {
    match error {
        RecordError::Damaged { .. } => {
            let hint = format!("to list the damage: pipeline verify --db {}", quoted(&db.display().to_string()));
            Failure { kind: FailureKind::Failed, hint, ..error.into() }
        }
        error => error.into(),
    }
}

fn unwritable(file: &Path, error: &io::Error) -> Failure {
    let message = format!("{}: can't be written: {error}", file.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Failure::failed(message, "free some space, or choose another disk")
        }
        io::ErrorKind::NotFound => {
            let folder = file.parent().unwrap_or(Path::new(".")).display().to_string();
            Failure::input(message, format!("to create the folder: mkdir -p {}", quoted(&folder)))
        }
        _ => Failure::input(message, "choose a file that can be written"),
    }
}
