//! One short file per command.

mod backup;
mod compare;
mod completions;
mod computing;
mod confirm;
mod dag;
mod diagnose;
mod fork;
mod import;
mod lr_range;
mod man;
mod objects;
mod owners;
mod plot;
mod report;
mod reproduce;
mod run;
mod runs;
mod show;
mod sql;
mod verify;

use std::path::Path;

use crate::args::{Cli, Command};
use session::failure::Failure;
use session::places::Paths;

/// Runs the command that the user typed, in the working directory `here`.
pub fn dispatch(cli: Cli, here: &Path) -> Result<(), Failure> {
    let paths = Paths::find(cli.places.db, cli.places.store, here);
    match cli.command {
        Command::Completions(args) => completions::completions(args),
        Command::Man(args) => man::man(&args),
        Command::Run(args) => run::run(args, &paths, here),
        Command::Fork(args) => fork::fork(args, &paths, here),
        Command::LrRange(args) => lr_range::lr_range(&args, &paths, here),
        Command::Reproduce(args) => reproduce::reproduce(&args, &paths, here),
        Command::Runs(args) => runs::runs(args, &paths),
        Command::Show(args) => show::show(args, &paths),
        Command::Diagnose(args) => diagnose::diagnose(&args, &paths),
        Command::Confirm(args) => confirm::confirm(&args, &paths, here),
        Command::Import(args) => import::import(args, &paths, here),
        Command::Compare(args) => compare::compare(args, &paths),
        Command::Report(args) => report::report(&args, &paths),
        Command::Plot(args) => plot::plot(&args, &paths),
        Command::Sql(args) => sql::sql(args, &paths),
        Command::Dag(args) => dag::dag(&args, &paths, here),
        Command::Objects(args) => objects::objects(&args, &paths),
        Command::Verify(args) => verify::verify(&args, &paths),
        Command::Backup(args) => backup::backup(&args, &paths, here),
    }
}
