//! A run computed again in a folder that goes when it is done.

use std::path::Path;

use crate::args::How;
use crate::commands::recorded::{Recorded, fork_at};
use crate::commands::run;
use crate::commands::stop::Stop;
use crate::commands::temporary::Temporary;
use crate::failure::{Failure, INTERRUPTED};
use crate::places::Paths;
use engine::work::{Cause, End};
use record::Record;
use record::read::Forked;

/// A record and a store of its own, both gone with the value.
#[derive(Debug)]
pub struct Scratch(Temporary);

impl Scratch {
    /// In the folder of temporary files.
    pub fn new() -> Result<Self, Failure> {
        Temporary::new("reproduce").map(Self)
    }

    /// Where both are.
    pub fn paths(&self) -> Paths {
        let folder = self.0.path();
        Paths { db: folder.join("experiments.db"), named: true, store: Some(folder.join("store")) }
    }

    /// Computes a run of `record` again, up to a stage or whole, and before it what it was forked from; its number here.
    pub fn compute(
        &self,
        record: &mut Record,
        run: i64,
        until: Option<&str>,
        (paths, here): (&Paths, &Path),
        stop: &Stop,
    ) -> Result<i64, Failure> {
        let recorded = Recorded::of(record, run, paths, here)?;
        let mut further = Vec::new();
        if let Some(Forked { step, parent: Some(parent) }) = record.forks(run)?.first().cloned() {
            let parent = self.compute(record, parent, Some("train"), (paths, here), stop)?;
            // Under another libtorch the same training has another identity.
            let identity = Record::open(&self.paths().db)?.trained(parent)?.map(|trained| trained.identity);
            further.push(fork_at(&identity.unwrap_or_default(), step));
        }
        let experiment = recorded.with(&further, paths, here)?;
        let how = How {
            threads: record.trained(run)?.map(|trained| trained.threads),
            until: until.map(str::to_owned),
            ..How::default()
        };
        let done = run::compute(&experiment, &how, &self.paths(), here, stop)?;
        let (row, end) = done.rows.first().zip(done.summary.ends.first()).ok_or_else(nothing)?;
        match end {
            End::Finished => Ok(row.id.0),
            End::Failed { message, hint, .. } => Err(Failure::failed(format!("run{run}, again: {message}"), hint)),
            End::Interrupted { cause: Some(Cause { message, hint }) } => {
                Err(Failure::failed(format!("run{run}, again: {message}"), hint))
            }
            End::Interrupted { cause: None } if stop.is_asked() => {
                let hint = "nothing is kept of a run that is computed again";
                Err(Failure { code: INTERRUPTED, message: "interrupted".to_owned(), hint: hint.to_owned() })
            }
            End::Interrupted { cause: None } => Err(nothing()),
        }
    }
}

fn nothing() -> Failure {
    Failure::failed("BUG: nothing was computed", "")
}
