//! Progress of one thing that has a size in bytes.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::format::bytes;
use super::progress::duration;

/// What is done sooner needs no progress.
const QUICK: Duration = Duration::from_secs(1);

/// Without a terminal, it is said this often how far it is.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Counts bytes: a bar where a terminal watches standard error, else a line now and then.
pub struct Counter {
    what: String,
    from: u64,
    done: u64,
    whole: Option<u64>,
    began: Instant,
    said: Instant,
    watched: bool,
    bar: Option<ProgressBar>,
}

impl Counter {
    /// `what` takes in `whole` bytes, if that is known, of which `from` are done already.
    pub fn new(what: &str, from: u64, whole: Option<u64>) -> Self {
        let (now, watched) = (Instant::now(), std::io::stderr().is_terminal());
        Self { what: what.to_owned(), from, done: from, whole, began: now, said: now, watched, bar: None }
    }

    /// So many bytes more are done.
    pub fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        if self.watched && self.began.elapsed() > QUICK {
            self.bar.get_or_insert_with(|| bar(&self.what, self.whole)).set_position(self.done);
            self.bar.iter().for_each(|bar| bar.set_message(self.rest()));
        } else if !self.watched && self.said.elapsed() > LINE_EVERY {
            self.said = Instant::now();
            let whole = self.whole.map_or(String::new(), |whole| format!(" of {}", super::format::bytes(whole)));
            super::talk(&format!("{}: {}{whole}, {}", self.what, super::format::bytes(self.done), self.rest()));
        }
    }

    /// `11.3 MB/s, 20 s left`.
    fn rest(&self) -> String {
        // What was there before took no time now.
        let rate = (self.done - self.from) as f64 / self.began.elapsed().as_secs_f64().max(1e-3);
        let left = self.whole.filter(|_| rate >= 1.0).map(|whole| whole.saturating_sub(self.done) as f64 / rate);
        let left = left.map_or(String::new(), |seconds| format!(", {} left", duration(seconds)));
        format!("{}/s{left}", bytes(rate as u64))
    }
}

fn bar(what: &str, whole: Option<u64>) -> ProgressBar {
    let (bar, template) = match whole {
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
