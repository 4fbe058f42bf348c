//! What commands, the page and agents share: the paths of a project, the selection of runs, the built-in stages wired
//! into a graph, the computation of an experiment, requests to stop, and every error as a user sees it.
//!
//! This crate is not for screens: it prints nothing and knows nothing about terminals, command lines or exit codes.
//! Callers get values back and follow a computation through a trait, [`Watch`]. Views of runs and the rules for
//! verdicts are in other crates.

pub mod again;
mod corpus;
pub mod failure;
mod filter;
pub mod import;
pub mod interrupt;
pub mod judge;
pub mod places;
pub mod plan;
mod reader;
pub mod recorded;
pub mod replay;
pub mod run;
pub mod selector;
mod source;
mod temporary;
mod updated;
mod watch;

use std::path::Path;

pub use corpus::News;
use interrupt::Interrupt;
use places::Paths;
pub use reader::Reader;
pub use source::Chosen;
pub use updated::updated;
pub use watch::Watch;

/// Where a computation runs, and who watches it.
pub struct Session<'a> {
    /// The record and the store.
    pub paths: &'a Paths,
    /// The working directory.
    pub here: &'a Path,
    /// Requests to stop.
    pub interrupt: &'a Interrupt,
    /// Receives notes and the progress of the work.
    pub watch: &'a mut dyn Watch,
}
