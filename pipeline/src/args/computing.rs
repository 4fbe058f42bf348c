//! Arguments of the commands that compute an experiment: `run`, `fork`, `reproduce`, `confirm`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use identity::StageName;
use session::run;
use stages::params::STAGES;

/// Run every point of an experiment, computing only what is not cached
#[derive(Debug, Args)]
#[command(after_help = "\
A stage that is the same for several points is computed once. An interrupted run resumes where it stopped, and a run \
with more steps continues from a shorter one.

Examples:
  pipeline run experiments/lr_study.toml
  pipeline run experiments/tiny.toml --set train.learning_rate=0.3
  pipeline run experiments/tiny.toml --set 'train.learning_rate=[1,0.1]' --jobs 2
  pipeline run experiments/tiny.toml --set train.steps=400 --explain --dry-run")]
pub struct RunArgs {
    /// Experiment to run (a TOML file)
    #[arg(value_name = "EXPERIMENT", value_hint = clap::ValueHint::FilePath)]
    pub experiment: PathBuf,
    /// Override a key of the experiment; a list of values sweeps it (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    #[command(flatten)]
    pub how: ComputeArgs,
}

/// How to compute an experiment.
#[derive(Debug, Args)]
pub struct ComputeArgs {
    /// Compute up to N stages at a time [default: one per point, at most one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub jobs: Option<u32>,
    /// Use N threads for each train, evaluate or sample stage [default: cores / jobs, plus idle cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Stop after this stage; a later run continues from there
    #[arg(long, value_name = "STAGE", value_parser = stage())]
    pub until: Option<StageName>,
    /// Print what would be computed without computing it
    #[arg(long)]
    pub dry_run: bool,
    /// Explain why each stage is computed: which fields differ from those of the nearest earlier execution
    #[arg(long)]
    pub explain: bool,
    /// Continue with the other points if one fails
    #[arg(long)]
    pub keep_going: bool,
}

impl From<ComputeArgs> for run::RunOptions {
    fn from(how: ComputeArgs) -> Self {
        let ComputeArgs { jobs, threads, until, dry_run, explain, keep_going } = how;
        Self { jobs, threads, until, dry_run, explain, keep_going }
    }
}

/// Start a new run from a checkpoint of another, with different settings
#[derive(Debug, Args)]
#[command(after_help = "\
A fork keeps its parent's steps up to the checkpoint and continues with the checkpoint's weights, optimiser moments \
and corpus position. If the checkpoint's state was pruned, it is recomputed from the nearest earlier checkpoint. A \
fork can't change what the checkpoint fixes: corpus, tokenize, vocab, batch, train.optimizer, train.accumulate, and the \
shape and precision of the model. It trains with as many threads as its parent; --threads applies to later stages.

Examples:
  pipeline fork run42 --at 300 --set train.learning_rate=0.03
  pipeline fork run42 --at 300 --set 'train.learning_rate=[0.03,0.01]' --name from_300
  pipeline fork latest --at 1000 --set train.steps=3000 --dry-run")]
pub struct ForkArgs {
    /// Run to fork: run42, 42 or latest
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Fork at the checkpoint after STEP steps
    #[arg(long, value_name = "STEP", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    pub at: u64,
    /// Override a key of the experiment; a list of values sweeps it (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Name of the fork [default: the name of the run's experiment]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    #[command(flatten)]
    pub how: ComputeArgs,
}

/// Parses the name of a stage.
fn stage() -> impl TypedValueParser<Value = StageName> {
    PossibleValuesParser::new(STAGES.iter().map(|stage| stage.stage)).try_map(|name| name.parse())
}

/// Recompute a finished run and check that the result is bit-identical
#[derive(Debug, Args)]
#[command(after_help = "\
Recomputes the recorded experiment in a temporary folder under TMPDIR, with the number of threads that its training \
started with, and compares losses, gradient norms, objects, evaluations and samples. If they differ, prints the first \
step and the first tensor that differ, and which of program version, libtorch, threads and CPU capability changed. The \
record does not change.

Examples:
  pipeline reproduce run42
  pipeline reproduce latest && echo identical

Exit codes:
  0  identical
  1  not identical, or the recomputation failed
  2  not possible: the run never finished, or its corpus is missing or has changed")]
pub struct ReproduceArgs {
    /// Run to reproduce: run42, 42 or latest
    #[arg(value_name = "RUN")]
    pub run: String,
}

/// Test the cause that a verdict suspects, with a trial run that changes nothing else
#[derive(Debug, Args)]
#[command(after_help = "\
Trials by cause:
  rate too high    fork before the onset, with a third of the rate
  rate too low     train with three or ten times the rate
  sliding window   train on the text in parallel streams
  initial weights  train from smaller initial weights
The outcome is recorded and shown with the verdict.

Examples:
  pipeline confirm run42
  pipeline sql 'SELECT * FROM run_confirmations'")]
pub struct ConfirmArgs {
    /// Run whose verdict to test: run42, 42 or latest
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Use N threads for a trial that trains from the start; a fork uses as many as its parent [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
}
