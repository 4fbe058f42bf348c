//! All logs at and below the paths.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Skipped;
use super::names::natural;
use crate::detect::{Format, detect, detect_in_folder, head};
use crate::mlflow_files::{self, Meta};
use crate::{Names, Remark, Report, Sink, tfevents};

/// How deep folders may lie in one another.
const DEEPEST: usize = 32;

/// The most entries of folders that are looked at.
const MOST_ENTRIES: usize = 200_000;

/// A log that was met.
#[derive(Debug, Clone)]
pub struct Met {
    /// Where it is: below the path that the user gave, unless a link leads elsewhere.
    pub path: PathBuf,
    /// Where it is for sure.
    pub real: PathBuf,
    pub format: Format,
    /// Whether the user named it, rather than a folder above it.
    pub by_name: bool,
    /// Of an event file, the tag of all its numbers, if it is one and the same.
    pub only_tag: Option<String>,
    /// Of a trainer's state, how far it got.
    pub global_step: Option<u64>,
    /// Of a table, its first line.
    pub header: Option<Vec<u8>>,
    /// The folder of MLflow's run that it is of.
    pub run: Option<PathBuf>,
}

/// A walk over files and folders.
#[derive(Default)]
pub struct Walk {
    pub met: Vec<Met>,
    pub skipped: Vec<Skipped>,
    seen: HashSet<PathBuf>,
    /// How often something was reached that had been reached before.
    again: usize,
    entries: usize,
}

impl Walk {
    /// Walks from a path that the user gave.
    pub fn begin(&mut self, path: &Path) {
        let before = (self.met.len(), self.again);
        match fs::metadata(path) {
            Err(error) => self.skip(path, error.to_string()),
            Ok(found) if found.is_dir() => {
                self.folder(path, 0);
                if (self.met.len(), self.again) == before {
                    self.skip(path, "no log is in it".into());
                }
            }
            Ok(_) => self.file(path, true),
        }
    }

    fn skip(&mut self, path: &Path, why: String) {
        self.skipped.push(Skipped { path: path.to_owned(), why });
    }

    /// Whether a path is reached for the first time, and where it really is.
    fn first(&mut self, path: &Path) -> Option<PathBuf> {
        let real = fs::canonicalize(path).ok()?;
        let first = self.seen.insert(real.clone());
        self.again += usize::from(!first);
        first.then_some(real)
    }

    fn folder(&mut self, folder: &Path, depth: usize) {
        if self.first(folder).is_none() {
            return;
        }
        if Meta::of(folder).is_some_and(|meta| meta.run_id.is_some()) {
            self.mlflow_run(folder);
            return;
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.skip(folder, error.to_string()),
        };
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in entries.flatten() {
            self.entries += 1;
            if self.entries > MOST_ENTRIES {
                if self.entries == MOST_ENTRIES + 1 {
                    self.skip(
                        folder,
                        format!("more than {MOST_ENTRIES} files are there: the others were not looked at"),
                    );
                }
                break;
            }
            let path = entry.path();
            // Behind a link is a file or folder with a name of its own: `latest-run` is no run's.
            let path = match entry.file_type() {
                Ok(kind) if kind.is_symlink() => match fs::canonicalize(&path) {
                    Ok(real) => real,
                    Err(_) => continue,
                },
                _ => path,
            };
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() => folders.push(path),
                Ok(found) if found.is_file() => files.push(path),
                _ => {}
            }
        }
        files.sort_by(|a, b| natural(a, b));
        folders.sort_by(|a, b| natural(a, b));
        // What W&B keeps beside a run's file says the same again: the output, and its own logs.
        let wandb = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wandb");
        if files.iter().any(wandb) {
            files.retain(wandb);
            folders.clear();
        }
        for file in files {
            self.file(&file, false);
        }
        for inner in folders {
            if is_worth_it(&inner) {
                if depth >= DEEPEST {
                    self.skip(&inner, format!("it lies more than {DEEPEST} folders deep"));
                } else {
                    self.folder(&inner, depth + 1);
                }
            }
        }
    }

    fn file(&mut self, path: &Path, by_name: bool) {
        if by_name && path.file_name().is_some_and(|name| name == "meta.yaml") {
            let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
            if Meta::of(folder).is_some_and(|meta| meta.run_id.is_some()) {
                if self.first(folder).is_some() {
                    self.mlflow_run(folder);
                }
                return;
            }
        }
        let head = match head(path) {
            Ok(head) => head,
            Err(error) => {
                return if by_name {
                    self.skip(path, error.to_string())
                };
            }
        };
        let format = if by_name { detect(path, &head) } else { detect_in_folder(path, &head) };
        let Some(format) = format else {
            if by_name {
                let why = if head.is_empty() { "it is empty" } else { "it is no log of a known format" };
                self.skip(path, why.into());
            }
            return;
        };
        self.meet(path, format, by_name, &head, None);
    }

    fn meet(&mut self, path: &Path, format: Format, by_name: bool, head: &[u8], run: Option<&Path>) {
        let Some(real) = self.first(path) else { return };
        self.met.push(Met {
            path: path.to_owned(),
            real,
            format,
            by_name,
            only_tag: (format == Format::Events).then(|| only_tag(head)).flatten(),
            global_step: (format == Format::TrainerState).then(|| global_step(head)).flatten(),
            header: (format == Format::Csv)
                .then(|| head.split(|byte| *byte == b'\n').next().unwrap_or_default().to_owned()),
            run: run.map(Path::to_owned),
        });
    }

    /// The settings of a run in MLflow's file store, and each of its metrics.
    fn mlflow_run(&mut self, folder: &Path) {
        if Meta::of(folder).is_some_and(|meta| meta.deleted) {
            return;
        }
        self.meet(&folder.join("meta.yaml"), Format::MlflowRun, false, &[], Some(folder));
        let metrics = folder.join("metrics");
        // In a folder that someone has tidied up, the metrics may lie beside it.
        let beside = !metrics.is_dir();
        for (name, path) in mlflow_files::files(if beside { folder } else { &metrics }) {
            let is_metric =
                !beside || !name.contains('/') && head(&path).is_ok_and(|head| mlflow_files::is_metric(&head));
            if is_metric {
                self.meet(&path, Format::MlflowMetric, false, &[], Some(folder));
            }
        }
    }
}

/// Whether a folder that was met is searched.
fn is_worth_it(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    !name.starts_with('.')
        && !["__pycache__", "node_modules", "site-packages"].contains(&name.as_ref())
        && !folder.join("pyvenv.cfg").exists()
}

/// The tag that all numbers of an event file have, as far as its head tells.
fn only_tag(head: &[u8]) -> Option<String> {
    struct Nothing;
    impl Sink for Nothing {
        fn report(&mut self, _: &Names, _: &Report<'_>) {}
        fn setting(&mut self, _: &str, _: serde_json::Value) {}
        fn run_name(&mut self, _: &str) {}
        fn remark(&mut self, _: Remark) {}
    }
    let (mut names, mut head) = (Names::default(), head);
    tfevents::read(&mut head, &mut names, &mut Nothing).ok()?;
    let mut all = names.all();
    let (_, name) = all.next()?;
    all.next().is_none().then(|| name.name.clone())
}

/// How far a trainer had got when it wrote its state. The key stands before the history: keys are sorted.
fn global_step(head: &[u8]) -> Option<u64> {
    let key = b"\"global_step\":";
    let at = memchr::memmem::find(head, key)?;
    let rest = head.get(at + key.len()..)?.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}
