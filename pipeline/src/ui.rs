//! Everything that is printed: stdout is data, stderr is talk. Nothing else in this program prints.

pub mod axis;
pub mod counter;
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

/// Where data that is too long to be held goes; a write fails when the reader went away.
pub fn sink() -> impl std::io::Write {
    std::io::BufWriter::new(std::io::stdout().lock())
}

/// A value as JSON, for data.
pub fn json(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("BUG: what is shown can be written as JSON");
    text.push('\n');
    text
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

/// Compares a whole screen with the file of that name beside the commands; `PIPELINE_BLESS=1` writes it instead.
#[cfg(test)]
pub fn screen_is(name: &str, text: &str) {
    let path = format!("{}/src/commands/screens/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("PIPELINE_BLESS").is_some() {
        return std::fs::write(&path, text).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == wanted, "{path} is\n{wanted}\nbut the screen is\n{text}");
}
