//! `pipeline`: runs studies of language-model training as a graph of cached stages, and records every step.

mod args;
mod commands;
mod corpus;
mod engine;
mod experiment;
mod failure;
mod insight;
mod places;
mod plan;
mod record;
mod selector;
mod ui;

use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // For whoever debugs the program: PIPELINE_LOG=debug. What a user must read never goes through it.
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_env("PIPELINE_LOG").unwrap_or_else(|_| EnvFilter::new("off")))
        .with_ansi(ui::talk_is_watched())
        .with_writer(std::io::stderr)
        .init();
    let cli = args::Cli::parse();
    let here = match std::env::current_dir() {
        Ok(here) => here,
        Err(error) => {
            ui::failure(&failure::Failure::input(format!("the working directory can't be read: {error}"), ""));
            return ExitCode::from(failure::WRONG_INPUT);
        }
    };
    let done = commands::dispatch(cli, &here).and_then(|()| ui::lost().map_or(Ok(()), Err));
    match done {
        Ok(()) => ExitCode::from(failure::DONE),
        Err(failure) => {
            ui::failure(&failure);
            ExitCode::from(failure.code)
        }
    }
}
