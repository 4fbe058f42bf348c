//! Pure functions from records to conclusions: verdicts, comparisons, range tests.
//!
//! These functions take rows and return values. Nothing here reads a file, queries a database or prints.

#![allow(missing_docs, reason = "fields such as run, step, split, name and sentence explain themselves")]

pub mod comparison;
pub mod explanation;
pub mod noise;
pub mod range;
pub mod standing;
pub mod trial;
pub mod verdict;
pub mod winner;
