//! A list of runs.

use schemars::JsonSchema;
use serde::Serialize;

use record::read::RunSummary;

/// Some runs, one row each.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RunsView {
    pub runs: Vec<RunSummary>,
}
