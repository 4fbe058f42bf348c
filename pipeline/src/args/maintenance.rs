//! Arguments of the commands that maintain the record and the store: `objects`, `verify`, `backup`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// Inspect and clean up the object store
#[derive(Debug, Args)]
pub struct ObjectsArgs {
    #[command(subcommand)]
    pub command: ObjectsCommand,
}

#[derive(Debug, Subcommand)]
pub enum ObjectsCommand {
    /// Check the record and every object (same as `pipeline verify`)
    #[command(after_help = "Example:\n  pipeline objects verify")]
    Verify(VerifyArgs),
    /// Show the size of the store by stage and by run
    #[command(after_help = "Example:\n  pipeline objects size")]
    Size,
    /// Remove objects that the record does not refer to
    #[command(after_help = "Examples:\n  pipeline objects gc --dry-run\n  pipeline objects gc")]
    Gc {
        /// Print what would be removed without removing it
        #[arg(long)]
        dry_run: bool,
    },
}

/// Check the record and the object store for damage
#[derive(Debug, Args)]
#[command(after_help = "\
In the record, checks every page, index and constraint; references between rows; every step against the stored summary \
(hash chain and sums) of its block of steps; stage keys against the fields that they are computed from; and verdicts, \
parameters and studies for missing rows. In the store, checks the size and SHA-256 of every object, and moves damaged \
objects to the folder `damaged`. SQLite has no row checksums, so a change to a value that no other check covers, such \
as a gradient norm, goes unnoticed.

Examples:
  pipeline verify
  pipeline verify --db backup.db

Exit codes:
  0  no damage
  1  something is damaged or missing
  2  no database or no store")]
pub struct VerifyArgs {
    /// Recompute damaged summaries from intact steps; damaged verdicts are recomputed when they are next shown
    #[arg(long)]
    pub repair: bool,
}

/// Copy the record to a file, even while runs write to it, and check the copy
#[derive(Debug, Args)]
#[command(after_help = "\
The copy is a consistent snapshot, in which running runs appear as interrupted. The object store is not copied; the \
copy refers to it by its full path.

Examples:
  pipeline backup ~/backups/experiments.db
  pipeline runs --db ~/backups/experiments.db
  pipeline verify --db ~/backups/experiments.db")]
pub struct BackupArgs {
    /// File to write
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    pub force: bool,
}
