//! The worker of `pipeline`: runs the stages `train` and `evaluate` with libtorch.
//!
//! `docs/stage-protocol.md` describes how `pipeline` talks to it. `pipeline-neural describe` is the only command meant
//! for people.

mod batches;
mod card;
mod cpu;
mod describe;
mod dropout;
mod evaluate;
mod factor;
mod failure;
mod init;
mod layers;
mod log;
mod lstm;
mod matrix;
mod model;
mod norms;
mod optimizer;
mod pace;
mod pair;
mod parallel;
mod pipe;
mod product;
mod raw;
mod real;
mod rows;
mod serve;
mod sharpness;
mod softmax;
mod state;
mod step;
mod stopwatch;
#[cfg(test)]
mod tests;
mod tiles;
mod train;
mod weights;

use std::io::Write as _;
use std::process::ExitCode;

use log::log;

/// The exit code for an invalid command line.
const EXIT_USAGE: u8 = 2;

const USAGE: &str = "usage: pipeline-neural describe | serve | --version | --help";

const HELP: &str = "\
Train and evaluate models with libtorch. This is the worker of pipeline, which starts it when needed.

usage: pipeline-neural describe    Describe this program in one line of JSON
       pipeline-neural serve       Read jobs from standard input and write replies to standard output
       pipeline-neural --version
       pipeline-neural --help";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args[..] {
        ["serve"] => raw::private_stdout().map_err(Into::into).and_then(serve::serve),
        ["describe"] => serde_json::to_string(&describe::describe()).map_err(Into::into).and_then(|line| print(&line)),
        ["--version" | "-V"] => print(concat!("pipeline-neural ", env!("CARGO_PKG_VERSION"))),
        ["--help" | "-h"] => print(HELP),
        _ => {
            log(USAGE);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard output.
fn print(text: &str) -> crate::failure::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
