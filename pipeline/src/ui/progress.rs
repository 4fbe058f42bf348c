//! Progress of `pipeline run`: live bars on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use unicode_width::UnicodeWidthStr as _;

use super::format;
use engine::work::{JobLabel, Progress, WorkObserver};
use identity::StageKey;

/// How often a running job prints its progress without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// A shorter job shows no bar, which would only flicker.
const QUICK: Duration = Duration::from_millis(300);

/// Columns of a bar's title. The rest of 80 columns holds the bar, the steps, the loss and the time left.
const TITLE: usize = 30;

/// Shows jobs as they run.
pub struct Screen {
    bars: Option<MultiProgress>,
    jobs: HashMap<StageKey, ProgressLine>,
    total: Option<ProgressBar>,
}

struct ProgressLine {
    title: String,
    /// The title shortened for a bar.
    short: String,
    began: Instant,
    said: Instant,
    bar: Option<ProgressBar>,
    /// Tokens per second, smoothed over the last seconds.
    rate: Option<f64>,
    /// Time and tokens when the rate was last updated.
    looked: (Instant, u64),
}

impl Screen {
    /// Bars if standard error is a terminal, otherwise lines.
    pub fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { bars, jobs: HashMap::new(), total: None }
    }

    fn say(&self, text: &str) {
        match &self.bars {
            // If the terminal is gone, it can't show the error either.
            Some(bars) => drop(bars.println(text)),
            None => super::talk(text),
        }
    }

    fn bar(&mut self, key: StageKey) -> Option<&ProgressBar> {
        let bars = self.bars.as_ref()?;
        let total = self.total.as_ref();
        let line = self.jobs.get_mut(&key)?;
        if line.bar.is_none() && line.began.elapsed() > QUICK {
            // A bar must be placed before anything is set on it, or it would draw itself and leave a stale line.
            let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::hidden())
                .with_style(style(&format!("  {{prefix:{TITLE}!}} {{bar:6}} {{wide_msg}}")))
                .with_prefix(line.short.clone());
            let bar = match total {
                Some(total) => bars.insert_before(total, bar),
                None => bars.add(bar),
            };
            line.bar = Some(bar);
        }
        line.bar.as_ref()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).map_or_else(|_| ProgressStyle::default_bar(), |s| s.progress_chars("=> "))
}

/// The title of a job, such as `evaluate 100 valid learning_rate=0.1`, shortened to `columns` if that is given.
fn title(job: &JobLabel<'_>, columns: Option<usize>) -> String {
    let join = |parts: &[&str]| parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ");
    let what = join(&[job.stage.as_str(), job.item]);
    let others = match job.users {
        0 | 1 => match columns {
            Some(columns) => format::point_within(job.label, columns.saturating_sub(what.width() + 1)),
            None => job.label.to_owned(),
        },
        _ if job.label.is_empty() => String::new(),
        users => format!("(for {users} points)"),
    };
    join(&[&what, &others])
}

/// A readable duration: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    let said = match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 60.0 => format!("{s:.0} s"),
        s if s < 3600.0 => format!("{} min {} s", s as u64 / 60, s as u64 % 60),
        s => format!("{} h {} min", s as u64 / 3600, s as u64 % 3600 / 60),
    };
    format::redacted("duration", said)
}

/// A line of an explanation, with digests replaced if the screen is redacted.
fn explained(line: &str) -> String {
    let is_digest = |word: &str| word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let shown = |word: &str| match word.trim_end_matches(',') {
        digits if is_digest(digits) => word.replace(digits, &format::redacted("digest", digits.to_owned())),
        _ => word.to_owned(),
    };
    line.split(' ').map(shown).collect::<Vec<_>>().join(" ")
}

/// Seconds per step at the current token rate. The average since the start would be too high, because the first steps
/// are slower; it is used only if the rate is unknown or training has stalled.
fn seconds_per_step(rate: Option<f64>, tokens: u64, steps: u64, elapsed: f64) -> f64 {
    match rate {
        Some(rate) if rate >= 1.0 => tokens as f64 / steps as f64 / rate,
        _ => elapsed / steps as f64,
    }
}

impl WorkObserver for Screen {
    fn started(&mut self, job: &JobLabel<'_>) {
        let now = Instant::now();
        let (title, short) = (title(job, None), title(job, Some(TITLE)));
        let line = ProgressLine { title, short, began: now, said: now, bar: None, rate: None, looked: (now, 0) };
        self.jobs.insert(job.key, line);
    }

    fn progress(&mut self, job: &JobLabel<'_>, progress: &Progress) {
        let Some(line) = self.jobs.get_mut(&job.key) else { return };
        let (share, text) = match *progress {
            Progress::Share(share) => (share, String::new()),
            Progress::Steps { from, step, to, loss, tokens } => {
                let (when, before) = line.looked;
                let passed = when.elapsed().as_secs_f64();
                if passed > 1.0 {
                    let now = tokens.saturating_sub(before) as f64 / passed;
                    line.rate = Some(line.rate.map_or(now, |rate| 0.7 * rate + 0.3 * now));
                    line.looked = (Instant::now(), tokens);
                }
                let done = (step + 1).saturating_sub(from).max(1);
                let per_step = seconds_per_step(line.rate, tokens, done, line.began.elapsed().as_secs_f64());
                let left = per_step * to.saturating_sub(step + 1) as f64;
                let rate = line.rate.map_or(String::new(), |rate| {
                    format!(", {}", format::redacted("rate", format!("{rate:.0} tok/s")))
                });
                let text = format!("{}/{to}, loss {loss:.3}, {} left{rate}", step + 1, duration(left));
                (done * 1000 / (to - from).max(1), text)
            }
        };
        let said = (self.bars.is_none() && line.said.elapsed() > LINE_EVERY).then(|| {
            line.said = Instant::now();
            if text.is_empty() {
                format!("  {}: {} %", line.title, share / 10)
            } else {
                format!("  {}: {text}", line.title)
            }
        });
        if let Some(said) = said {
            self.say(&said);
        }
        if let Some(bar) = self.bar(job.key) {
            bar.set_position(share);
            bar.set_message(text);
        }
    }

    fn ended(&mut self, job: &JobLabel<'_>, seconds: f64, error: Option<&str>) {
        let Some(line) = self.jobs.remove(&job.key) else { return };
        if let Some(bar) = line.bar {
            bar.finish_and_clear();
        }
        match error {
            None => self.say(&format!("  {} done in {}", line.title, duration(seconds))),
            Some("stopped") => self.say(&format!("  {} stopped; its progress is kept", line.title)),
            // The error itself is printed once, at the end, with its hint.
            Some(_) => self.say(&format!("  {} failed after {}", line.title, duration(seconds))),
        }
    }

    fn explained(&mut self, job: &JobLabel<'_>, why: &[String]) {
        let mut why = why.iter().map(|line| explained(line));
        self.say(&format!("{}: {}", title(job, None), why.next().unwrap_or_default()));
        for line in why {
            self.say(&format!("    {line}"));
        }
    }

    fn note(&mut self, text: &str) {
        self.say(&format!("  {text}"));
    }

    fn tick(&mut self, done: usize, known: usize) {
        let Some(bars) = &self.bars else { return };
        let total = self.total.get_or_insert_with(|| {
            let bar = ProgressBar::new(1)
                .with_style(style("  {pos} of {len} known stage executions done, {elapsed} elapsed{wide_msg}"));
            bars.add(bar)
        });
        total.set_length(known as u64);
        total.set_position(done as u64);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(total) = &self.total {
            total.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_have_distinct_titles_at_80_columns() {
        let titles = |points: &[&str]| -> Vec<String> {
            let stage = &"train".parse().unwrap();
            let shown = |label| JobLabel { key: StageKey(identity::Digest::of(b"")), stage, item: "", label, users: 1 };
            points.iter().map(|label| title(&shown(*label), Some(TITLE))).collect()
        };
        let points = ["learning_rate=0.001 clip_norm=0.25 seed=1", "learning_rate=0.001 clip_norm=0.25 seed=2"];
        assert_eq!(titles(&points), ["train lr=0.001 cn=0.25 seed=1", "train lr=0.001 cn=0.25 seed=2"]);
        assert!(titles(&["a=1"]).iter().all(|title| title == "train a=1"));
    }

    #[test]
    fn the_time_left_follows_the_current_rate_unless_training_has_stalled() {
        assert_eq!(seconds_per_step(None, 400, 1, 0.25), 0.25);
        assert_eq!(seconds_per_step(Some(4000.0), 40_000, 100, 60.0), 0.1);
        // For example after an hour under SIGSTOP: the rate is near 0, but the time left must not be near infinity.
        assert_eq!(seconds_per_step(Some(1e-15), 40_000, 100, 3600.0), 36.0);
    }
}
