//! The words that a user types, parsed to typed values.

mod computing;
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
