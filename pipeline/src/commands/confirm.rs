//! `pipeline confirm`: tests the cause that a verdict suspects, with a trial run that changes nothing else.

use std::path::Path;

use crate::args::ConfirmArgs;
use crate::commands::computing::compute_and_tell;
use crate::ui::look::Look;
use crate::ui::verdict;
use crate::ui::watch::Terminal;
use crate::{exit, ui};
use identity::Status;
use identity::verdict::Confirmation;
use insight::trial::{self, Trial};
use record::Record;
use session::Reader;
use session::failure::{Failure, FailureKind};
use session::judge;
use session::places::Paths;
use session::recorded::{Recorded, fork_at};
use session::run::RunOptions;
use session::{Session, selector};
use view::Source as _;
use view::verdict::short;

/// The suffix of a trial study's name.
const TRIAL: &str = "_trial";

/// Tests the cause in a run's verdict, and records the outcome.
pub fn confirm(args: &ConfirmArgs, paths: &Paths, here: &Path) -> Result<(), Failure> {
    let interrupt = exit::interrupt();
    let mut reader = Reader::open(paths, Terminal)?;
    let run = selector::one(&mut reader.record, &args.run)?;
    let (found, facts) = judge::anew(&mut reader, run)?;
    if facts.status != Status::Finished {
        let message = format!("{run} is {}, so its verdict is not final", facts.status);
        return Err(Failure::input(message, format!("to see the command that finishes the run: pipeline show {run}")));
    }
    let trial = trial::of(&found, &facts).map_err(|why| {
        let hint = match facts.forked_at() {
            Some(_) => format!("to see which run it was forked from: pipeline show {run}"),
            None => format!("to see the evidence: pipeline diagnose {run}"),
        };
        Failure::input(format!("{run}: {why}"), hint)
    })?;
    let recorded = Recorded::of(&mut reader.record, run, paths, here)?;
    recorded.check_corpus(&mut reader.record, paths, here)?;
    let mut sets = trial.sets.clone();
    if let Some(at) = trial.fork {
        let trajectory = reader.record.detail(run)?.trajectory_id;
        let parent = trajectory.map(|trajectory| reader.record.holder(trajectory, at)).transpose()?.flatten();
        let Some(parent) = parent else {
            return Err(Failure::failed(format!("BUG: no run holds checkpoint {at} of {run}"), ""));
        };
        sets.insert(0, fork_at(&parent, at));
    }
    // The trial gets a separate study, so that the original study's name keeps its meaning.
    let name = reader.summaries(Some(&[run]))?.pop().and_then(|summary| summary.experiment).unwrap_or_default();
    let name = if name.ends_with(TRIAL) { name } else { format!("{name}{TRIAL}") };
    sets.push(format!("name={}", serde_json::Value::from(name)));
    drop(reader);
    let experiment = recorded.with(&sets, paths, here)?;
    ui::talk(&format!("{run} {}; {}", short(&found.headline()), words(&trial, facts.forked_at())));
    let how = RunOptions { threads: args.threads, ..RunOptions::default() };
    // Only `confirm` records the outcome, so the hint must name it instead of `run`.
    let mut session = Session { paths, here, interrupt: &interrupt, watch: &mut Terminal };
    let done = compute_and_tell(&mut session, &experiment, &how).map_err(|failure| match failure.kind {
        FailureKind::Interrupted => Failure { hint: format!("to resume: pipeline confirm {run}"), ..failure },
        _ => failure,
    })?;
    let Some(row) = done.rows.first() else { return Err(Failure::failed("BUG: a trial without a run", "")) };

    let mut reader = Reader::open(paths, Terminal)?;
    let (other, there) = judge::anew(&mut reader, row.id)?;
    let (outcome, sentence) = trial.outcome((&found, &facts), (&other, &there));
    let confirmation = Confirmation { trial: row.id, cause: trial.cause.into(), outcome, sentence };
    Record::create(&paths.db)?.confirm(run, &confirmation)?;
    let all = reader.record.confirmations(run)?;
    ui::data(&format!("{run}\n{}", verdict::words(run, &found, &all, Look::stdout())));
    Ok(())
}

/// Describes the trial.
fn words(trial: &Trial, forked_at: Option<i64>) -> String {
    // The trial of a fork starts where the fork started, unless the trial has its own checkpoint.
    let from = match trial.fork.or(forked_at) {
        Some(at) => format!("from checkpoint {at}"),
        None => "from the beginning".to_owned(),
    };
    format!("trying {} {from}", trial.sets.join(", "))
}
