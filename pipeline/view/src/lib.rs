//! Views: what a screen, a page or a JSON document shows, as plain serialisable values.
//!
//! A view is gathered from a [`Source`], which provides the record and the verdicts. All front ends render the same
//! views and compute nothing. This crate does not draw, print, judge or record anything, and it opens no store.

#![allow(missing_docs, reason = "many fields are named like the record's columns and need no comment")]

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
