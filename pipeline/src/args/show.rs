//! Arguments of `pipeline show`.

use clap::{Args, ValueEnum};

/// Show a run: parameters, stages, the loss curve, evaluations and samples
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline show run42
  pipeline show latest --step 100
  pipeline show latest --step 100 --row 3
  pipeline show 42 --log
  pipeline show run42 --json")]
pub struct ShowArgs {
    /// Run to show: run42, 42 or latest
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Show the batch of step N: metrics, corpus offsets, inputs, targets and, if replayed, each token's loss and the
    /// five likeliest predictions
    #[arg(long, value_name = "N", conflicts_with = "log")]
    pub step: Option<u64>,
    /// Show every token of one row of the batch (the first row is 0)
    #[arg(long, value_name = "ROW", requires = "step", conflicts_with = "json")]
    pub row: Option<usize>,
    /// Replay training up to the step from the nearest checkpoint; auto replays if that should take at most 10 s
    #[arg(long, value_name = "WHEN", requires = "step", value_enum, default_value_t = When::Auto,
          num_args = 0..=1, require_equals = true, default_missing_value = "always")]
    pub replay: When,
    /// Show the full output of the worker
    #[arg(long)]
    pub log: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "log")]
    pub json: bool,
}

/// When to replay training, which takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    Auto,
    Always,
    Never,
}
