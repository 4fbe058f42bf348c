//! [`Reader`] as the source of views: selected runs, their verdicts, and the outputs of their stages.

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

/// Which runs to list, as typed by the user.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'a> {
    /// Runs and studies; empty for all runs.
    pub selectors: &'a [String],
    /// Comparisons that must all hold: `train.learning_rate>=0.1`.
    pub filters: &'a [String],
    /// The column or parameter to sort by; a leading `-` reverses the order.
    pub sort: Option<&'a str>,
}

impl Reader {
    /// The selected runs with their verdicts, in the order in which they were named unless `sort` says otherwise.
    ///
    /// # Errors
    /// When a selector, a comparison or `sort` names something that does not exist.
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
