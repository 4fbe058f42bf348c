//! Pure functions from records to conclusions.

pub mod comparison;
pub mod leading;
pub mod standing;
pub mod trial;
pub mod verdict;
