//! Arguments of the commands that query the record: `runs`, `diagnose`, `compare`, `sql`.

use clap::{Args, ValueEnum};

/// List runs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline runs
  pipeline runs study:lr_study --sort valid_perplexity
  pipeline runs --where 'train.learning_rate>=0.1' --where status=finished
  pipeline runs --json | jq '.runs[].run'")]
pub struct RunsArgs {
    /// Runs to list: run42, 42, latest, study:NAME, or study:NAME@N for an earlier version [default: all]
    #[arg(value_name = "RUN")]
    pub selectors: Vec<String>,
    /// List only runs that match: COLUMN=VALUE (or !=, <, <=, >, >=) for a column or parameter (may be repeated)
    #[arg(long = "where", value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Sort by a column or parameter; a leading - reverses the order [default: by run number, or as given]
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Diagnose a run: give a verdict, its evidence, and the checks that were made
#[derive(Debug, Args)]
#[command(after_help = "\
The data are checked first, for overlapping or corrupted batches, shuffled text, splits that differ, and too little \
text. The learning rate is judged only if the data are sound. The evidence is consistent with the cause that a verdict \
names but does not prove it; `pipeline confirm` tests the cause.

Examples:
  pipeline diagnose run42
  pipeline diagnose study:lr_study
  pipeline diagnose latest --json | jq '.runs[0].signals'")]
pub struct DiagnoseArgs {
    /// Runs to diagnose: run42, 42, latest, study:NAME, or study:NAME@N for an earlier version
    #[arg(value_name = "RUN", required = true)]
    pub selectors: Vec<String>,
    /// Print JSON, including the signals that the rules use
    #[arg(long)]
    pub json: bool,
}

/// Compare runs: parameters, where losses first differ, evaluations and samples
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline compare run42 run57
  pipeline compare study:lr_study
  pipeline compare 1 2 3 --json")]
pub struct CompareArgs {
    /// Runs to compare, two or more: run42, 42, latest, study:NAME, or study:NAME@N for an earlier version
    #[arg(value_name = "RUN", required = true)]
    pub selectors: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Query the record with SQL, read-only
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline sql 'SELECT run, learning_rate, last_loss, nonfinite_steps FROM run_summary'
  pipeline sql --format csv 'SELECT step, loss FROM run_steps WHERE run = 42' > loss.csv
  echo 'SELECT * FROM study_by_learning_rate' | pipeline sql -

The views are documented in docs/sql.md; `pipeline sql --schema` prints them.")]
pub struct SqlArgs {
    /// Query to run; - reads it from standard input
    #[arg(value_name = "QUERY", required_unless_present = "schema", allow_hyphen_values = true)]
    pub query: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = RowFormat::Table)]
    pub format: RowFormat,
    /// Print the views and tables with their columns instead of running a query
    #[arg(long, conflicts_with = "query")]
    pub schema: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowFormat {
    Table,
    Csv,
    Json,
}
