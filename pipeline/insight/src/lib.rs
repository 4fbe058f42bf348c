//! Pure functions from records to conclusions: verdicts, comparisons, range tests.
//!
//! They are handed rows and return values. No file is read here, no database is asked, and nothing is printed.

#![allow(missing_docs, reason = "fields whose names say all: run, step, split, name, sentence")]

pub mod comparison;
pub mod explanation;
pub mod noise;
pub mod range;
pub mod standing;
pub mod trial;
pub mod verdict;
pub mod winner;
