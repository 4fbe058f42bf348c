//! The interface through which views are gathered.

use std::collections::HashMap;
use std::path::PathBuf;

use identity::verdict::Verdict;
use identity::{RunId, Status};
use insight::verdict::Facts;
use record::read::{Execution, RunSummary, StageRow};
use record::{self, Record, RecordError};
use stages::StageError;

/// The number of runs from which a second database connection saves time.
const MANY: usize = 100;

/// Why a view can't be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoView {
    /// What is wrong.
    pub message: String,
    /// What to type instead; can be empty.
    pub hint: String,
}

/// A record, together with the verdicts on its runs and the knowledge of which processes are alive.
pub trait Source {
    /// The error of reading a view.
    type Error: From<RecordError> + From<StageError> + From<NoView>;

    /// The record.
    fn record(&mut self) -> &mut Record;

    /// Whether the process with this identifier is alive.
    fn is_alive(&self, process: &str) -> bool;

    /// The names of all stages, in the order in which they run.
    fn stage_names(&self) -> Vec<String>;

    /// The verdicts of some runs, in the given order.
    fn verdicts(&mut self, runs: &[RunId]) -> Result<Vec<Verdict>, Self::Error>;

    /// Judges some runs again, whatever the record says, and hands each verdict and its facts to `visit`: one run at a
    /// time, because facts are large.
    fn judge_again(&mut self, runs: &[RunId], visit: &mut dyn FnMut(Verdict, &Facts)) -> Result<(), Self::Error>;

    /// The file of a run's output, such as the plan of `batch`.
    fn object(&mut self, run: RunId, stage: &str, name: &str) -> Result<PathBuf, Self::Error>;

    /// Reads with `side` and with `own`, in parallel if there are many runs, because one connection uses only one core.
    fn beside<A, B: Send>(
        &mut self,
        runs: usize,
        side: impl Fn(&mut Record) -> record::Result<B> + Sync,
        own: impl FnOnce(&mut Self) -> Result<A, Self::Error>,
    ) -> Result<(A, B), Self::Error>
    where
        Self: Sized,
    {
        let path = self.record().path().to_owned();
        let (own, read) = std::thread::scope(|scope| {
            let thread = || side(&mut Record::open(&path)?);
            let thread = (runs >= MANY).then(|| std::thread::Builder::new().spawn_scoped(scope, thread));
            let own = own(self);
            (own, thread.and_then(Result::ok).and_then(|thread| thread.join().ok()))
        });
        // If the other thread could not start or failed, this one does its work, or returns the error.
        match read {
            Some(Ok(read)) => Ok((own?, read)),
            _ => Ok((own?, side(self.record())?)),
        }
    }

    /// The summaries of some runs in the given order, or of all runs.
    fn summaries(&mut self, runs: Option<&[RunId]>) -> Result<Vec<RunSummary>, Self::Error> {
        let mut found = self.record().summaries(runs)?;
        if found.iter().any(|summary| summary.status == Status::Interrupted) {
            let names = self.stage_names();
            let order: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut stopped: HashMap<RunId, String> = self.record().stopped(&order)?.into_iter().collect();
            found.iter_mut().for_each(|summary| summary.stopped_at = stopped.remove(&summary.run));
        }
        for summary in &mut found {
            self.settle(&mut summary.status, summary.process.as_deref());
        }
        if let Some(runs) = runs {
            let places: HashMap<RunId, usize> = runs.iter().zip(0..).map(|(run, place)| (*run, place)).collect();
            found.sort_by_key(|summary| places.get(&summary.run).copied());
        }
        Ok(found)
    }

    /// A run's stages in order. Stages that a dead process was running are interrupted.
    fn stages(&mut self, run: RunId) -> Result<Vec<StageRow>, Self::Error> {
        let names = self.stage_names();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        Ok(self.stages_of(&[run], &all)?.pop().unwrap_or_default())
    }

    /// For each run, its stages with these names, in the order of `names`.
    fn stages_of(&mut self, runs: &[RunId], names: &[&str]) -> Result<Vec<Vec<StageRow>>, Self::Error> {
        let mut found = self.record().stages_of(runs, names)?;
        for stage in found.iter_mut().flatten() {
            self.settle(&mut stage.status, stage.process.as_deref());
        }
        Ok(found)
    }

    /// At most `most` executions of the stages `names` that produced results of some runs, the earliest first.
    fn executions(&mut self, runs: &[RunId], names: &[&str], most: usize) -> Result<Vec<Execution>, Self::Error> {
        let mut found = self.record().executions(runs, names, most)?;
        for execution in &mut found {
            self.settle(&mut execution.status, execution.process.as_deref());
        }
        Ok(found)
    }

    /// Turns `running` into `interrupted` if the process is dead: a killed process can't record its end.
    fn settle(&self, status: &mut Status, process: Option<&str>) {
        if *status == Status::Running && !process.is_some_and(|process| self.is_alive(process)) {
            *status = Status::Interrupted;
        }
    }
}
