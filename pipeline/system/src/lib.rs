//! Services of the operating system: files, locks, identifiers, limits, permissions. This crate knows nothing about the
//! program that uses it.

pub mod files;
pub mod limits;
pub mod locks;
pub mod permission;
pub mod process;
mod uid;

pub use uid::{check_random, uid};

/// A word as it must be written for a shell, quoted if necessary.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
