//! `pipeline`: runs studies of language-model training as a graph of cached stages, and records every step.

mod args;
mod commands;
mod exit;
mod ui;

use std::process::ExitCode;

use clap::Parser as _;
use session::failure::{Failure, FailureKind};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    if let Err(words) = system::check_random() {
        let hint = "is /dev/urandom there, and may this process call getrandom?";
        return end(&Failure::failed(format!("the system has no random numbers: {words}"), hint));
    }
    // Its default ends the process when a file reaches the limit on its size (ulimit -f); so the write fails instead, like
    // one to a full disk. Where the handler can't be set, the default stays.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
    // For whoever debugs the program: PIPELINE_LOG=debug. What a user must read never goes through it.
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_env("PIPELINE_LOG").unwrap_or_else(|_| EnvFilter::new("off")))
        .with_ansi(ui::talk_is_watched())
        .with_writer(std::io::stderr)
        .init();
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(words) if words.use_stderr() => {
            // Where nobody can read it, the exit code still says it.
            let _ = words.print();
            return ExitCode::from(exit::code(FailureKind::WrongInput));
        }
        Err(help) => {
            ui::printed(help.print());
            return ui::lost().map_or(ExitCode::from(exit::DONE), |failure| end(&failure));
        }
    };
    let here = match std::env::current_dir() {
        Ok(here) => here,
        Err(error) => {
            return end(&Failure::input(format!("the working directory can't be read: {error}"), ""));
        }
    };
    let done = commands::dispatch(cli, &here).and_then(|()| ui::lost().map_or(Ok(()), Err));
    match done {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(failure) => end(&failure),
    }
}

/// Says why it ends.
fn end(failure: &Failure) -> ExitCode {
    ui::failure(failure);
    ExitCode::from(exit::code(failure.kind))
}
