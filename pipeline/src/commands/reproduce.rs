//! `pipeline reproduce`: recomputes a run outside the record, and compares the result with what is recorded.

mod differences;

use std::path::Path;

use differences::Differences;

use crate::args::ReproduceArgs;
use crate::ui::format;
use crate::ui::watch::Terminal;
use crate::{exit, ui};
use identity::Status;
use session::Reader;
use session::again::Scratch;
use session::failure::Failure;
use session::places::Paths;
use session::recorded::Recorded;
use session::{Session, selector};
use view::Source as _;

/// Reproduces a run.
pub fn reproduce(args: &ReproduceArgs, paths: &Paths, here: &Path) -> Result<(), Failure> {
    let interrupt = exit::interrupt();
    let mut reader = Reader::open(paths, Terminal)?;
    let run = selector::one(&mut reader.record, &args.run)?;
    let status = reader.summaries(Some(&[run]))?.pop().map_or(Status::Interrupted, |summary| summary.status);
    let recorded = Recorded::of(&mut reader.record, run, paths, here)?;
    if status != Status::Finished {
        let message = format!("{run} is {status}, so there is no complete run to compare with");
        let command = format::command(recorded.path(), recorded.overrides());
        return Err(Failure::input(message, format!("to finish the run: {command}")));
    }
    recorded.check_corpus(&mut reader.record, paths, here)?;
    let scratch = Scratch::new()?;
    let mut session = Session { paths, here, interrupt: &interrupt, watch: &mut Terminal };
    let anew = scratch.compute(&mut session, &mut reader.record, run)?;
    let mut fresh = Reader::open(&scratch.paths(), Terminal)?;
    let found = Differences::between((&mut reader, run), (&mut fresh, anew))?;
    ui::data(&found.words());
    // The differences are already printed.
    if found.none() { Ok(()) } else { Err(Failure::failed("", "")) }
}
