//! The stages that need no libtorch, and the contract between `pipeline` and its worker.
//!
//! Both programs share this crate: each stage's typed parameters ([`params`]) with the table that describes them
//! ([`schema`]), the files that stages pass to one another ([`files`], [`plan`]), the random numbers ([`random`]) and
//! the messages on the pipe ([`protocol`]). The stages `tokenize`, `vocab`, `batch`, `baselines` and `sample` run in
//! the process of `pipeline`; `train` and `evaluate` run in `pipeline-neural`.
//!
//! This crate never links libtorch, uses no database and prints nothing.

mod artifacts;
pub mod baselines;
pub mod batch;
pub mod expected;
pub mod files;
#[cfg(test)]
mod golden;
pub mod looks;
pub mod params;
pub mod plain;
pub mod plan;
pub mod protocol;
pub mod random;
pub mod sample;
pub mod schedule;
pub mod schema;
mod stage;
pub mod surprise;
#[cfg(test)]
mod testing;
pub mod tokenize;
pub mod vocab;

pub use stage::{Cancelled, Context, Output, StageError, StageOutcome};
