//! Everything that is printed: stdout is data, stderr is talk. Nothing else in this program prints.

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

/// Why data could not be printed, if it could not.
static LOST: OnceLock<String> = OnceLock::new();

/// Prints data. A reader that went away (`| head`) is no error; anything else ends the program with one, see [`lost`].
pub fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        lose(&error);
    }
}

/// The same for what a library has printed.
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

/// The failure of a command whose data were not all printed, as on a full disk.
pub fn lost() -> Option<Failure> {
    LOST.get().map(|error| Failure::failed(format!("standard output: {error}"), "what was printed is incomplete"))
}

/// Where data that is too long to be held goes; a write fails when the reader went away, or the disk is full.
pub fn sink() -> impl std::io::Write {
    std::io::BufWriter::new(Watched(std::io::stdout().lock()))
}

/// Standard output, with an eye on what could not be written.
struct Watched(std::io::StdoutLock<'static>);

impl std::io::Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes).inspect_err(lose)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush().inspect_err(lose)
    }
}

/// A view as JSON, for data.
pub fn document(view: View<'_>) -> String {
    json(&Document::from(view))
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

/// Whether a terminal shows what is talked.
pub fn talk_is_watched() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}

/// Prints a line of talk.
pub fn talk(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
