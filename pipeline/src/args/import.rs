//! Arguments of `import`.

use std::path::PathBuf;

use clap::Args;

/// Import runs from other programs' logs
#[derive(Debug, Args)]
#[command(after_help = "\
Reads TensorBoard event files, Hugging Face's trainer_state.json, W&B's .wandb, MLflow and trackio stores, CSV and JSON \
lines, and what training programs print: the format is detected by content. Importing a log again adds what it has \
gained since.

Examples:
  pipeline import runs/
  pipeline import --dry-run train.log
  pipeline import --study sweep --vocabulary 50257 --unit nats/token out/*/log.txt
  pipeline import --series loss=train/ce --follow runs/today
  pipeline import --pattern 'step (?<step>\\d+) ce (?<loss>\\S+)' train.log")]
pub struct ImportArgs {
    /// Logs to import, or folders to search for them
    #[arg(value_name = "PATH", required = true, value_hint = clap::ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Study to add the runs to [default: the name of the first PATH's folder]
    #[arg(long, value_name = "NAME")]
    pub study: Option<String>,
    /// Name of the run, if PATH holds only one
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Use the log's series NAME as loss, learning_rate, grad_norm, valid_loss, … (may be repeated)
    #[arg(long, value_name = "WORD=NAME")]
    pub series: Vec<String>,
    /// Unit of the losses, if known
    #[arg(long, value_name = "UNIT", value_parser = ["nats/token", "bits/token", "nats/char", "bits/char"])]
    pub unit: Option<String>,
    /// Size of the vocabulary, if known
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub vocabulary: Option<u32>,
    /// Read lines by a regular expression with groups such as step, epoch and loss (may be repeated)
    #[arg(long, value_name = "REGEX")]
    pub pattern: Vec<String>,
    /// Import again whenever the logs grow, until interrupted
    #[arg(long, conflicts_with = "dry_run")]
    pub follow: bool,
    /// Print what would be imported and what is not understood, and record nothing
    #[arg(long)]
    pub dry_run: bool,
}
