//! An experiment's TOML, parsed into typed values and expanded into the points of its study.
//!
//! Every mistake is found here, before anything runs, and reported with its line. This crate runs nothing, queries no
//! record and fetches no corpus: it only locates one.

mod assignment;
mod axes;
mod check;
mod constraints;
mod corpus;
mod exclude;
mod file;
mod grid;
mod keys;
mod point;
mod problem;
mod slips;
mod study;
mod syntax;
mod tables;
mod tree;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use stages::params::Device;

pub use check::nearest;
pub use point::{Corpus, CorpusFile, CorpusOrigin, Point, StageTable, Stages};
pub use problem::Refusal;
use problem::{Location, Problem};
pub use tables::is_name;
use tree::TomlNode;

/// An experiment, with the command line's overrides applied.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The path of its file, as given.
    pub path: PathBuf,
    /// The file's text.
    pub text: String,
    /// The `--set` arguments.
    pub overrides: Vec<String>,
    /// Its name.
    pub name: String,
    /// The points of its study, in grid order; a single one if nothing is swept.
    pub points: Vec<Point>,
    /// Where each key was written, for errors that are found only when the corpus is read or a stage runs.
    root: TomlNode,
    /// Where each swept key is listed.
    axes: Vec<(String, Location)>,
}

impl Experiment {
    /// Reads and checks an experiment. A relative corpus path is searched for in the working directory `here`, then in
    /// `root` (the database's folder), then in the experiment's folder and its ancestors.
    pub fn load(path: &Path, overrides: &[String], here: &Path, root: &Path) -> Result<Self, Refusal> {
        let text = file::read(path, &here.join(path))?;
        Self::read(path, text, overrides, (here, root), false)
    }

    /// Like [`Self::load`], for a text from the record: the content that the file `path` had when it was run.
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
        let folders = corpus::search_path(&here.join(path), here, root);
        let read = || -> Result<(String, Vec<Point>, TomlNode, axes::Axes), Problem> {
            let mut tree = tree::parse(&text)?;
            let axes = grid::axes(&mut tree, overrides, as_recorded)?;
            let points = grid::points(&tree, &axes, &folders)?;
            let name = tables::name(&tree)?;
            Ok((name, points, tree, axes))
        };
        let (name, points, root, axes) = read().map_err(|problem| problem.at(path))?;
        Ok(Self {
            path: path.to_owned(),
            text,
            overrides: overrides.to_vec(),
            name,
            points,
            root,
            axes: axes.locations(),
        })
    }

    /// The overrides that reduce the study to `point`: each swept key set to that point's value.
    pub fn pins(&self, point: &Point) -> Vec<String> {
        let mut pins: Vec<String> = Vec::new();
        for (key, _) in &self.axes {
            let own = point.swept.iter().find(|(swept, _)| swept == key).map(|(_, value)| value.clone());
            let Some(value) = own.or_else(|| point.written(key)) else { continue };
            let pin = format!("{key}={}", tree::toml(&value));
            if !pins.contains(&pin) {
                pins.push(pin);
            }
        }
        pins
    }

    /// The experiment with each device `auto` resolved: to the GPU if there is one.
    pub fn settled(&self, gpu: bool) -> Cow<'_, Self> {
        let is_open = |point: &Point| point.stages.train.read.device == Device::Auto;
        // Copying a large study takes as long as all else that is done to find it up to date, so copy only if needed.
        if !self.points.iter().any(is_open) {
            return Cow::Borrowed(self);
        }
        let (device, name) = if gpu { (Device::Cuda, "cuda") } else { (Device::Cpu, "cpu") };
        let mut this = self.clone();
        for point in this.points.iter_mut().filter(|point| is_open(point)) {
            let swept = point.swept.iter_mut().filter(|(key, _)| key == "train.device");
            swept.for_each(|(_, value)| *value = Value::from(name));
            let train = Arc::make_mut(&mut point.stages.train);
            train.json["device"] = Value::from(name);
            train.read.device = device;
        }
        Cow::Owned(this)
    }

    /// An error about `key` that was found only after loading, with the key's line.
    pub fn complain(&self, key: &str, message: &str, hint: &str) -> Refusal {
        // If the key itself was not written, take the location of the nearest enclosing table that was.
        let mut path = key;
        let location = loop {
            let swept = self.axes.iter().find(|(axis, _)| axis == path).map(|(_, location)| location);
            match (swept.or(self.root.at(path).map(|node| &node.location)), path.rsplit_once('.')) {
                (Some(location), _) => break location.clone(),
                (None, Some((above, _))) => path = above,
                (None, None) => break Location::Default,
            }
        };
        Problem::new(location, message, hint).at(&self.path)
    }
}

#[cfg(test)]
mod docs_test;
#[cfg(test)]
mod tests;
