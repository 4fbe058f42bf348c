//! Whole-program tests live in `tests/whole.rs`; this library is only their package's reason to be.
