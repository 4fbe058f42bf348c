//! An experiment's TOML text, read to typed values and expanded to the points of its study.
//!
//! Whatever is wrong is found here, before anything runs, and is said with its line. It runs nothing, asks no record, and
//! fetches no corpus: it only says where one is.

mod check;
mod corpus;
mod exclude;
mod file;
mod grid;
mod keys;
mod slips;
mod study;
mod syntax;
mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stages::schema::flatten;

pub use check::nearest;
pub use keys::is_name;
use tree::{Node, Place};

/// An experiment with what the command line overrode.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// Its file, as it was named.
    pub path: PathBuf,
    /// The file's text.
    pub text: String,
    /// The `--set` texts.
    pub overrides: Vec<String>,
    /// Its name.
    pub name: String,
    /// The points of its study, in grid order: one where nothing is swept.
    pub points: Vec<Point>,
    /// Where each written key stands, for complaints that only turn up when a stage runs or its corpus is looked at.
    root: Node,
    /// Where each swept key is swept.
    axes: Vec<(String, Place)>,
}

/// One full set of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The swept keys and this point's values for them.
    pub swept: Vec<(String, Value)>,
    /// The experiment's seed.
    pub seed: i64,
    /// The corpus.
    pub corpus: Corpus,
    /// Each stage's table, complete; `evaluate` and `sample` are absent where the experiment leaves them out.
    pub stages: BTreeMap<&'static str, Value>,
}

/// Where the text comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Corpus {
    /// `text`, or `train` with perhaps `valid` and `test`.
    pub sources: Vec<Source>,
    /// How one text is cut in three.
    pub split: Option<Value>,
}

/// One corpus file.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// `text`, `train`, `valid` or `test`.
    pub name: String,
    /// Where it is.
    pub origin: Origin,
    /// The digest that its bytes must have, in lower-case hexadecimal.
    pub sha256: Option<String>,
}

/// Where a corpus file is.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// To be fetched.
    Url(String),
}

/// Why an experiment is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What is wrong, where, and what is allowed.
    pub message: String,
    /// What could be typed instead; may be empty.
    pub hint: String,
}

impl Refusal {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

/// What is wrong with an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what is allowed.
    pub message: String,
    /// What could be typed instead; may be empty.
    pub hint: String,
}

impl Problem {
    fn new(place: Place, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: hint.into() }
    }

    fn at(self, path: &Path) -> Refusal {
        let message = match self.place {
            Place::Line(line) => format!("{}:{line}: {}", path.display(), self.message),
            Place::Set(set) => format!("--set '{set}': {}", self.message),
            Place::Default => format!("{}: {}", path.display(), self.message),
        };
        Refusal::new(message, self.hint)
    }
}

impl Experiment {
    /// Reads and checks an experiment. Relative corpus paths are looked for from the working directory `here`, then
    /// from `root` (the database's folder), then from the experiment's own folder and those above it.
    pub fn load(path: &Path, overrides: &[String], here: &Path, root: &Path) -> Result<Self, Refusal> {
        let text = file::read(path, &here.join(path))?;
        Self::read(path, text, overrides, (here, root), false)
    }

    /// The same of a text that is at hand, which stood in the file `path` when it ran.
    pub fn of_text(path: &Path, text: String, overrides: &[String], here: &Path, root: &Path) -> Result<Self, Refusal> {
        Self::read(path, text, overrides, (here, root), true)
    }

    fn read(
        path: &Path,
        text: String,
        overrides: &[String],
        (here, root): (&Path, &Path),
        as_recorded: bool,
    ) -> Result<Self, Refusal> {
        let folders = corpus::folders(&here.join(path), here, root);
        let read = || -> Result<(String, Vec<Point>, Node, grid::Axes), Problem> {
            let mut tree = tree::parse(&text)?;
            let axes = grid::axes(&mut tree, overrides, as_recorded)?;
            let points = grid::points(&tree, &axes, &folders)?;
            let name = keys::name(&tree)?;
            Ok((name, points, tree, axes))
        };
        let (name, points, root, axes) = read().map_err(|problem| problem.at(path))?;
        Ok(Self { path: path.to_owned(), text, overrides: overrides.to_vec(), name, points, root, axes: axes.places() })
    }

    /// The overrides that make one of the points of a study the only one: each swept key at that point's value.
    pub fn pins(&self, point: &Point) -> Vec<String> {
        let mut pins: Vec<String> = Vec::new();
        for (key, _) in &self.axes {
            let own = point.swept.iter().find(|(swept, _)| swept == key).map(|(_, value)| value.clone());
            let Some(value) = own.or_else(|| keys::written(point, key)) else { continue };
            let pin = format!("{key}={}", tree::toml(&value));
            if !pins.contains(&pin) {
                pins.push(pin);
            }
        }
        pins
    }

    /// The same with each `auto` for a device settled: for a GPU where there is one.
    pub fn settled(&self, gpu: bool) -> Self {
        let device = Value::from(if gpu { "cuda" } else { "cpu" });
        let mut this = self.clone();
        for point in &mut this.points {
            let swept = point.swept.iter_mut().filter(|(key, _)| key == "train.device").map(|(_, value)| value);
            let own = point.stages.get_mut("train").and_then(|train| train.get_mut("device"));
            swept.chain(own).filter(|value| **value == "auto").for_each(|value| *value = device.clone());
        }
        this
    }

    /// Words a complaint about `key` that turned up while a stage ran, with the key's line.
    pub fn complain(&self, key: &str, message: &str, hint: &str) -> Refusal {
        // The nearest written key above it, when the key itself is a default.
        let mut path = key;
        let place = loop {
            let swept = self.axes.iter().find(|(axis, _)| axis == path).map(|(_, place)| place);
            match (swept.or(self.root.at(path).map(|node| &node.place)), path.rsplit_once('.')) {
                (Some(place), _) => break place.clone(),
                (None, Some((above, _))) => path = above,
                (None, None) => break Place::Default,
            }
        };
        Problem::new(place, message, hint).at(&self.path)
    }
}

impl Point {
    /// Every parameter by its dotted name, tables opened: what the record keeps of a run.
    pub fn flat(&self) -> Vec<(String, Value)> {
        let mut all = vec![("seed".to_owned(), Value::from(self.seed))];
        for source in &self.corpus.sources {
            let origin = match &source.origin {
                Origin::File(path) => path.display().to_string(),
                Origin::Url(url) => url.clone(),
            };
            all.push((format!("corpus.{}", source.name), Value::from(origin)));
        }
        if let Some(split) = &self.corpus.split {
            flatten("corpus.split", split, &mut all);
        }
        for (stage, table) in &self.stages {
            let Value::Object(entries) = table else { continue };
            // The split is handed to the stage that cuts, and is the corpus's to everybody else.
            for (key, value) in entries.iter().filter(|(key, _)| self.corpus.split.is_none() || *key != "split") {
                flatten(&format!("{stage}.{key}"), value, &mut all);
            }
        }
        all
    }
}

#[cfg(test)]
mod docs_test;
#[cfg(test)]
mod tests;
