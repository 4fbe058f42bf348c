//! Experiments as they are loaded, whole.

mod complaints;
mod fixture;
mod points;
mod studies;
mod syntax;
