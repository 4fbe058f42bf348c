//! `pipeline man`: manual pages, made from the help texts.

use std::path::Path;

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::args::{Cli, ManArgs};
use crate::ui;
use session::failure::Failure;

/// Prints a page, or writes all of them to a folder.
pub fn man(args: &ManArgs) -> Result<(), Failure> {
    let mut program = Cli::command().disable_help_subcommand(true);
    // This gives each command its full name, such as `pipeline run`.
    program.build();
    if let Some(folder) = &args.to {
        return write(folder, &program);
    }
    let page = match &args.command {
        None => &program,
        Some(name) => program.find_subcommand(name).ok_or_else(|| {
            let names: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
            let message = format!("unknown command '{name}'; allowed: {}", names.join(", "));
            Failure::input(message, "pipeline man | man -l -")
        })?,
    };
    ui::data(&String::from_utf8_lossy(&rendered(page)));
    Ok(())
}

/// A page in roff, the format of `man`.
fn rendered(command: &clap::Command) -> Vec<u8> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page).expect("BUG: writing to memory failed");
    page
}

/// Writes the pages of all commands to a folder: `pipeline.1`, `pipeline-run.1`, …
fn write(folder: &Path, program: &clap::Command) -> Result<(), Failure> {
    let refused = |path: &Path, error| {
        let message = format!("{}: can't be written: {error}", ui::format::path(path));
        Failure::input(message, "use --to to choose a folder that can be written to")
    };
    std::fs::create_dir_all(folder).map_err(|error| refused(folder, error))?;
    for page in std::iter::once(program).chain(program.get_subcommands()) {
        let name = page.get_display_name().unwrap_or(page.get_name());
        let path = folder.join(format!("{name}.1"));
        std::fs::write(&path, rendered(page)).map_err(|error| refused(&path, error))?;
    }
    Ok(())
}
