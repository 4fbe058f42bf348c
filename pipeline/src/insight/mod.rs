//! Pure functions from records to conclusions.

pub mod comparison;
pub mod standing;
pub mod trial;
pub mod verdict;
