//! The record as views are gathered from it: runs that are chosen, their verdicts, and the outputs of their stages.

use std::path::PathBuf;

use crate::failure::Failure;
use crate::filter::{Columns, Filter};
use crate::plan::built_in;
use crate::reader::Reader;
use crate::{filter, judge};
use engine::lock::is_alive;
use identity::RunId;
use identity::verdict::Verdict;
use insight::verdict::Facts;
use record::Record;
use view::Source;
use view::runs::RunsView;

/// Which runs are listed, as a user said it.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'a> {
    /// Names of runs and studies; none for all runs.
    pub selectors: &'a [String],
    /// Comparisons that all hold: `train.learning_rate>=0.1`.
    pub filters: &'a [String],
    /// A column or parameter, which a leading `-` reverses.
    pub sort: Option<&'a str>,
}

impl Reader {
    /// The runs that are chosen, with their verdicts; in the order in which they were named, unless they are sorted.
    ///
    /// # Errors
    /// Where a selector, a comparison or the order names nothing that there is.
    pub fn choose(&mut self, chosen: &Chosen<'_>) -> Result<RunsView, Failure> {
        let filters: Vec<Filter> = chosen.filters.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        let named = match chosen.selectors.is_empty() {
            true => None,
            false => Some(self.named(chosen.selectors)?),
        };
        let made = judge::refresh(self, named.as_deref())?;
        let mut runs = self.summaries(named.as_deref())?;
        for summary in &mut runs {
            if let Some(made) = made.get(&summary.run) {
                summary.verdict = Some(made.verdict.into());
            }
        }
        if !filters.is_empty() || chosen.sort.is_some() {
            let numbers: Vec<RunId> = runs.iter().map(|summary| summary.run).collect();
            let columns = Columns::of(&runs, self.record.params(&numbers)?);
            runs = filter::apply(runs, &columns, &filters, chosen.sort)?;
        }
        Ok(RunsView { runs })
    }
}

impl Source for Reader {
    type Error = Failure;

    fn record(&mut self) -> &mut Record {
        &mut self.record
    }

    fn is_alive(&self, process: &str) -> bool {
        is_alive(&self.store, process)
    }

    fn stage_names(&self) -> Vec<String> {
        built_in().iter().map(|stage| stage.name.to_string()).collect()
    }

    fn verdicts(&mut self, runs: &[RunId]) -> Result<Vec<Verdict>, Failure> {
        judge::verdicts(self, runs)
    }

    fn judge_again(&mut self, runs: &[RunId], visit: &mut dyn FnMut(Verdict, &Facts)) -> Result<(), Failure> {
        judge::each_anew(self, runs, visit)
    }

    fn object(&mut self, run: RunId, stage: &str, name: &str) -> Result<PathBuf, Failure> {
        Reader::object(self, run, stage, name)
    }
}
