//! Shared by the commands that compute an experiment: judging and reporting the results.

use experiment::Experiment;
use identity::RunId;
use identity::verdict::{Headline, Kind};

use crate::ui::end::{conclude, tell_dry};
use crate::ui::watch::Terminal;
use engine::stop::Stop as _;
use session::Reader;
use session::Session;
use session::failure::Failure;
use session::judge;
use session::run::{Computed, RunOptions};
use view::verdict::short;

/// Computes an experiment and reports the results.
pub fn compute_and_tell(
    session: &mut Session<'_>,
    experiment: &Experiment,
    how: &RunOptions,
) -> Result<Computed, Failure> {
    let done = session.compute(experiment, how)?;
    if how.dry_run {
        tell_dry(&done.summary);
        return Ok(done);
    }
    let runs: Vec<RunId> = done.rows.iter().map(|row| row.id).collect();
    let verdicts = judge::headlines(&mut Reader::open(session.paths, Terminal)?, &runs)?;
    // An inconclusive verdict is not worth a line.
    let words = |it: &Headline| if it.verdict == Kind::Inconclusive { String::new() } else { short(it) };
    let judged: Vec<String> = verdicts.iter().map(words).collect();
    conclude(experiment, &done, &judged, session.interrupt.is_asked(), session.paths)?;
    Ok(done)
}
