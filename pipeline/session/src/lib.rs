//! What commands, page and agents share: the places of a project, the runs that a user means, the stages wired into a
//! graph, an experiment computed as far as it is not there, requests to stop, and every error as a user sees it.
//!
//! It is not for screens: it prints nothing and knows no terminal, no command line and no exit code. Whoever asks is told
//! by values, and while something is computed by a trait, [`Watch`]. Nor does it say what runs show or what is wrong with
//! them.

pub mod again;
mod corpus;
pub mod failure;
mod filter;
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

/// Where something is computed, and who watches.
pub struct Session<'a> {
    /// The record and the store.
    pub paths: &'a Paths,
    /// The working directory.
    pub here: &'a Path,
    /// Asks to stop.
    pub interrupt: &'a Interrupt,
    /// Is told what goes on.
    pub watch: &'a mut dyn Watch,
}
