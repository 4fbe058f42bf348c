//! Messages during a computation.

use super::counter::Counter;
use super::progress::Screen;
use super::{end, talk};
use experiment::{Experiment, Point};
use identity::RunId;
use session::places::Paths;
use session::{News, Watch};

/// Shows the progress of a computation on standard error, whether or not that is a terminal.
#[derive(Debug)]
pub struct Terminal;

impl Watch for Terminal {
    fn note(&mut self, words: &str) {
        talk(words);
    }

    fn fetches(&mut self) -> Box<dyn FnMut(News<'_>) + '_> {
        let mut counter: Option<Counter> = None;
        Box::new(move |news| match news {
            News::Waiting { url } => talk(&format!("another process is fetching {url}; waiting")),
            News::Begins { url, from, whole } => counter = Some(Counter::new(&format!("fetching {url}"), from, whole)),
            News::Arrived(bytes) => counter.iter_mut().for_each(|counter| counter.advance(bytes)),
            News::Silent { url, since, patience } => {
                let (since, patience) = (since.as_secs(), patience.as_secs());
                let words = format!("{url}: no data for {since} s; waiting up to {patience} s");
                counter.as_ref().map_or_else(|| talk(&words), |counter| counter.talk(&words));
            }
            News::Lost { url, words } => {
                counter = None;
                talk(&format!("{url}: {words}; retrying"));
            }
        })
    }

    fn work(&mut self) -> Box<dyn engine::work::WorkObserver + '_> {
        Box::new(Screen::new())
    }

    fn replay(&mut self, run: RunId, steps: u64) -> Box<dyn FnMut() + '_> {
        let mut counter = Counter::of_steps(&format!("replaying {run}"), steps);
        Box::new(move || counter.advance(1))
    }

    fn judging(&self, runs: u64) -> Box<dyn FnMut()> {
        let mut counter = Counter::of_runs("judging", runs);
        Box::new(move || counter.advance(1))
    }

    fn label(&self, point: &Point) -> String {
        end::label(point)
    }

    fn resumes(&self, experiment: &Experiment, paths: &Paths) -> String {
        end::resumes(experiment, paths)
    }
}
