//! How wide the screen is, and whether it has colours.

use std::io::IsTerminal as _;

use identity::Status;

/// The width where no terminal says one.
const USUAL_WIDTH: usize = 80;

/// What the reader of standard output can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Columns that text is wrapped to and curves are drawn in.
    pub width: usize,
    /// Whether a person watches: then a table that is too wide leaves columns out. What a program reads is whole.
    pub terminal: bool,
    /// Whether colours are wanted. Every message is plain without them.
    pub colour: bool,
}

/// What a text stands out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ink {
    #[default]
    Plain,
    Dim,
    Bold,
    Good,
    Bad,
    Warn,
    /// One of several runs, by its place.
    Series(usize),
}

impl Look {
    /// Standard output's.
    pub fn stdout() -> Self {
        let terminal = std::io::stdout().is_terminal();
        // https://no-color.org: any value but the empty one.
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let width = match terminal_size::terminal_size() {
            Some((terminal_size::Width(width), _)) if terminal => usize::from(width).clamp(40, 200),
            _ => USUAL_WIDTH,
        };
        Self { width, terminal, colour: terminal && !plain }
    }

    /// A text in its ink.
    pub fn paint(&self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => return text.to_owned(),
            _ if !self.colour || text.is_empty() => return text.to_owned(),
            Ink::Dim => "2",
            Ink::Bold => "1",
            Ink::Good => "32",
            Ink::Bad => "31",
            Ink::Warn => "33",
            // Told apart by most colour-blind eyes in this order: blue, yellow, magenta, cyan, red, green.
            Ink::Series(place) => ["94", "33", "35", "36", "31", "32"][place % 6],
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// A heading of a part of a screen.
    pub fn heading(&self, text: &str) -> String {
        self.paint(Ink::Bold, text)
    }
}

/// The ink of a status.
pub fn status_ink(status: Status) -> Ink {
    match status {
        Status::Finished => Ink::Good,
        Status::Failed => Ink::Bad,
        Status::Running | Status::Interrupted => Ink::Warn,
    }
}

#[cfg(test)]
impl Look {
    /// What a test compares: 80 columns, a person's table, no colours.
    pub const PLAIN: Self = Self { width: 80, terminal: true, colour: false };
}
