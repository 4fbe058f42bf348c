//! Arguments of `pipeline lr-range`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Steps of a test by default.
pub const STEPS: u32 = 200;

/// Find the learning rate at which training diverges, and suggest one to try
#[derive(Debug, Args)]
#[command(after_help = "\
Trains the model for a few steps while the learning rate rises exponentially from far too low to far too high \
(Smith 2017), and finds where the loss diverges. The experiment's learning rate, schedule, warm-up, length, \
checkpoints, early stopping, evaluate and sample are ignored. If the experiment sweeps other keys, each point gets its \
own test. Tests are ordinary cached runs that belong to a study named NAME_lr_range.

Examples:
  pipeline lr-range experiments/tiny.toml
  pipeline lr-range experiments/tiny.toml --set train.optimizer=sgd --set train.clip_norm=1.25
  pipeline lr-range experiments/tiny.toml --set 'train.hidden=[32,64,128]'
  pipeline lr-range experiments/tiny.toml --from 1e-3 --to 1 --steps 300 --json")]
pub struct LrRangeArgs {
    /// Experiment to test (a TOML file)
    #[arg(value_name = "EXPERIMENT", value_hint = ValueHint::FilePath)]
    pub experiment: PathBuf,
    /// Override a key of the experiment; a list of values sweeps it (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Learning rate of the first step [default: depends on the optimizer]
    #[arg(long, value_name = "RATE", value_parser = rate, allow_negative_numbers = true)]
    pub from: Option<f64>,
    /// Learning rate of the last step [default: depends on the optimizer]
    #[arg(long, value_name = "RATE", value_parser = rate, allow_negative_numbers = true)]
    pub to: Option<f64>,
    /// Steps per test
    #[arg(long, value_name = "N", default_value_t = STEPS, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    pub steps: u32,
    /// Run up to N tests at a time [default: all, at most one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub jobs: Option<u32>,
    /// Use N threads per test [default: cores / jobs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Print JSON, including every step
    #[arg(long)]
    pub json: bool,
}

/// Parses a learning rate, within the limits that an experiment has for it.
fn rate(text: &str) -> Result<f64, String> {
    let found = text.parse::<f64>().ok().filter(|rate| *rate > 0.0 && *rate <= 3.4e38);
    found.ok_or_else(|| "allowed: a number above 0, at most 3.4e38".to_owned())
}
