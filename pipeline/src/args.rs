//! The words that a user types, parsed to typed values.

mod lr_range;
mod show;

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use identity::StageName;
pub use lr_range::{LrRangeArgs, STEPS};
use session::run;
use stages::params::STAGES;

pub use show::{ShowArgs, When};

mod pictures;

pub use pictures::{DagArgs, Drawing, PlotArgs, ReportArgs, Theme};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Green.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    a run failed or was not reproduced, a check found damage, an object is gone, or the disk or the database failed
  2    the input is wrong, or the database can't be read; what was recorded before is unchanged
  130  interrupted; `pipeline run` resumes where it stopped";

/// Runs studies of language-model training as a graph of cached stages, and records every step in SQLite.
#[derive(Debug, Parser)]
#[command(name = "pipeline", version, styles = STYLES, after_help = EXIT_CODES, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub places: Places,
}

/// Where the record and the store are.
#[derive(Debug, Args)]
pub struct Places {
    /// The database; by default experiments.db in the nearest folder upward that has one, else here
    #[arg(long, global = true, env = "PIPELINE_DB", value_name = "FILE", hide_env_values = true,
          value_parser = maybe_empty(), value_hint = ValueHint::FilePath)]
    pub db: Option<PathBuf>,
    /// The object store; by default data/store beside the database
    #[arg(long, global = true, env = "PIPELINE_STORE", value_name = "DIR", hide_env_values = true,
          value_parser = maybe_empty(), value_hint = ValueHint::DirPath)]
    pub store: Option<PathBuf>,
}

/// The name of a stage.
fn stage() -> impl TypedValueParser<Value = StageName> {
    PossibleValuesParser::new(STAGES.iter().map(|stage| stage.stage)).try_map(|name| name.parse())
}

/// A path, or nothing: a variable that is set to nothing says as much as one that is not set.
fn maybe_empty() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Run(RunArgs),
    Fork(ForkArgs),
    LrRange(LrRangeArgs),
    Reproduce(ReproduceArgs),
    Runs(RunsArgs),
    Show(ShowArgs),
    Diagnose(DiagnoseArgs),
    Confirm(ConfirmArgs),
    Compare(CompareArgs),
    Plot(PlotArgs),
    Report(ReportArgs),
    Sql(SqlArgs),
    Dag(DagArgs),
    Objects(ObjectsArgs),
    Verify(VerifyArgs),
    Backup(BackupArgs),
    Completions(CompletionsArgs),
}

/// Run an experiment: every point of its study, each stage once
///
/// What is cached is not computed again, and what an earlier run left unfinished resumes where it stopped.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline run experiments/lr_study.toml
  pipeline run experiments/tiny.toml --set train.learning_rate=0.3
  pipeline run experiments/tiny.toml --set 'train.learning_rate=[1,0.1]' --jobs 2
  pipeline run experiments/tiny.toml --set train.steps=400 --explain --dry-run")]
pub struct RunArgs {
    /// The experiment, a TOML file
    #[arg(value_name = "EXPERIMENT", value_hint = clap::ValueHint::FilePath)]
    pub experiment: PathBuf,
    /// Override a key; a list sweeps it (may be given several times)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    #[command(flatten)]
    pub how: How,
}

/// How an experiment is computed.
#[derive(Debug, Args)]
pub struct How {
    /// Stages computed side by side [default: as many as points to compute, at most one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub jobs: Option<u32>,
    /// Threads of each training, evaluation and sampling [default: cores divided by jobs, plus idle ones]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Stop after this stage; a later run goes on from there
    #[arg(long, value_name = "STAGE", value_parser = stage())]
    pub until: Option<StageName>,
    /// Say what would be computed, and compute nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Say for each stage why it is computed: which fields differ from the nearest earlier execution
    #[arg(long)]
    pub explain: bool,
    /// Go on with the other points when one fails
    #[arg(long)]
    pub keep_going: bool,
}

impl From<How> for run::How {
    fn from(how: How) -> Self {
        let How { jobs, threads, until, dry_run, explain, keep_going } = how;
        Self { jobs, threads, until, dry_run, explain, keep_going }
    }
}

/// Start a new training from a checkpoint of a run, with other values from there on
///
/// The fork is a run of its own. It goes on with the weights, the optimiser's moments and the place in the corpus that the
/// checkpoint has, and shows the steps before as its own. A state that was let go is made again from the nearest earlier
/// one. What the checkpoint fixes can't be set: corpus, tokenize, vocab, batch, the model's shape and precision, the
/// optimizer, accumulation. A fork trains with its parent's threads; --threads is for what comes after.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline fork run42 --at 300 --set train.learning_rate=0.03
  pipeline fork run42 --at 300 --set 'train.learning_rate=[0.03,0.01]' --name from_300
  pipeline fork latest --at 1000 --set train.steps=3000 --dry-run")]
pub struct ForkArgs {
    /// The run: run42, 42 or latest
    #[arg(value_name = "RUN")]
    pub run: String,
    /// The checkpoint: a number of updates, up to those of the run
    #[arg(long, value_name = "STEP", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    pub at: u64,
    /// Override a key; a list sweeps it (may be given several times)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The fork's name [default: that of the run's experiment]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    #[command(flatten)]
    pub how: How,
}

/// Compute a finished run again, and say whether it comes out the same to the bit
///
/// It is computed from its recorded experiment, with the threads that its training began with, in a temporary folder
/// (TMPDIR) that goes when it is done: nothing that is recorded changes. Compared are losses, gradient norms, objects,
/// scores and sampled texts. Where they differ, the first step and tensor are named, and what is not as it was: program,
/// libtorch, threads, CPU capability.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline reproduce run42
  pipeline reproduce latest && echo the same bits
Exit codes:
  0  identical
  1  not identical, or it failed this time
  2  it can't be tried: the run never finished, or its corpus is gone or has changed")]
pub struct ReproduceArgs {
    /// The run: run42, 42 or latest
    #[arg(value_name = "RUN")]
    pub run: String,
}

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

/// Try the cause that a run's verdict names, by a run that differs in that alone
///
/// A rate that is too high: the last state before the onset is forked with a third of the rate. A window that slides: the
/// same training with the text in parallel streams. Initial weights: smaller ones. A rate that is too low: a higher one. The trial is a run of its own; what came of it is recorded and shown with the verdict.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline confirm run42
  pipeline sql 'SELECT * FROM run_confirmations'")]
pub struct ConfirmArgs {
    /// The run: run42, 42 or latest
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Threads of the trial, where it trains from the beginning; a fork has its parent's [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
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
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Print the tables and views instead
    #[arg(long, conflicts_with = "query")]
    pub schema: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Csv,
    Json,
}

/// Look after the object store
#[derive(Debug, Args)]
pub struct ObjectsArgs {
    #[command(subcommand)]
    pub command: ObjectsCommand,
}

#[derive(Debug, Subcommand)]
pub enum ObjectsCommand {
    /// Check the record and every object: the same as pipeline verify
    #[command(after_help = "Example:\n  pipeline objects verify")]
    Verify(VerifyArgs),
    /// How many bytes the store holds, by stage and by run
    #[command(after_help = "Example:\n  pipeline objects size")]
    Size,
    /// Remove objects that no accepted result needs
    #[command(after_help = "Examples:\n  pipeline objects gc --dry-run\n  pipeline objects gc")]
    Gc {
        /// Say what would go, by run, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Check the record and the store
///
/// The record: every page, index and constraint; references between rows; every step against the hash chain and the
/// sums of its block; keys against the fields that they are made from; verdicts, parameters and studies for missing rows.
/// The store: every object's size and SHA-256; a damaged one is set aside. SQLite keeps no checksum of a row, so a
/// changed figure that nothing else bears witness to, such as a gradient norm, is not found.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline verify
  pipeline verify --db backup.db
Exit codes:
  0  all sound
  1  something is damaged or missing
  2  there is no database or no store")]
pub struct VerifyArgs {
    /// Recompute what is derived from sound rows: the sums of steps; damaged verdicts are remade when next shown
    #[arg(long)]
    pub repair: bool,
}

/// Copy the record to a file, also while runs write to it, and check the copy
///
/// The copy holds one moment of the record; runs that are running show in it as interrupted. The store is not copied: the
/// copy refers to it by its full path.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline backup ~/backups/experiments.db
  pipeline runs --db ~/backups/experiments.db
  pipeline verify --db ~/backups/experiments.db")]
pub struct BackupArgs {
    /// The file to make
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Replace a file that exists
    #[arg(long)]
    pub force: bool,
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline completions bash > ~/.local/share/bash-completion/completions/pipeline
  pipeline completions fish > ~/.config/fish/completions/pipeline.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}
