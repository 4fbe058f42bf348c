//! Progress of a single task, such as a download or a backup.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::format::{bytes, redacted};
use super::progress::duration;

/// Shorter tasks show no progress.
const QUICK: Duration = Duration::from_secs(1);

/// How often progress is printed without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The unit of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Bytes,
    Steps,
    Runs,
}

impl Counted {
    /// A count with its unit.
    fn say(self, n: u64) -> String {
        match self {
            Self::Bytes => bytes(n),
            Self::Steps => format!("{n} steps"),
            Self::Runs => format!("{n} runs"),
        }
    }
}

/// Shows progress as a bar if standard error is a terminal, otherwise as an occasional line.
pub struct Counter {
    what: String,
    unit: Counted,
    from: u64,
    done: u64,
    whole: Option<u64>,
    began: Instant,
    said: Instant,
    watched: bool,
    bar: Option<ProgressBar>,
}

impl Counter {
    /// Progress of `what`, counted in bytes, of which `from` are already done. `whole` is the total, if it is known.
    pub fn new(what: &str, from: u64, whole: Option<u64>) -> Self {
        Self::of(what, Counted::Bytes, from, whole)
    }

    /// Progress of `what` over `whole` steps.
    pub fn of_steps(what: &str, whole: u64) -> Self {
        Self::of(what, Counted::Steps, 0, Some(whole))
    }

    /// Progress of `what` over `whole` runs.
    pub fn of_runs(what: &str, whole: u64) -> Self {
        Self::of(what, Counted::Runs, 0, Some(whole))
    }

    fn of(what: &str, unit: Counted, from: u64, whole: Option<u64>) -> Self {
        let (now, watched) = (Instant::now(), std::io::stderr().is_terminal());
        Self { what: what.to_owned(), unit, from, done: from, whole, began: now, said: now, watched, bar: None }
    }

    /// Adds progress.
    pub fn advance(&mut self, more: u64) {
        self.done += more;
        if self.watched && self.began.elapsed() > QUICK {
            self.bar.get_or_insert_with(|| bar(&self.what, self.unit, self.whole)).set_position(self.done);
            self.bar.iter().for_each(|bar| bar.set_message(self.rest()));
        } else if !self.watched && self.said.elapsed() > LINE_EVERY {
            self.said = Instant::now();
            let done = match (self.whole, self.unit) {
                (None, unit) => unit.say(self.done),
                (Some(whole), Counted::Bytes) => format!("{} of {}", bytes(self.done), bytes(whole)),
                (Some(whole), unit) => format!("{} of {}", self.done, unit.say(whole)),
            };
            super::talk(&format!("{}: {done}, {}", self.what, self.rest()));
        }
    }

    /// Prints a message without disturbing the bar.
    pub fn talk(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| super::talk(text)),
            None => super::talk(text),
        }
    }

    /// The rate and the time left: `11.3 MB/s, 20 s left`.
    fn rest(&self) -> String {
        // The rate does not count what was already done at the start.
        let rate = (self.done - self.from) as f64 / self.began.elapsed().as_secs_f64().max(1e-3);
        let left = self.whole.filter(|_| rate >= 1.0).map(|whole| whole.saturating_sub(self.done) as f64 / rate);
        let left = left.map_or(String::new(), |seconds| format!(", {} left", duration(seconds)));
        format!("{}{left}", redacted("rate", format!("{}/s", self.unit.say(rate as u64))))
    }
}

fn bar(what: &str, unit: Counted, whole: Option<u64>) -> ProgressBar {
    let (bar, template) = match whole {
        Some(whole) if unit == Counted::Steps => {
            (ProgressBar::new(whole), "{prefix} {bar:20} {pos} of {len} steps, {msg}")
        }
        Some(whole) if unit == Counted::Runs => {
            (ProgressBar::new(whole), "{prefix} {bar:20} {pos} of {len} runs, {msg}")
        }
        Some(whole) => (ProgressBar::new(whole), "{prefix} {bar:20} {decimal_bytes} of {decimal_total_bytes}, {msg}"),
        None => (ProgressBar::new_spinner(), "{prefix} {spinner} {decimal_bytes}, {msg}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style.progress_chars("=> ")).with_prefix(what.to_owned())
}

impl Drop for Counter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
