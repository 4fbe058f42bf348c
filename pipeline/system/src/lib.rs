//! What the operating system gives: files, identifiers, limits, permissions. It knows nothing of the program.

pub mod files;
pub mod limits;
pub mod locks;
pub mod permission;
pub mod process;
mod uid;

pub use uid::{check_random, uid};

/// A word as a shell reads it: in quotes where it must be.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
