//! A list of runs.

use serde::Serialize;

use record::read::Summary;

/// Some runs, a line each.
#[derive(Debug, Serialize)]
pub struct RunsView {
    pub runs: Vec<Summary>,
}
