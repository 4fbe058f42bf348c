//! `pipeline fork`.

use std::path::Path;

use crate::args::ForkArgs;
use crate::commands::computing::compute_and_tell;
use crate::exit;
use crate::ui::format::{self, count};
use crate::ui::watch::Terminal;
use experiment::is_name;
use session::Reader;
use session::failure::Failure;
use session::places::Paths;
use session::recorded::{Recorded, fork_at};
use session::{Session, selector};
use view::Source as _;

/// Forks a run: runs its recorded experiment like any other, with the checkpoint as an additional parameter.
pub fn fork(args: ForkArgs, paths: &Paths, here: &Path) -> Result<(), Failure> {
    let interrupt = exit::interrupt();
    let doubled = |key: &str| args.set.iter().find(|set| set.split('=').next().unwrap_or("").trim().starts_with(key));
    if let Some(set) = doubled("train.fork") {
        let message = format!("--set '{set}' is not allowed here: `pipeline fork` chooses the checkpoint");
        return Err(Failure::input(message, "omit it, and choose the step with --at"));
    }
    if let Some(set) = args.name.as_ref().and_then(|_| doubled("name")) {
        return Err(Failure::input(format!("--set '{set}' and --name both name the fork"), "omit one of them"));
    }
    if let Some(name) = args.name.as_ref().filter(|name| !is_name(name)) {
        let better: String = name.chars().map(|c| if is_name(&c.to_string()) { c } else { '_' }).collect();
        let hint = format!("--name {}", if better.is_empty() { "from_300" } else { &better });
        return Err(Failure::input(format!("--name '{name}': only letters, digits, _, - and . are allowed"), hint));
    }
    let mut reader = Reader::open(paths, Terminal)?;
    let run = selector::one(&mut reader.record, &args.run)?;
    let steps = reader.summaries(Some(&[run]))?.first().map_or(0, |summary| summary.steps);
    let at = i64::try_from(args.at).unwrap_or(i64::MAX);
    let detail = reader.record.detail(run)?;
    let trajectory = match detail.trajectory_id {
        Some(trajectory) if steps > 0 => trajectory,
        _ => {
            let hint = format!("to see the status of the run: pipeline show {run}");
            return Err(Failure::input(format!("{run} has no steps yet"), hint));
        }
    };
    if at > steps {
        let message = format!("{run} has no checkpoint {}; allowed: 1 to {}", count(at), count(steps));
        // A fork at the final step of the run has nothing to train unless the fork is given more steps.
        let more = detail.length.filter(|length| *length <= steps).map(|_| format!("train.steps={}", 2 * steps));
        let sets: Vec<String> = more.into_iter().chain(args.set.iter().cloned()).collect();
        let hint = format!("to fork at the last step: pipeline fork {run} --at {steps}{}", format::sets(&sets));
        return Err(Failure::input(message, hint));
    }
    let Some(parent) = reader.record.holder(trajectory, at)? else {
        return Err(Failure::failed(format!("BUG: no run holds checkpoint {at} of {run}"), ""));
    };
    let recorded = Recorded::of(&mut reader.record, run, paths, here)?;
    drop(reader);
    let mut further = vec![fork_at(&parent, at)];
    further.extend(args.name.as_ref().map(|name| format!("name={}", serde_json::Value::from(name.as_str()))));
    further.extend(args.set.iter().cloned());
    let experiment = recorded.with(&further, paths, here)?;
    let mut session = Session { paths, here, interrupt: &interrupt, watch: &mut Terminal };
    compute_and_tell(&mut session, &experiment, &args.how.into()).map(|_| ())
}
