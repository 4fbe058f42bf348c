//! What is said while something is computed.

use crate::corpus::News;
use crate::places::Paths;
use experiment::{Experiment, Point};
use identity::RunId;

/// Whoever watches: a terminal, a page. It chooses the words that session does not have.
pub trait Watch {
    /// Something that a user should read.
    fn note(&mut self, words: &str);

    /// Who is told of what is fetched, as long as corpora are brought to hand.
    fn fetches(&mut self) -> Box<dyn FnMut(News<'_>) + '_>;

    /// Who is told of the work, as long as it lasts.
    fn work(&mut self) -> Box<dyn engine::work::WorkObserver + '_>;

    /// Who is told of each of so many steps of a run that are replayed.
    fn replay(&mut self, run: RunId, steps: u64) -> Box<dyn FnMut() + '_>;

    /// Who is told of each of so many runs that are judged.
    fn judging(&self, runs: u64) -> Box<dyn FnMut()>;

    /// What tells a point from its siblings, in a few characters.
    fn label(&self, point: &Point) -> String;

    /// What resumes the work on an experiment, as a hint.
    fn resumes(&self, experiment: &Experiment, paths: &Paths) -> String;
}
