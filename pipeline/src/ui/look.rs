//! The width of the screen, and whether it has colours.

use std::io::IsTerminal as _;

use identity::Status;

/// The width if standard output is not a terminal.
const USUAL_WIDTH: usize = 80;

/// How standard output is displayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Columns that text is wrapped to and curves are drawn in.
    pub width: usize,
    /// Whether standard output is a terminal. Only on a terminal do tables that are too wide omit columns.
    pub terminal: bool,
    /// Whether to use colours. Every message makes sense without them.
    pub colour: bool,
}

/// The style of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ink {
    #[default]
    Plain,
    Dim,
    Bold,
    Good,
    Bad,
    Warn,
    /// The colour of one of several runs, by the position of the run.
    Series(usize),
}

impl Look {
    /// The look of standard output.
    pub fn stdout() -> Self {
        let terminal = std::io::stdout().is_terminal();
        // Any value that is not empty turns colours off (https://no-color.org).
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let width = match terminal_size::terminal_size() {
            Some((terminal_size::Width(width), _)) if terminal => usize::from(width).clamp(40, 200),
            _ => USUAL_WIDTH,
        };
        Self { width, terminal, colour: terminal && !plain }
    }

    /// Paints a text in a style.
    pub fn paint(&self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => return text.to_owned(),
            _ if !self.colour || text.is_empty() => return text.to_owned(),
            Ink::Dim => "2",
            Ink::Bold => "1",
            Ink::Good => "32",
            Ink::Bad => "31",
            Ink::Warn => "33",
            // In this order most colour-blind readers can tell them apart: blue, yellow, magenta, cyan, red, green.
            Ink::Series(place) => ["94", "33", "35", "36", "31", "32"][place % 6],
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Paints a heading.
    pub fn heading(&self, text: &str) -> String {
        self.paint(Ink::Bold, text)
    }
}

/// The style of a status.
pub fn status_ink(status: Status) -> Ink {
    match status {
        Status::Finished => Ink::Good,
        Status::Failed => Ink::Bad,
        Status::Running | Status::Interrupted => Ink::Warn,
    }
}

#[cfg(test)]
impl Look {
    /// For tests: a terminal of 80 columns without colours.
    pub const PLAIN: Self = Self { width: 80, terminal: true, colour: false };
}
