//! Recomputes a run in a temporary folder.

use crate::Session;
use crate::failure::Failure;
use crate::places::Paths;
use crate::plan::training;
use crate::recorded::{Recorded, fork_at};
use crate::run::RunOptions;
use crate::temporary::Temporary;
use engine::stop::Stop as _;
use engine::work::{End, Interruption};
use identity::{RunId, StageName};
use record::Record;
use record::read::Forked;

/// A temporary record with a temporary store, both removed on drop.
#[derive(Debug)]
pub struct Scratch(Temporary);

impl Scratch {
    /// Creates the record and the store in the system's temporary folder.
    ///
    /// # Errors
    /// When that folder can't be written to.
    pub fn new() -> Result<Self, Failure> {
        Temporary::new("reproduce").map(Self)
    }

    /// The paths of the record and the store.
    pub fn paths(&self) -> Paths {
        let folder = self.0.path();
        Paths { db: folder.join("experiments.db"), named: true, store: Some(folder.join("store")) }
    }

    /// Recomputes a run of `record`, the session's record, and before it the runs that it was forked from. Returns its
    /// number in the temporary record.
    ///
    /// # Errors
    /// When the run can't be computed, fails, or is interrupted.
    pub fn compute(&self, session: &mut Session<'_>, record: &mut Record, run: RunId) -> Result<RunId, Failure> {
        self.compute_until(session, record, run, None)
    }

    fn compute_until(
        &self,
        session: &mut Session<'_>,
        record: &mut Record,
        run: RunId,
        until: Option<StageName>,
    ) -> Result<RunId, Failure> {
        let recorded = Recorded::of(record, run, session.paths, session.here)?;
        let mut further = Vec::new();
        if let Some(Forked { step, parent: Some(parent) }) = record.forks(run)?.first().cloned() {
            let parent = self.compute_until(session, record, parent, Some(training()))?;
            // With another version of libtorch, the recomputed parent has a different identity.
            let identity = Record::open(&self.paths().db)?.trained(parent)?.map(|trained| trained.identity);
            further.push(fork_at(&identity.unwrap_or_default(), step));
        }
        let experiment = recorded.with(&further, session.paths, session.here)?;
        let how =
            RunOptions { threads: record.trained(run)?.map(|trained| trained.threads), until, ..RunOptions::default() };
        let paths = self.paths();
        let mut beside = Session { paths: &paths, watch: &mut *session.watch, ..*session };
        let done = beside.compute(&experiment, &how)?;
        let (row, end) = done.rows.first().zip(done.summary.ends.first()).ok_or_else(nothing)?;
        match end {
            End::Finished => Ok(row.id),
            End::Failed { message, hint, .. } => Err(Failure::failed(format!("recomputing {run}: {message}"), hint)),
            End::Interrupted { cause: Some(Interruption { message, hint }) } => {
                Err(Failure::failed(format!("recomputing {run}: {message}"), hint))
            }
            End::Interrupted { cause: None } if session.interrupt.is_asked() => {
                let hint = "no partial result was kept; run the same command again to start over";
                Err(Failure::interrupted("interrupted", hint))
            }
            End::Interrupted { cause: None } => Err(nothing()),
        }
    }
}

fn nothing() -> Failure {
    Failure::failed("BUG: nothing was computed", "")
}
