//! A verdict in a few words.

use identity::verdict::Headline;

use crate::format::count;

/// A verdict in a few words: `diverged at step 120`.
pub fn short(verdict: &Headline) -> String {
    let kind = spoken(verdict.verdict.as_str());
    let onset = verdict.began().map_or_else(String::new, |onset| format!(" at step {}", count(onset)));
    let after = match verdict.recovered {
        Some(true) => ", recovered",
        Some(false) => ", not recovered",
        None => "",
    };
    format!("{kind}{onset}{after}")
}

/// A recorded word as prose: `too_low` becomes `too low`.
pub fn spoken(name: &str) -> String {
    name.replace('_', " ")
}
