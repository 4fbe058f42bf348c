//! One short file a command.

mod completions;
mod run;

use std::path::Path;

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::places::Paths;

/// Does what the user typed, in the working directory `here`.
pub fn dispatch(cli: Cli, here: &Path) -> Result<(), Failure> {
    let paths = Paths::find(&cli.places, here);
    match cli.command {
        Command::Completions(args) => completions::completions(args),
        Command::Run(args) => run::run(&args, &paths, here),
        _ => Err(Failure::failed("not built yet", "")),
    }
}
