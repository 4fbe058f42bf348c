//! The words of `pipeline lr-range`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Updates of a test.
pub const STEPS: u32 = 200;

/// Find the learning rate at which a training breaks, and one to try
///
/// Trains the experiment's model for a few steps while the rate rises from far too low to far too high, each step by the
/// same factor (Smith 2017), and looks where the loss breaks away. What the experiment says of rates, warm-up, length,
/// checkpoints, early stopping, evaluate and sample is put aside; a learning_rate that is swept is, too, and of everything
/// else that is swept each point is a test. A test is a run like any other, of a study named NAME_lr_range: recorded by
/// step, and cached.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline lr-range experiments/tiny.toml
  pipeline lr-range experiments/tiny.toml --set train.optimizer=sgd --set train.clip_norm=1.25
  pipeline lr-range experiments/tiny.toml --set 'train.hidden=[32,64,128]'
  pipeline lr-range experiments/tiny.toml --from 1e-3 --to 1 --steps 300 --json")]
pub struct LrRangeArgs {
    /// The experiment, a TOML file
    #[arg(value_name = "EXPERIMENT", value_hint = ValueHint::FilePath)]
    pub experiment: PathBuf,
    /// Override a key; a list sweeps it (may be given several times)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The rate of the first step [default: by the optimizer]
    #[arg(long, value_name = "RATE", value_parser = rate, allow_negative_numbers = true)]
    pub from: Option<f64>,
    /// The rate of the last step [default: by the optimizer]
    #[arg(long, value_name = "RATE", value_parser = rate, allow_negative_numbers = true)]
    pub to: Option<f64>,
    /// Updates in all
    #[arg(long, value_name = "N", default_value_t = STEPS, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    pub steps: u32,
    /// Tests computed side by side [default: as many as there are, at most one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub jobs: Option<u32>,
    /// Threads of each training [default: cores divided by jobs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Print JSON, with every step
    #[arg(long)]
    pub json: bool,
}

/// A learning rate, within what an experiment may say.
fn rate(text: &str) -> Result<f64, String> {
    let found = text.parse::<f64>().ok().filter(|rate| *rate > 0.0 && *rate <= 3.4e38);
    found.ok_or_else(|| "allowed: a number above 0, at most 3.4e38".to_owned())
}
