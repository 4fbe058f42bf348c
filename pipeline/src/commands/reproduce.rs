//! `pipeline reproduce`: a run computed afresh, beside the record and not in it, and held against what is recorded.

mod again;
mod differences;

use std::path::Path;

use again::Scratch;
use differences::Differences;

use crate::args::ReproduceArgs;
use crate::commands::reading::Reader;
use crate::commands::recorded::Recorded;
use crate::commands::stop::Stop;
use crate::failure::Failure;
use crate::places::Paths;
use crate::{selector, ui};
use experiment::Origin;
use record::Record;
use system::files;
use view::Source as _;

/// Reproduces a run.
pub fn reproduce(args: &ReproduceArgs, paths: &Paths, here: &Path) -> Result<(), Failure> {
    let stop = Stop::listen();
    let mut reader = Reader::open(paths)?;
    let run = selector::one(&mut reader.record, &args.run)?;
    let status = reader.summaries(Some(&[run]))?.pop().map(|summary| summary.status).unwrap_or_default();
    let recorded = Recorded::of(&mut reader.record, run, paths, here)?;
    if status != "finished" {
        let message = format!("run{run} is {status}: there is no whole run to compare with");
        return Err(Failure::input(message, recorded.command()));
    }
    check_corpus(&mut reader.record, run, &recorded, paths, here)?;
    let scratch = Scratch::new()?;
    let anew = scratch.compute(&mut reader.record, run, None, (paths, here), &stop)?;
    let mut fresh = Reader::open(&scratch.paths())?;
    let found = Differences::between((&mut reader, run), (&mut fresh, anew))?;
    ui::data(&found.words());
    // The screen has said all.
    if found.none() { Ok(()) } else { Err(Failure::failed("", "")) }
}

/// Refuses a corpus that is no longer what the run read. One that is gone was missed when the experiment was read.
pub fn check_corpus(
    record: &mut Record,
    run: i64,
    recorded: &Recorded,
    paths: &Paths,
    here: &Path,
) -> Result<(), Failure> {
    let before = record.inputs(run, "tokenize")?;
    let experiment = recorded.with(&[], paths, here)?;
    for source in experiment.points.iter().flat_map(|point| &point.corpus.sources) {
        let Origin::File(path) = &source.origin else { continue };
        let Some((name, digest)) = before.iter().find(|(name, _)| *name == source.name) else { continue };
        let found = files::digest(path)
            .map_err(|error| Failure::input(format!("{}: {error}", path.display()), ""))?
            .to_string();
        if found != *digest {
            let message = format!("{} has changed since run{run}: its SHA-256 was {digest}", path.display());
            return Err(experiment.complain(&format!("corpus.{name}"), &message, "bring that text back").into());
        }
    }
    Ok(())
}
