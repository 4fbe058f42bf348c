//! `pipeline run`.

use std::path::Path;

use crate::args::RunArgs;
use crate::commands::computing::compute_and_tell;
use crate::exit;
use crate::ui::watch::Terminal;
use experiment::Experiment;
use session::Session;
use session::failure::Failure;
use session::places::Paths;

/// Runs an experiment.
pub fn run(args: RunArgs, paths: &Paths, here: &Path) -> Result<(), Failure> {
    let interrupt = exit::interrupt();
    let experiment = Experiment::load(&args.experiment, &args.set, here, paths.root())?;
    let mut session = Session { paths, here, interrupt: &interrupt, watch: &mut Terminal };
    compute_and_tell(&mut session, &experiment, &args.how.into()).map(|_| ())
}
