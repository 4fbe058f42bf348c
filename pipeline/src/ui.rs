//! All output: data goes to stdout, messages go to stderr. Nothing else in this program prints.

pub mod axis;
pub mod counter;
pub mod curve;
pub mod end;
pub mod file;
pub mod look;
pub mod multiples;
pub mod overlay;
pub mod progress;
pub mod report;
pub mod table;
pub mod verdict;
pub mod watch;

use std::io::Write as _;
use std::sync::OnceLock;

use session::failure::Failure;
use view::document::{Document, View};
pub use view::format;

/// Why data could not be printed, if printing failed.
static LOST: OnceLock<String> = OnceLock::new();

/// Prints data. A closed pipe (`| head`) is not an error; any other failure is remembered for [`lost`].
pub fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        lose(&error);
    }
}

/// Checks whether a library that prints by itself, such as clap, could print.
pub fn printed(done: std::io::Result<()>) {
    if let Err(error) = done.and_then(|()| std::io::stdout().flush()) {
        lose(&error);
    }
}

/// Remembers that data could not be printed.
fn lose(error: &std::io::Error) {
    if error.kind() != std::io::ErrorKind::BrokenPipe {
        LOST.get_or_init(|| error.to_string());
    }
}

/// The failure of a command whose data were not printed completely, for example because the disk was full.
pub fn lost() -> Option<Failure> {
    LOST.get().map(|error| Failure::failed(format!("standard output: {error}"), "the output is incomplete"))
}

/// A writer for data that is too large for memory. A write fails if the pipe is closed or the disk is full.
pub fn sink() -> impl std::io::Write {
    std::io::BufWriter::new(Watched(std::io::stdout().lock()))
}

/// Standard output that remembers failed writes.
struct Watched(std::io::StdoutLock<'static>);

impl std::io::Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes).inspect_err(lose)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush().inspect_err(lose)
    }
}

/// A view as JSON.
pub fn document(view: View<'_>) -> String {
    json(&Document::from(view))
}

/// A value as JSON.
pub fn json(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("BUG: a view can't be serialised as JSON");
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

/// Whether standard error is a terminal.
pub fn talk_is_watched() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}

/// Prints a message.
pub fn talk(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
