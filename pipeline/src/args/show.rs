//! The words of `pipeline show`.

use clap::{Args, ValueEnum};

/// Show one run: parameters, stages, the loss curve, evaluations and samples
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline show run42
  pipeline show latest --step 100
  pipeline show latest --step 100 --row 3
  pipeline show 42 --log
  pipeline show run42 --json")]
pub struct ShowArgs {
    /// The run: run42, 42 or latest
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Show the batch of one step: its numbers, corpus offsets, inputs and targets; and, replayed, each token's loss and the
    /// five likeliest in its place
    #[arg(long, value_name = "N", conflicts_with = "log")]
    pub step: Option<u64>,
    /// Show every token of one row of that batch, from 0
    #[arg(long, value_name = "ROW", requires = "step", conflicts_with = "json")]
    pub row: Option<usize>,
    /// Whether the training is replayed up to that step, from the nearest state: auto where the way took 10 s or less
    #[arg(long, value_name = "WHEN", requires = "step", value_enum, default_value_t = When::Auto,
          num_args = 0..=1, require_equals = true, default_missing_value = "always")]
    pub replay: When,
    /// Show the worker's whole output
    #[arg(long)]
    pub log: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "log")]
    pub json: bool,
}

/// Whether something is done that takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    Auto,
    Always,
    Never,
}
