//! `pipeline fork`.

use std::path::Path;

use crate::args::ForkArgs;
use crate::commands::reading::Reader;
use crate::commands::recorded::{Recorded, fork_at};
use crate::commands::run;
use crate::failure::Failure;
use crate::places::Paths;
use crate::selector;
use crate::ui::format::count;

/// Forks a run: its experiment as the record has it, with the checkpoint as one more parameter, run as any other.
pub fn fork(args: &ForkArgs, paths: &Paths, here: &Path) -> Result<(), Failure> {
    let stop = run::stop_flag();
    let mut reader = Reader::open(paths)?;
    let run = selector::one(&mut reader.record, &args.run)?;
    let steps = reader.summaries(Some(&[run]))?.first().map_or(0, |summary| summary.steps);
    let at = i64::try_from(args.at).unwrap_or(i64::MAX);
    let trajectory = match reader.record.detail(run)?.trajectory_id {
        Some(trajectory) if steps > 0 => trajectory,
        _ => return Err(Failure::input(format!("run{run} has no steps yet"), format!("pipeline show run{run}"))),
    };
    if at > steps {
        let message = format!("run{run} has no checkpoint {}; allowed: 1 to {}", count(at), count(steps));
        return Err(Failure::input(
            message,
            format!("pipeline fork run{run} --at {steps} --set train.steps={}", 2 * steps),
        ));
    }
    let Some(parent) = reader.record.holder(trajectory, at)? else {
        return Err(Failure::failed(format!("BUG: nobody has checkpoint {at} of run{run}"), ""));
    };
    let recorded = Recorded::of(&mut reader.record, run, paths, here)?;
    drop(reader);
    let mut further = vec![fork_at(&parent, at)];
    further.extend(args.name.as_ref().map(|name| format!("name={}", serde_json::Value::from(name.as_str()))));
    further.extend(args.set.iter().cloned());
    let experiment = recorded.with(&further, paths, here)?;
    run::compute_and_tell(&experiment, &args.how, paths, here, &stop)
}
