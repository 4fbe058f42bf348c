//! The command line, parsed into typed values.

mod computing;
mod import;
mod lr_range;
mod maintenance;
mod pictures;
mod queries;
mod show;

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

pub use computing::{ConfirmArgs, ForkArgs, ReproduceArgs, RunArgs};
pub use import::ImportArgs;
pub use lr_range::{LrRangeArgs, STEPS};
pub use maintenance::{BackupArgs, ObjectsArgs, ObjectsCommand, VerifyArgs};
pub use pictures::{DagArgs, Drawing, PlotArgs, ReportArgs, Theme};
pub use queries::{CompareArgs, DiagnoseArgs, RowFormat, RunsArgs, SqlArgs};
pub use show::{ShowArgs, When};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Green.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

const EXIT_CODES: &str = "\
Exit codes:
  0    success
  1    a run failed or was not reproduced, data is damaged or missing, or I/O failed
  2    invalid input, or an unreadable database; existing records are unchanged
  130  interrupted; `pipeline run` resumes where it stopped";

/// Train language models in cached stages, compare their settings in studies, and record every step in SQLite
#[derive(Debug, Parser)]
#[command(name = "pipeline", version, styles = STYLES, after_help = EXIT_CODES, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub places: Places,
}

/// Where the record and the object store are.
#[derive(Debug, Args)]
pub struct Places {
    /// Use this database [default: the nearest experiments.db in this or a parent folder, else ./experiments.db]
    #[arg(long, global = true, env = "PIPELINE_DB", value_name = "FILE", hide_env_values = true,
          value_parser = maybe_empty(), value_hint = ValueHint::FilePath)]
    pub db: Option<PathBuf>,
    /// Use this object store [default: data/store in the folder of the database]
    #[arg(long, global = true, env = "PIPELINE_STORE", value_name = "DIR", hide_env_values = true,
          value_parser = maybe_empty(), value_hint = ValueHint::DirPath)]
    pub store: Option<PathBuf>,
}

/// Parses a path that may be empty: an environment variable set to the empty string counts as unset.
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
    Import(ImportArgs),
    Compare(CompareArgs),
    Plot(PlotArgs),
    Report(ReportArgs),
    Sql(SqlArgs),
    Dag(DagArgs),
    Objects(ObjectsArgs),
    Verify(VerifyArgs),
    Backup(BackupArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline completions bash > ~/.local/share/bash-completion/completions/pipeline
  pipeline completions fish > ~/.config/fish/completions/pipeline.fish")]
pub struct CompletionsArgs {
    /// Shell that the script is for
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Print a manual page
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline man | man -l -
  pipeline man run | man -l -
  pipeline man --to ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Command whose page to print [default: pipeline itself]
    #[arg(value_name = "COMMAND", conflicts_with = "to")]
    pub command: Option<String>,
    /// Write the pages of all commands to a folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub to: Option<PathBuf>,
}
