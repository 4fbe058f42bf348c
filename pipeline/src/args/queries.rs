//! The words of the commands that ask the record: `runs`, `diagnose`, `compare`, `sql`.

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
    /// Runs to list: run42, 42, latest, study:NAME or an earlier study:NAME@NUMBER [default: all]
    #[arg(value_name = "RUN")]
    pub selectors: Vec<String>,
    /// Keep runs whose column or parameter compares so: COLUMN=VALUE, with =, !=, <, <=, > or >= (may be repeated)
    #[arg(long = "where", value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Sort by a column or parameter; a leading - reverses [default: by run, or as they were named]
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Say what is wrong with a run: a verdict, its evidence, what was checked and what was not
///
/// The data come first: batches that hardly move, text in no order or of another kind, too little of it. Only where they are
/// sound is the learning rate judged. A cause is what the evidence is consistent with.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline diagnose run42
  pipeline diagnose study:lr_study
  pipeline diagnose latest --json | jq '.runs[0].signals'")]
pub struct DiagnoseArgs {
    /// Runs: run42, 42, latest, study:NAME or an earlier study:NAME@NUMBER
    #[arg(value_name = "RUN", required = true)]
    pub selectors: Vec<String>,
    /// Print JSON, with the figures that the rules look at; a list where there are several runs
    #[arg(long)]
    pub json: bool,
}

/// Compare runs: what differs in their parameters, where their losses part, evaluations and samples side by side
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline compare run42 run57
  pipeline compare study:lr_study
  pipeline compare 1 2 3 --json")]
pub struct CompareArgs {
    /// Runs: run42, 42, latest, study:NAME or an earlier study:NAME@NUMBER; two or more in all
    #[arg(value_name = "RUN", required = true)]
    pub selectors: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Ask the record in SQL; it is opened read-only
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline sql 'SELECT run, learning_rate, last_loss, nonfinite_steps FROM run_summary'
  pipeline sql --format csv 'SELECT step, loss FROM run_steps WHERE run = 42' > loss.csv
  echo 'SELECT * FROM study_by_learning_rate' | pipeline sql -
The views are documented in docs/sql.md; `pipeline sql --schema` prints them.")]
pub struct SqlArgs {
    /// The query; - reads it from standard input
    #[arg(value_name = "QUERY", required_unless_present = "schema", allow_hyphen_values = true)]
    pub query: Option<String>,
    /// How rows are printed
    #[arg(long, value_enum, default_value_t = RowFormat::Table)]
    pub format: RowFormat,
    /// Print the tables and views instead
    #[arg(long, conflicts_with = "query")]
    pub schema: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowFormat {
    Table,
    Csv,
    Json,
}
