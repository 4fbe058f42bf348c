//! What `--json` prints: a view in an envelope that says which one it is, and in which version.
//!
//! `docs/json.schema.json` is the JSON Schema of all of them, made from these types. The version rises when a field goes or
//! changes its meaning, not when one is added.

use serde::Serialize;

use crate::compare::CompareView;
use crate::diagnose::DiagnoseView;
use crate::lr_range::LrRangeView;
use crate::run::RunView;
use crate::runs::RunsView;
use crate::step::StepView;

/// The version of all documents.
pub const VERSION: u32 = 1;

/// A view as JSON: `{"version": 1, "view": "runs", …}`.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    /// [`VERSION`].
    pub version: u32,
    #[serde(flatten)]
    pub view: View<'a>,
}

/// Every view that has a JSON form.
#[derive(Debug, Serialize)]
#[serde(tag = "view", rename_all = "snake_case")]
pub enum View<'a> {
    /// `pipeline runs`.
    Runs(&'a RunsView),
    /// `pipeline show RUN`.
    Run(&'a RunView),
    /// `pipeline show RUN --step N`.
    Step(&'a StepView),
    /// `pipeline compare`.
    Compare(&'a CompareView),
    /// `pipeline diagnose`.
    Diagnose(&'a DiagnoseView),
    /// `pipeline lr-range`.
    LrRange(&'a LrRangeView),
}

impl<'a> From<View<'a>> for Document<'a> {
    fn from(view: View<'a>) -> Self {
        Self { version: VERSION, view }
    }
}
