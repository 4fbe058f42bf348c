//! Tests that load whole experiments.

mod complaints;
mod fixture;
mod points;
mod studies;
mod syntax;
