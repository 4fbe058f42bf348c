//! Pure functions from records to conclusions.

pub mod comparison;
pub mod range;
pub mod standing;
pub mod trial;
pub mod verdict;
