//! What a computation reports while it runs.

use crate::corpus::News;
use crate::places::Paths;
use experiment::{Experiment, Point};
use identity::RunId;

/// Follows a computation, as a terminal or a page does, and supplies the texts that this crate leaves to it.
pub trait Watch {
    /// Shows a note to the user.
    fn note(&mut self, words: &str);

    /// A callback for events while corpora are fetched.
    fn fetches(&mut self) -> Box<dyn FnMut(News<'_>) + '_>;

    /// An observer of the engine's work.
    fn work(&mut self) -> Box<dyn engine::work::WorkObserver + '_>;

    /// A callback for each of the `steps` of a replay.
    fn replay(&mut self, run: RunId, steps: u64) -> Box<dyn FnMut() + '_>;

    /// A callback for each of the `runs` that are judged.
    fn judging(&self, runs: u64) -> Box<dyn FnMut()>;

    /// A short label that distinguishes a point from its siblings.
    fn label(&self, point: &Point) -> String;

    /// A hint that says how to resume the work on an experiment.
    fn resumes(&self, experiment: &Experiment, paths: &Paths) -> String;
}
