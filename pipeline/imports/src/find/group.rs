//! Which logs are of one run.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::LogFile;
use super::walk::Met;
use crate::columns::is_split;
use crate::detect::Format;

/// A run that has no name yet.
#[derive(Debug)]
pub struct Run {
    /// The folder that is its own, as [`super::Found::folder`], and where that is for sure.
    pub folder: PathBuf,
    pub real: PathBuf,
    pub files: Vec<LogFile>,
    /// The name of its file, if it is its file that tells it from other runs.
    pub file_name: Option<String>,
    /// Whether it is called by its file rather than by its folder.
    pub by_file: bool,
}

/// Puts the logs of one run together. Runs are in the order of their first logs.
pub fn grouped(met: Vec<Met>) -> Vec<Run> {
    let splits = Splits::of(&met);
    let newest = newest_states(&met);
    let mut in_folder: HashMap<PathBuf, usize> = HashMap::new();
    for log in met.iter().filter(|log| log.run.is_none()) {
        *in_folder.entry(parent(&log.real)).or_default() += 1;
    }
    let mut order: HashMap<(PathBuf, String), usize> = HashMap::new();
    let mut runs: Vec<Run> = Vec::new();
    for (index, log) in met.into_iter().enumerate() {
        let (folder, real) = (parent(&log.path), parent(&log.real));
        let file_name = log.real.file_name().map(|name| name.to_string_lossy().into_owned());
        // The run's folder, how many folders above the log's that is, what tells it from others there, and the split.
        let (above, key, split) = match log.format {
            Format::Events => match splits.split(&real) {
                Some((above, rest, split)) => (above, format!("events {rest}"), Some(split)),
                None => (0, "events ".to_owned(), None),
            },
            Format::TrainerState => {
                if !newest.contains(&index) {
                    continue;
                }
                (usize::from(checkpoint(&real)), "trainer".to_owned(), None)
            }
            Format::MlflowRun | Format::MlflowMetric => {
                let within = metrics_folder(&real);
                let above = match &log.run {
                    Some(run) => folder.components().count().saturating_sub(run.components().count()),
                    None => within.unwrap_or_default(),
                };
                (above, "mlflow".to_owned(), None)
            }
            Format::Csv => match splits.table(&log) {
                Some(split) => (0, "tables".to_owned(), Some(split)),
                None => (0, file_name.clone().unwrap_or_default(), None),
            },
            _ => (0, file_name.clone().unwrap_or_default(), None),
        };
        let (mut folder, mut real) = (up(&folder, above), up(&real, above));
        // A folder of several runs, told apart by the beginning of the names of the folders in it.
        if let Some(rest) = key.strip_prefix("events ").filter(|rest| !rest.is_empty()) {
            (folder, real) = (folder.join(rest), real.join(rest));
        }
        let file = LogFile { path: log.path, format: log.format, split };
        let alone = in_folder.get(&parent(&log.real)) == Some(&1);
        let run = *order.entry((real.clone(), key)).or_insert_with(|| {
            let by_file = called_by_file(log.format, log.by_name, alone, file_name.as_deref());
            runs.push(Run { folder, real, files: Vec::new(), file_name, by_file });
            runs.len() - 1
        });
        if let Some(run) = runs.get_mut(run) {
            run.files.push(file);
        }
    }
    for run in &mut runs {
        if run.files.len() > 1 {
            run.by_file = false;
            // TensorBoard reads the event files of a folder in the order of their names, which begin with the time.
            if run.files[0].format == Format::Events {
                run.files.sort_by(|a, b| a.path.cmp(&b.path));
            }
        }
    }
    runs
}

/// Whether a run is called by its file. What a program calls a file is the same for every run.
fn called_by_file(format: Format, by_name: bool, alone: bool, name: Option<&str>) -> bool {
    match format {
        Format::Events | Format::TrainerState | Format::MlflowRun => false,
        Format::Wandb => !alone,
        Format::MlflowDatabase | Format::TrackioDatabase | Format::MlflowMetric => true,
        Format::Csv if name == Some("metrics.csv") => false,
        Format::Csv | Format::JsonLines | Format::Text => by_name || !alone,
    }
}

pub fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

fn up(path: &Path, folders: usize) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..folders {
        // Above `a` is `.`, and above that `..`: paths are as the user gave them.
        if path.file_name().is_none() {
            path.push("..");
        } else {
            path.pop();
        }
    }
    path
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a folder is a checkpoint of Hugging Face's trainer.
fn checkpoint(folder: &Path) -> bool {
    name(folder).starts_with("checkpoint-")
}

/// How many folders above a metric's own the run's is, if it lies in `metrics`.
fn metrics_folder(folder: &Path) -> Option<usize> {
    folder.ancestors().position(|above| name(above) == "metrics").map(|above| above + 1)
}

/// Of each training, the state that got furthest: each checkpoint carries all of the history before it.
fn newest_states(met: &[Met]) -> BTreeSet<usize> {
    let mut newest: HashMap<PathBuf, (u64, bool, usize)> = HashMap::new();
    for (index, log) in met.iter().enumerate().filter(|(_, log)| log.format == Format::TrainerState) {
        let folder = parent(&log.real);
        let of_name = name(&folder).strip_prefix("checkpoint-").and_then(|number| number.parse().ok());
        let got = (log.global_step.or(of_name).unwrap_or_default(), !checkpoint(&folder), index);
        let known = newest.entry(up(&folder, usize::from(checkpoint(&folder)))).or_insert(got);
        *known = got.max(*known);
    }
    newest.into_values().map(|(_, _, index)| index).collect()
}

/// Folders of event files that are splits or curves of one run, and tables that are.
struct Splits {
    /// Of each folder with event files: the tag of all its numbers, if there is one.
    folders: HashMap<PathBuf, Option<String>>,
    /// Of each folder above such ones: their names.
    inner: HashMap<PathBuf, Vec<String>>,
    /// Of each folder: the tables in it that are named by a split, with the split and the header.
    tables: HashMap<(PathBuf, Vec<u8>), BTreeSet<String>>,
}

impl Splits {
    fn of(met: &[Met]) -> Self {
        let mut folders: HashMap<PathBuf, Option<String>> = HashMap::new();
        let mut tables: HashMap<(PathBuf, Vec<u8>), BTreeSet<String>> = HashMap::new();
        for log in met {
            let folder = parent(&log.real);
            if log.format == Format::Events {
                let tag = folders.entry(folder).or_insert_with(|| log.only_tag.clone());
                if *tag != log.only_tag {
                    *tag = None;
                }
            } else if let (Some(split), Some(header)) = (stem_split(&log.real), &log.header) {
                tables.entry((folder, header.clone())).or_default().insert(split);
            }
        }
        let mut inner: HashMap<PathBuf, Vec<String>> = HashMap::new();
        for folder in folders.keys() {
            inner.entry(parent(folder)).or_default().push(name(folder));
        }
        Self { folders, inner, tables }
    }

    /// The split that a folder is: how many folders above it the run's is, what else its name says, and the split.
    fn split(&self, folder: &Path) -> Option<(usize, String, String)> {
        let above = folder.parent()?;
        let own = name(folder);
        let beside = self.inner.get(above)?;
        let has_own = self.folders.contains_key(above);
        // Keras: `train/` and `validation/`. TensorFlow's estimators: the run's own folder, and `eval/`.
        if is_split(&own) {
            let splits = beside.iter().filter(|other| is_split(other)).count();
            let of_above = has_own || splits > 1 || splits == beside.len();
            return of_above.then(|| (1, String::new(), own));
        }
        // PyTorch's `add_scalars` makes a folder `TAG_KEY` for each curve, beside the run's own file
        // (`torch/utils/tensorboard/writer.py`).
        if has_own {
            let tag = self.folders.get(folder)?.as_ref()?.replace('/', "_");
            let key = own.strip_prefix(&tag)?.strip_prefix('_').filter(|key| !key.is_empty())?;
            return Some((1, String::new(), key.to_owned()));
        }
        // `lstm_train/` and `lstm_valid/`.
        let (rest, word) = own.rsplit_once(['_', '-']).filter(|(rest, word)| is_split(word) && !rest.is_empty())?;
        let alike = |other: &&String| {
            other.rsplit_once(['_', '-']).is_some_and(|(other, word)| other == rest && is_split(word))
        };
        (beside.iter().filter(alike).count() > 1).then(|| (1, rest.to_owned(), word.to_owned()))
    }

    /// The split that a table is: others beside it, named by other splits, have the same columns.
    fn table(&self, log: &Met) -> Option<String> {
        let split = stem_split(&log.real)?;
        let key = (parent(&log.real), log.header.clone()?);
        (self.tables.get(&key)?.len() > 1).then_some(split)
    }
}

/// The split that a file is named by.
fn stem_split(path: &Path) -> Option<String> {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).filter(|stem| is_split(stem))
}
