//! Runs the two programs as a user would, and looks at what a user would see.

#![expect(clippy::unwrap_used, reason = "a test may unwrap: its panic names the line")]

mod bad_input;
mod caching;
mod houses_laws;
mod kills;
mod readme;
mod space;
mod together;
