//! Runs the two programs as a user would, and looks at what a user would see.

mod bad_input;
mod caching;
mod houses_laws;
mod kills;
mod space;
mod together;
