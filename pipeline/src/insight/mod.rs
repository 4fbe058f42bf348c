//! Pure functions from records to conclusions.

pub mod comparison;
