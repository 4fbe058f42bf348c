//! The JSON documents that `--json` prints: a view in an envelope with the view's name and a version.
//!
//! `docs/json.schema.json` is the JSON Schema of all documents, generated from these types. The version rises when a
//! field is removed or changes its meaning, but not when one is added.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
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
#[derive(Debug, JsonSchema, Serialize)]
pub struct Document<'a> {
    /// Rises when a field is removed or changes its meaning, but not when one is added.
    pub version: u32,
    #[serde(flatten)]
    pub view: View<'a>,
}

/// Every view that has a JSON form.
#[derive(Debug, JsonSchema, Serialize)]
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

/// The JSON Schema of every document.
pub fn schema() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Document<'_>>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_docs_matches_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json.schema.json");
        let wanted = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            found == wanted,
            "docs/json.schema.json is out of date: UPDATE_DOCS=1 cargo test --release -p view schema"
        );
    }
}
