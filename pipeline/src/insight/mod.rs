//! Pure functions from records to conclusions.

pub mod comparison;
pub mod explanation;
pub mod noise;
pub mod range;
pub mod standing;
pub mod trial;
pub mod verdict;
pub mod winner;
