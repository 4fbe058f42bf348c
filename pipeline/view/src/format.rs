//! Formats numbers, times and texts for people.

use std::path::Path;
use std::sync::LazyLock;

pub use chart::text::{NOTHING, count, cut};
use serde_json::{Map, Value};
pub use stages::plain::{line, turns};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use identity::{Cell, Loss, LossKind};
use system::quoted;

/// `text`, or `[what]` if `PIPELINE_REDACT=1` is set. Tests and documentation set this variable to compare whole
/// screens, parts of which differ between computers or from minute to minute. What is recorded is never redacted.
pub fn redacted(what: &str, text: String) -> String {
    static ASKED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("PIPELINE_REDACT").is_some_and(|it| it == "1"));
    if *ASKED { format!("[{what}]") } else { text }
}

/// A measured number: with four decimals while these are significant, otherwise with an exponent.
pub fn float(x: f64) -> String {
    let size = x.abs();
    if x == 0.0 {
        "0".to_owned()
    } else if !x.is_finite() {
        Loss(x).kind().to_string()
    } else if size >= 1e6 {
        format!("{x:.2e}")
    } else if size >= 1000.0 {
        format!("{x:.0}")
    } else if size >= 100.0 {
        format!("{x:.2}")
    } else if size >= 0.001 {
        format!("{x:.4}")
    } else {
        format!("{x:.2e}")
    }
}

/// Bytes with a unit: `512 B`, `11.3 MB`.
pub fn bytes(n: u64) -> String {
    let said = match n as f64 {
        n if n < 1e3 => format!("{n} B"),
        n if n < 1e6 => format!("{:.1} kB", n / 1e3),
        n if n < 1e9 => format!("{:.1} MB", n / 1e6),
        n => format!("{:.2} GB", n / 1e9),
    };
    redacted("size", said)
}

/// A loss, or `nan`, `inf` or `-inf`.
pub fn loss(loss: Option<f64>, kind: Option<LossKind>) -> String {
    match (loss, kind) {
        (Some(loss), _) => float(loss),
        (None, Some(kind)) => kind.to_string(),
        (None, None) => NOTHING.to_owned(),
    }
}

/// A perplexity, or the kind of its loss if that is not finite. It has one decimal from 10 to 1000.
pub fn perplexity(x: Option<f64>, kind: Option<LossKind>) -> String {
    match x {
        // The perplexity of a finite loss can overflow.
        None => match kind {
            Some(LossKind::Finite) => LossKind::Infinite.to_string(),
            Some(kind) => kind.to_string(),
            None => NOTHING.to_owned(),
        },
        Some(x) if x.abs() >= 1e6 => format!("{x:.2e}"),
        Some(x) if x.abs() >= 1000.0 => count(x.round() as i64),
        Some(x) if x.abs() >= 10.0 => format!("{x:.1}"),
        Some(x) => format!("{x:.3}"),
    }
}

/// The perplexity of an evaluation. The losses of a log whose unit is unknown have none.
pub fn perplexity_of(loss: Option<f64>, kind: LossKind, recorded: Option<f64>) -> String {
    match (recorded, loss) {
        (None, Some(loss)) if loss.exp().is_finite() => NOTHING.to_owned(),
        _ => perplexity(recorded, Some(kind)),
    }
}

/// A fraction as a percentage: `6.9 %`.
pub fn share(x: f64) -> String {
    let percent = x * 100.0;
    if percent == 0.0 || percent == 100.0 {
        format!("{percent:.0} %")
    } else if percent < 0.1 {
        format!("{percent:.2} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// A duration.
pub fn seconds(s: f64) -> String {
    let said = if s < 0.0995 {
        format!("{:.0} ms", s * 1000.0)
    } else if s < 9.95 {
        format!("{s:.1} s")
    } else if s < 99.5 {
        format!("{s:.0} s")
    } else {
        let minutes = (s / 60.0).round() as i64;
        if minutes < 100 { format!("{minutes} min") } else { format!("{}h{:02}", minutes / 60, minutes % 60) }
    };
    redacted("duration", said)
}

/// A recorded time, which is ISO 8601 in UTC, to the minute: `2026-03-01 10:00`.
pub fn time(iso: &str) -> String {
    redacted("time", iso.get(..16).unwrap_or(iso).replace('T', " "))
}

/// A value as it would be written in an experiment, but without quotes.
pub fn value(value: &Value) -> String {
    match value {
        Value::String(text) => line(text),
        Value::Number(number) => number.as_f64().filter(|_| number.is_f64()).map_or(number.to_string(), rate),
        Value::Object(entries) => {
            let short = |(name, value): (&String, &Value)| format!("{name}={}", self::value(value));
            entries.iter().map(short).collect::<Vec<_>>().join(" ")
        }
        Value::Array(values) => values.iter().map(self::value).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A parameter's value. (The record stores lists as JSON.)
pub fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Real(x) => rate(*x),
        Cell::Text(text) if text.is_empty() => "\"\"".to_owned(),
        Cell::Text(text) if text.starts_with('[') => serde_json::from_str(text).map_or(line(text), |list| value(&list)),
        Cell::Text(text) => line(text),
        other => other.text(),
    }
}

/// The shortest text that is parsed as the same float: `1.0`, `0.0001`, `1e-8`.
fn rate(x: f64) -> String {
    format!("{x:?}")
}

/// A short label of the swept parameters: `learning_rate=0.1`.
pub fn point(swept: &Map<String, Value>) -> String {
    let names = short_names(&swept.keys().map(String::as_str).collect::<Vec<_>>());
    let said = names.iter().zip(swept.values()).map(|(name, value)| match value {
        Value::Object(_) => format!("{name}={{{}}}", self::value(value)),
        value => format!("{name}={}", self::value(value)),
    });
    said.collect::<Vec<_>>().join(" ")
}

/// Shortens a label made by [`point`] to `width` columns. In turn, until it fits: the names are reduced to their
/// initials, the names are left out, and the middle is cut out.
pub fn point_within(label: &str, width: usize) -> String {
    if label.width() <= width {
        return label.to_owned();
    }
    let pairs = pairs(label);
    let initials = |name: &str| -> String { name.split('_').filter_map(|word| word.chars().next()).collect() };
    let short = |(name, value): &(&str, &str)| match name.contains('_') {
        true => format!("{}={value}", initials(name)),
        false => format!("{name}={value}"),
    };
    let named = pairs.iter().map(short).collect::<Vec<_>>().join(" ");
    if named.width() <= width {
        return named;
    }
    let values = pairs.iter().map(|(_, value)| *value).collect::<Vec<_>>().join(" ");
    if values.width() <= width {
        return values;
    }
    let (head, tail) = (width / 2, width - width / 2 - 1);
    let from = values.char_indices().rev().nth(tail.saturating_sub(1)).map_or(0, |(at, _)| at);
    let tail = if tail == 0 { "" } else { &values[from..] };
    format!("{}…{tail}", values.chars().take(head).collect::<String>())
}

/// The names and values in a label: `learning_rate=0.1 schedule={kind=cosine, floor=0.1}` has two.
fn pairs(label: &str) -> Vec<(&str, &str)> {
    let (mut depth, mut begins, mut parts) = (0_usize, 0, Vec::new());
    for (at, c) in label.char_indices() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            ' ' if depth == 0
                && label[at + 1..].split([' ', '{', '[']).next().is_some_and(|word| word.contains('=')) =>
            {
                parts.push(&label[begins..at]);
                begins = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&label[begins..]);
    parts.into_iter().filter_map(|part| part.split_once('=')).collect()
}

/// Shortens dotted names to their last segments where these are unique.
pub fn short_names(names: &[&str]) -> Vec<String> {
    fn last(name: &str) -> &str {
        name.rsplit('.').next().unwrap_or("")
    }
    let alone = |name: &str| names.iter().filter(|other| last(other) == last(name)).count() == 1;
    names.iter().map(|name| if alone(name) { last(name) } else { name }.to_owned()).collect()
}

/// A list of names; if there are many, the first few and the number of the rest.
pub fn some(names: &[String]) -> String {
    const FEW: usize = 6;
    match names.len() {
        0..=FEW => names.join(", "),
        many => format!("{} and {} more", names[..FEW].join(", "), count((many - FEW) as i64)),
    }
}

/// A text padded with spaces to a width.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// A text's lines, wrapped to a width at spaces, with control characters escaped.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut now = String::new();
        for word in paragraph.split(' ').map(line) {
            let mut word = word.as_str();
            if !now.is_empty() && now.width() + 1 + word.width() > width {
                lines.push(std::mem::take(&mut now));
            } else if !now.is_empty() {
                now.push(' ');
            }
            // A word that is longer than a line is split.
            while word.width() > width {
                let fits = word.char_indices().scan(0, |used, (at, c)| {
                    *used += c.width().unwrap_or(0);
                    (*used <= width).then_some(at + c.len_utf8())
                });
                let at = fits.last().unwrap_or(word.len());
                lines.push(word[..at].to_owned());
                word = &word[at..];
            }
            now.push_str(word);
        }
        lines.push(now);
    }
    lines
}

/// The shell command that runs an experiment with some overrides.
pub fn command(experiment: &str, overrides: &[String]) -> String {
    format!("pipeline run {}{}", quoted(experiment), sets(overrides))
}

/// Overrides as `--set` flags.
pub fn sets(overrides: &[String]) -> String {
    overrides.iter().map(|text| format!(" --set {}", quoted(text))).collect()
}

/// A path. If it is not valid UTF-8, it is quoted, with the invalid bytes escaped.
pub fn path(path: &Path) -> String {
    path.to_str().map_or_else(|| format!("{path:?}"), str::to_owned)
}

/// Lines indented by two columns.
pub fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_rounded_and_have_units() {
        assert_eq!(
            [float(9.21034), float(1e30), float(0.00012), float(172.4)],
            ["9.2103", "1.00e30", "1.20e-4", "172.40"]
        );
        assert_eq!(
            [loss(None, Some(LossKind::Nan)), loss(Some(2.5), Some(LossKind::Finite)), loss(None, None)],
            ["nan", "2.5000", "–"]
        );
        assert_eq!(
            [perplexity(Some(114.52), None), perplexity(Some(10000.0), None), perplexity(None, Some(LossKind::Nan))],
            ["114.5", "10,000", "nan"]
        );
        assert_eq!([share(0.0), share(0.984), share(0.0006), share(1.0)], ["0 %", "98.4 %", "0.06 %", "100 %"]);
        assert_eq!([seconds(0.004), seconds(3.21), seconds(42.0), seconds(100.0)], ["4 ms", "3.2 s", "42 s", "2 min"]);
        assert_eq!(seconds(36_000.0), "10h00");
    }

    #[test]
    fn points_are_short_and_unambiguous() {
        let swept = json!({"train.learning_rate": 0.1, "batch.seed": 1, "train.seed": 2});
        assert_eq!(point(swept.as_object().unwrap()), "batch.seed=1 learning_rate=0.1 train.seed=2");
    }

    #[test]
    fn texts_are_wrapped_and_escaped() {
        assert_eq!(wrap("the cat sat\non it", 7), ["the cat", "sat", "on it"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(line("a\u{1b}[31m\tb"), "a\\u{1b}[31m\\tb");
    }
}
