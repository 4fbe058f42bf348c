//! A row of a batch, and its tokens as words.

use serde::Serialize;

use crate::ui::format;

/// A row of a batch.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The corpus offset of the first input; the targets begin one token later.
    pub offset: u64,
    pub inputs: Vec<String>,
    pub targets: Vec<String>,
}

/// The word of a type; all of them are `types`.
pub fn word(types: &[String], id: u32) -> String {
    types.get(id as usize).map_or_else(|| format!("#{id}"), Clone::clone)
}

/// A token that can be seen: a space or a line's end is a token of its own where characters are.
pub fn visible(token: &str) -> String {
    if token.chars().all(|c| c == ' ') { "␠".repeat(token.len()) } else { format::line(token) }
}
