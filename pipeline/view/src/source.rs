//! What views are gathered from.

use std::collections::HashMap;
use std::path::PathBuf;

use identity::verdict::Verdict;
use identity::{RunId, Status};
use insight::verdict::Facts;
use record::read::{Execution, RunSummary, StageRow};
use record::{self, Record, RecordError};
use stages::StageError;

/// From so many runs on it pays to open a second connection.
const MANY: usize = 100;

/// Why there is no such view, and what could be asked for instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoView {
    /// What is wrong.
    pub message: String,
    /// What can be typed; empty where there is nothing.
    pub hint: String,
}

/// A record, and whoever judges its runs and knows which of its processes still live.
pub trait Source {
    /// What goes wrong.
    type Error: From<RecordError> + From<StageError> + From<NoView>;

    /// The record.
    fn record(&mut self) -> &mut Record;

    /// Whether the process of that name still runs.
    fn is_alive(&self, process: &str) -> bool;

    /// The names of all stages, in the order in which they run.
    fn stage_names(&self) -> Vec<String>;

    /// The verdicts of some runs, in their order.
    fn verdicts(&mut self, runs: &[RunId]) -> Result<Vec<Verdict>, Self::Error>;

    /// Judges some runs again, whatever was concluded before, and hands each verdict to `visit` with what it rests on: of
    /// one run at a time, since that is large.
    fn judge_again(&mut self, runs: &[RunId], visit: &mut dyn FnMut(Verdict, &Facts)) -> Result<(), Self::Error>;

    /// The file of a run's output, such as the plan of `batch`.
    fn object(&mut self, run: RunId, stage: &str, name: &str) -> Result<PathBuf, Self::Error>;

    /// Reads two things, of many runs side by side: one connection keeps one core busy.
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
        // Where there is no room for another thread or connection, or the other failed, this one says so or does it.
        match read {
            Some(Ok(read)) => Ok((own?, read)),
            _ => Ok((own?, side(self.record())?)),
        }
    }

    /// The named runs in the order given, or all.
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

    /// A run's stages in their order; those that a dead process was at are interrupted.
    fn stages(&mut self, run: RunId) -> Result<Vec<StageRow>, Self::Error> {
        let names = self.stage_names();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        Ok(self.stages_of(&[run], &all)?.pop().unwrap_or_default())
    }

    /// The stages of each of some runs that have one of some names, in the order of these.
    fn stages_of(&mut self, runs: &[RunId], names: &[&str]) -> Result<Vec<Vec<StageRow>>, Self::Error> {
        let mut found = self.record().stages_of(runs, names)?;
        for stage in found.iter_mut().flatten() {
            self.settle(&mut stage.status, stage.process.as_deref());
        }
        Ok(found)
    }

    /// The first executions that served some runs at some stages.
    fn executions(&mut self, runs: &[RunId], names: &[&str], most: usize) -> Result<Vec<Execution>, Self::Error> {
        let mut found = self.record().executions(runs, names, most)?;
        for execution in &mut found {
            self.settle(&mut execution.status, execution.process.as_deref());
        }
        Ok(found)
    }

    /// What is `running` in a process that is gone is interrupted, whatever the record says: a process that is killed can't
    /// write that down.
    fn settle(&self, status: &mut Status, process: Option<&str>) {
        if *status == Status::Running && !process.is_some_and(|process| self.is_alive(process)) {
            *status = Status::Interrupted;
        }
    }
}
