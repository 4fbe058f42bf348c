//! Views: what a screen, a page or a JSON document shows, as plain serialisable values.
//!
//! A view is gathered from a [`Source`], which has the record and gives verdicts. Every front end renders the same views
//! and computes nothing of its own. Nothing is drawn, printed, judged or written here, and no store is opened.

#![allow(missing_docs, reason = "fields whose names say all, as those of the record's rows")]

pub mod compare;
pub mod defaults;
pub mod diagnose;
pub mod document;
pub mod format;
pub mod lr_range;
pub mod models;
pub mod pictures;
pub mod report;
pub mod run;
pub mod runs;
pub mod sample;
mod source;
pub mod standing;
pub mod step;
pub mod verdict;

pub use source::{NoView, Source};
