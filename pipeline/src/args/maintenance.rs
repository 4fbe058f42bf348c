//! The words of the commands that look after what is recorded: `objects`, `verify`, `backup`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

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
