//! The words of the commands that compute an experiment: `run`, `fork`, `reproduce`, `confirm`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use identity::StageName;
use session::run;
use stages::params::STAGES;

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
    pub how: ComputeArgs,
}

/// How an experiment is computed.
#[derive(Debug, Args)]
pub struct ComputeArgs {
    /// Stages computed side by side [default: as many as points to compute, at most one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub jobs: Option<u32>,
    /// Threads of each training, evaluation and sampling [default: cores divided by jobs, plus idle ones]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Stop after this stage; a later run resumes from there
    #[arg(long, value_name = "STAGE", value_parser = stage())]
    pub until: Option<StageName>,
    /// Say what would be computed, and compute nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Say for each stage why it is computed: which fields differ from the nearest earlier execution
    #[arg(long)]
    pub explain: bool,
    /// Continue with the other points when one fails
    #[arg(long)]
    pub keep_going: bool,
}

impl From<ComputeArgs> for run::RunOptions {
    fn from(how: ComputeArgs) -> Self {
        let ComputeArgs { jobs, threads, until, dry_run, explain, keep_going } = how;
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
    pub how: ComputeArgs,
}

/// The name of a stage.
fn stage() -> impl TypedValueParser<Value = StageName> {
    PossibleValuesParser::new(STAGES.iter().map(|stage| stage.stage)).try_map(|name| name.parse())
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
