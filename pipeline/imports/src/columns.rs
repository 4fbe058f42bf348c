//! What a column of a table or a key of a JSON line is for, by its name, and what its cells say.
//!
//! Only what counts (steps, epochs, batches) and what says of which split a row speaks is told apart here. Which of
//! the numbers is the loss is decided later, from all names that a log has.

use crate::Span;
use crate::json::no_json_number;

/// The longest name of a series or a split. What is longer is a text, and not kept.
pub const LONGEST_NAME: usize = 1024;

/// What a column or key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It counts steps. Of several that do, the one with the lowest rank is taken.
    Step {
        /// 0 where the name says that it counts through the whole training.
        rank: u8,
    },
    /// It counts epochs.
    Epoch,
    /// It counts batches within the epoch.
    Batch,
    /// It says of which split the row speaks.
    Split,
    /// It may: it does where its value is the word for a split that everyone knows.
    PerhapsSplit,
    /// It names the series whose number stands in another column.
    Series,
    /// It holds the number of the series that another column names.
    Value,
    /// A number under its own name, or a text.
    Other,
}

impl Purpose {
    /// By its name, in any case.
    pub fn of(name: &str) -> Self {
        // Longer names are none of these, and some logs have many of them.
        if name.len() > 32 {
            return Self::Other;
        }
        let name = name.trim().to_ascii_lowercase().replace([' ', '-', '.'], "_");
        match name.as_str() {
            "global_step"
            | "trainer/global_step"
            | "train/global_step"
            | "globalstep"
            | "current_steps"
            | "num_updates"
            | "total_timesteps"
            | "time/total_timesteps" => Self::Step { rank: 0 },
            "step" | "steps" | "train_step" | "training_step" | "train/step" | "timestep" | "timesteps" => {
                Self::Step { rank: 1 }
            }
            "iteration" | "iterations" | "iter" | "iters" | "it" | "update" | "updates" => Self::Step { rank: 2 },
            // It counts the calls of W&B's logger, which a training may make more than once a step.
            "_step" => Self::Step { rank: 3 },
            // pandas writes the row's index so.
            "" | "unnamed:_0" => Self::Step { rank: 4 },
            "epoch" | "epochs" | "train/epoch" | "current_epoch" | "epoch_num" => Self::Epoch,
            "batch" | "batch_idx" | "batch_index" | "batch_num" => Self::Batch,
            "split" | "subset" => Self::Split,
            "phase" | "stage" | "mode" | "partition" | "set" => Self::PerhapsSplit,
            "metric" | "metric_name" | "name" | "tag" | "key" | "variable" => Self::Series,
            "value" | "metric_value" => Self::Value,
            _ => Self::Other,
        }
    }

    /// Whether it tells where on the axis of a training a row belongs.
    pub fn counts(self) -> bool {
        matches!(self, Self::Step { .. } | Self::Epoch | Self::Batch)
    }

    /// The split that a row with this text speaks of. A number is none: stages are counted too.
    pub fn split(self, text: &str) -> Option<&str> {
        let text = text.trim();
        if text.len() > LONGEST_NAME {
            return None;
        }
        match self {
            Self::Split if !text.is_empty() && number(text.as_bytes()).is_none() => Some(text),
            Self::PerhapsSplit if is_split(text) => Some(text),
            _ => None,
        }
    }
}

/// Whether this is a word for a split that everyone knows.
pub fn is_split(word: &str) -> bool {
    ["train", "training", "trn", "valid", "val", "validation", "dev", "eval", "evaluation", "test", "testing"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

/// Over what the numbers of a column are taken, as far as its name tells: Lightning ends the names of what it logs
/// both ways in `_step` and `_epoch` (<https://lightning.ai/docs/pytorch/stable/extensions/logging.html>).
pub fn span(name: &str) -> Span {
    match name.rsplit_once('_') {
        Some((name, "step")) if !name.is_empty() => Span::Step,
        Some((name, "epoch")) if !name.is_empty() => Span::Epoch,
        _ => Span::Unknown,
    }
}

/// The number in a cell. An empty cell, `NA` and other texts are none.
pub fn number(cell: &[u8]) -> Option<f64> {
    let cell = cell.trim_ascii();
    if !matches!(cell.first()?, b'0'..=b'9' | b'+' | b'-' | b'.' | b'n' | b'N' | b'i' | b'I') {
        return None;
    }
    let text = std::str::from_utf8(cell).ok()?;
    text.parse().ok().or_else(|| no_json_number(text)).or_else(|| grouped(text))
}

/// A number with a comma every three digits, such as `85,775`.
fn grouped(text: &str) -> Option<f64> {
    let whole = text.split('.').next()?.trim_start_matches(['+', '-']);
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let mut any = false;
    let rest = groups.all(|group| {
        any = true;
        group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit())
    });
    let fits = rest && any && (1..=3).contains(&first.len()) && first.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.replace(',', "").parse().ok() } else { None }
}

/// The integer in a cell that counts: `49` and `49.0`. `Err` for a number that can't count: with a fraction, beyond
/// `i64`, or none at all.
pub fn count(cell: &[u8]) -> Option<Result<i64, f64>> {
    let cell = cell.trim_ascii();
    match std::str::from_utf8(cell).ok().and_then(|text| text.parse().ok()) {
        Some(count) => Some(Ok(count)),
        None => number(cell).map(whole),
    }
}

/// A number that is whole, as an integer; or as it is.
pub fn whole(number: f64) -> Result<i64, f64> {
    // The largest power of two that i64 doesn't hold: below it the conversion is exact.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() == 0.0 && (-BEYOND..BEYOND).contains(&number) { Ok(number as i64) } else { Err(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_counts() {
        for (name, purpose) in [
            ("Step", Purpose::Step { rank: 1 }),
            ("global step", Purpose::Step { rank: 0 }),
            ("trainer/global_step", Purpose::Step { rank: 0 }),
            ("_step", Purpose::Step { rank: 3 }),
            ("Unnamed: 0", Purpose::Step { rank: 4 }),
            ("Epoch ", Purpose::Epoch),
            ("batch_idx", Purpose::Batch),
            ("Split", Purpose::Split),
            ("phase", Purpose::PerhapsSplit),
            ("train_loss_step", Purpose::Other),
            ("steps_per_second", Purpose::Other),
        ] {
            assert_eq!(Purpose::of(name), purpose, "{name}");
        }
    }

    #[test]
    fn only_a_split_is_a_split() {
        assert_eq!(Purpose::Split.split(" books "), Some("books"));
        assert_eq!(Purpose::Split.split("2"), None);
        assert_eq!(Purpose::PerhapsSplit.split("Val"), Some("Val"));
        assert_eq!(Purpose::PerhapsSplit.split("pretraining"), None);
        assert_eq!(Purpose::Other.split("val"), None);
    }

    #[test]
    fn cells_are_numbers_or_none() {
        for (cell, expected) in
            [("1.5", 1.5), (" 2e-5 ", 2e-5), ("85,775", 85775.0), ("1,234.5", 1234.5), ("-inf", f64::NEG_INFINITY)]
        {
            assert_eq!(number(cell.as_bytes()), Some(expected), "{cell}");
        }
        for cell in ["nan", "NaN", "-nan", "NAN"] {
            assert!(number(cell.as_bytes()).unwrap().is_nan(), "{cell}");
        }
        for cell in [
            "",
            " ",
            "NA",
            "N/A",
            "n/a",
            "None",
            "null",
            "nanms",
            "(+nanz)",
            "-",
            "1,23",
            "12:30:00",
            "2024-01-01",
            "\u{e9}",
            "1.5 s",
        ] {
            assert_eq!(number(cell.as_bytes()), None, "{cell}");
        }
        assert_eq!(number(b"\xff1"), None);
    }

    #[test]
    fn counts_are_whole() {
        assert_eq!(count(b"49"), Some(Ok(49)));
        assert_eq!(count(b"-1"), Some(Ok(-1)));
        assert_eq!(count(b"49.0"), Some(Ok(49)));
        assert_eq!(count(b"1e3"), Some(Ok(1000)));
        assert_eq!(count(b"49.5"), Some(Err(49.5)));
        assert_eq!(count(b"9223372036854775807"), Some(Ok(i64::MAX)));
        assert_eq!(count(b"9223372036854775808"), Some(Err(9_223_372_036_854_775_808.0)));
        assert_eq!(count(b""), None);
        assert!(count(b"nan").unwrap().unwrap_err().is_nan());
    }
}
