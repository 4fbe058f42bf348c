//! Everything that is printed: stdout is data, stderr is talk. Nothing else in this program prints.

pub mod axis;
pub mod curve;
pub mod format;
pub mod look;
pub mod overlay;
pub mod progress;
pub mod table;

use std::io::Write as _;

use crate::failure::Failure;

/// Prints data. A reader that went away (`| head`) is no error.
pub fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints an error and its hint.
pub fn failure(failure: &Failure) {
    if failure.message.is_empty() {
        return;
    }
    let mut text = format!("error: {}\n", failure.message);
    if !failure.hint.is_empty() {
        text.push_str(&format!("hint: {}\n", failure.hint));
    }
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Prints a line of talk.
pub fn talk(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
