//! `pipeline`: trains language models in cached stages, compares their settings in studies, and records every step.

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
        let hint = "check that /dev/urandom exists and that this process may call getrandom";
        return end(&Failure::failed(format!("the system provides no random numbers: {words}"), hint));
    }
    // By default SIGXFSZ kills the process when a file reaches its size limit (ulimit -f). With a handler, the write
    // fails instead, as on a full disk. If the handler can't be installed, the default applies.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
    // For debugging: PIPELINE_LOG=debug. Messages that users must see never go through it.
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_env("PIPELINE_LOG").unwrap_or_else(|_| EnvFilter::new("off")))
        .with_ansi(ui::talk_is_watched())
        .with_writer(std::io::stderr)
        .init();
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(words) if words.use_stderr() => {
            // If printing fails, the exit code still reports the error.
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

/// Reports why the program failed.
fn end(failure: &Failure) -> ExitCode {
    ui::failure(failure);
    ExitCode::from(exit::code(failure.kind))
}
