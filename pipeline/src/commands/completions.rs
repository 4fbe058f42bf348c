//! `pipeline completions`.

use clap::CommandFactory as _;

use crate::args::{Cli, CompletionsArgs};
use crate::ui;
use session::failure::Failure;

/// Prints a completion script.
pub fn completions(args: CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pipeline", &mut script);
    ui::data(&String::from_utf8_lossy(&script));
    Ok(())
}
