//! Progress of `pipeline run`: live bars where a terminal watches, plain lines where none does.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use unicode_width::UnicodeWidthStr as _;

use super::format;
use engine::work::{JobLabel, Progress, WorkObserver};
use identity::StageKey;

/// Without a terminal, a running job says how far it is this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// A job that takes less than this needs no bar: it would only flicker.
const QUICK: Duration = Duration::from_millis(300);

/// Columns of a bar's title: the rest of 80 holds the bar, and how far a training is with the time left.
const TITLE: usize = 30;

/// Shows jobs as they run.
pub struct Screen {
    bars: Option<MultiProgress>,
    jobs: HashMap<StageKey, ProgressLine>,
    total: Option<ProgressBar>,
}

struct ProgressLine {
    title: String,
    /// In the columns of a bar.
    short: String,
    began: Instant,
    said: Instant,
    bar: Option<ProgressBar>,
    /// Tokens and time at the last look, for a rate over the last seconds instead of over all.
    rate: Option<f64>,
    looked: (Instant, u64),
}

impl Screen {
    /// Bars where standard error is a terminal, else lines.
    pub fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { bars, jobs: HashMap::new(), total: None }
    }

    fn say(&self, text: &str) {
        match &self.bars {
            // A terminal that is gone can't be told.
            Some(bars) => drop(bars.println(text)),
            None => super::talk(text),
        }
    }

    fn bar(&mut self, key: StageKey) -> Option<&ProgressBar> {
        let bars = self.bars.as_ref()?;
        let total = self.total.as_ref();
        let line = self.jobs.get_mut(&key)?;
        if line.bar.is_none() && line.began.elapsed() > QUICK {
            // Nothing is set on a bar before it has its place: it would draw itself, and that line would stay.
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

/// `train learning_rate=0.1`, `evaluate 100 valid learning_rate=0.1`; in so many columns where they are counted.
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

/// Seconds as a person says them: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    let said = match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 60.0 => format!("{s:.0} s"),
        s if s < 3600.0 => format!("{} min {} s", s as u64 / 60, s as u64 % 60),
        s => format!("{} h {} min", s as u64 / 3600, s as u64 % 3600 / 60),
    };
    format::redacted("duration", said)
}

/// A line of an explanation; where a screen is redacted, without the first digits of digests.
fn explained(line: &str) -> String {
    let is_digest = |word: &str| word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let shown = |word: &str| match word.trim_end_matches(',') {
        digits if is_digest(digits) => word.replace(digits, &format::redacted("digest", digits.to_owned())),
        _ => word.to_owned(),
    };
    line.split(' ').map(shown).collect::<Vec<_>>().join(" ")
}

/// Seconds of a step at the present rate of tokens, once it is known: the first steps are slower. A training that is held up
/// has none, and then its whole time counts.
fn seconds_a_step(rate: Option<f64>, tokens: u64, steps: u64, elapsed: f64) -> f64 {
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
                let a_step = seconds_a_step(line.rate, tokens, done, line.began.elapsed().as_secs_f64());
                let left = a_step * to.saturating_sub(step + 1) as f64;
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
            Some("stopped") => self.say(&format!("  {} stopped; what it did is kept", line.title)),
            // The error itself is said once, at the end, with its hint.
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
                .with_style(style("  {pos} of {len} known stage executions done, {elapsed} so far{wide_msg}"));
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
    fn points_have_titles_of_their_own_at_80_columns() {
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
    fn the_time_left_follows_the_present_rate_unless_the_training_is_held_up() {
        assert_eq!(seconds_a_step(None, 400, 1, 0.25), 0.25);
        assert_eq!(seconds_a_step(Some(4000.0), 40_000, 100, 60.0), 0.1);
        // As after an hour under SIGSTOP: the rate goes to 0, and the time left must not go to infinity.
        assert_eq!(seconds_a_step(Some(1e-15), 40_000, 100, 3600.0), 36.0);
    }
}
