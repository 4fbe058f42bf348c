//! Which format a file has, by what it begins with. Its name is only a hint: people rename logs.

use std::io::{self, Read};
use std::path::Path;
use std::sync::LazyLock;

use regex::bytes::Regex;
use serde_json::Value;

use crate::cells::Rows;
use crate::columns::{Purpose, number};
use crate::csv::Header;
use crate::json::quoted;
use crate::{mlflow_db, mlflow_files, sqlite, tfevents, trackio, wandb};

/// As many bytes of a file are looked at. After a crash a log may begin with thousands of NULs.
pub const HEAD: u64 = 64 * 1024;

/// A format that a reader is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// [`crate::tfevents`].
    Events,
    /// [`crate::wandb`].
    Wandb,
    /// [`crate::trainer_state`].
    TrainerState,
    /// The `meta.yaml` of a run in MLflow's file store: [`mlflow_files::read_settings`] of its folder.
    MlflowRun,
    /// A file of such a run's `metrics`: [`mlflow_files::read`].
    MlflowMetric,
    /// Many runs: [`mlflow_db::runs`].
    MlflowDatabase,
    /// Many runs: [`trackio::runs`].
    TrackioDatabase,
    /// [`crate::jsonl`].
    JsonLines,
    /// [`crate::csv`].
    Csv,
    /// What a program printed: [`crate::text`].
    Text,
}

impl Format {
    /// What people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Events => "TensorBoard",
            Self::Wandb => "W&B",
            Self::TrainerState => "trainer_state.json",
            Self::MlflowRun | Self::MlflowMetric | Self::MlflowDatabase => "MLflow",
            Self::TrackioDatabase => "trackio",
            Self::JsonLines => "JSON lines",
            Self::Csv => "CSV",
            Self::Text => "text",
        }
    }
}

/// The beginning of a file.
///
/// # Errors
/// What the system refuses.
pub fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    std::fs::File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// The format of a file that a user names, by its [`head`]. A text that is nothing else is taken for a log.
pub fn detect(path: &Path, head: &[u8]) -> Option<Format> {
    if tfevents::is_it(head) {
        return Some(Format::Events);
    }
    if wandb::is_it(head) {
        return Some(Format::Wandb);
    }
    if head.starts_with(sqlite::MAGIC) {
        let connection = sqlite::open(path).ok()?.connection;
        let formats = [
            (mlflow_db::is_it(&connection), Format::MlflowDatabase),
            (trackio::is_it(&connection), Format::TrackioDatabase),
        ];
        return formats.into_iter().find(|(is_it, _)| *is_it).map(|(_, format)| format);
    }
    let text = text(head)?;
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    if text.starts_with(b"{") && has_key(text, b"log_history") || is_list_of_records(text) {
        return Some(Format::TrainerState);
    }
    if let Some(counts) = json_lines(text) {
        let named = extension == "jsonl" || extension == "ndjson";
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        if counts || named || lines > 1 {
            return Some(Format::JsonLines);
        }
    }
    if is_mlflow_run(path, text) {
        return Some(Format::MlflowRun);
    }
    if mlflow_files::is_metric(text) {
        return Some(Format::MlflowMetric);
    }
    let named = extension == "csv" || extension == "tsv";
    if table(text)
        .is_some_and(|table| table.numbers && (table.counts || named || table.numbers_alone) || table.header_alone)
    {
        return Some(Format::Csv);
    }
    Some(Format::Text)
}

/// The format of a file that is met in a folder. There most files are no logs: data sets are lines of JSON and tables
/// too, and texts are anything.
pub fn detect_in_folder(path: &Path, head: &[u8]) -> Option<Format> {
    let format = detect(path, head)?;
    let text = text(head).unwrap_or_default();
    let is_log = match format {
        Format::JsonLines => json_lines(text) == Some(true),
        Format::Csv => table(text).is_some_and(|table| table.counts),
        Format::Text => is_printed(path, text),
        _ => true,
    };
    is_log.then_some(format)
}

/// A text, without a byte order mark and the NULs that a crash left before it. `None` for other bytes.
fn text(head: &[u8]) -> Option<&[u8]> {
    let nuls = head.iter().take_while(|byte| **byte == 0).count();
    let text = head[nuls..].trim_ascii_start();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let controls = text.iter().filter(|byte| matches!(byte, 0..=6 | 14..=26 | 28..=31 | 127)).count();
    // Bytes that aren't UTF-8 may be Latin-1, in a text that is otherwise a log.
    let foreign = String::from_utf8_lossy(text).matches('\u{fffd}').count();
    (!text.is_empty() && controls <= 1 + text.len() / 50 && foreign <= 1 + text.len() / 10).then_some(text)
}

/// Whether a JSON text has this key, with a list.
fn has_key(text: &[u8], key: &[u8]) -> bool {
    memchr::memmem::find_iter(text, key).any(|at| {
        let rest =
            text.get(at + key.len()..).and_then(|rest| rest.strip_prefix(b"\"")).unwrap_or_default().trim_ascii_start();
        let value = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        at.checked_sub(1).and_then(|at| text.get(at)) == Some(&b'"')
            && value.is_some_and(|value| value.starts_with(b"["))
    })
}

/// Whether it is a history that stands alone: a list of objects, of which the first counts something.
fn is_list_of_records(text: &[u8]) -> bool {
    let Some(list) = text.strip_prefix(b"[") else { return false };
    let mut scratch = Vec::new();
    let mut objects = serde_json::Deserializer::from_slice(quoted(list, &mut scratch)).into_iter::<Value>();
    matches!(objects.next(), Some(Ok(first)) if first.is_object() && counts(&first))
}

/// Whether a value has a key that counts steps or epochs.
fn counts(value: &Value) -> bool {
    let Value::Object(all) = value else { return false };
    all.iter().any(|(key, value)| Purpose::of(key).counts() && (value.is_number() || value.is_string()))
}

/// Whether the lines are objects of JSON: `Some` if the first is, and then whether any of them counts steps or epochs.
fn json_lines(text: &[u8]) -> Option<bool> {
    let whole = memchr::memrchr(b'\n', text).map_or(text, |end| &text[..end]);
    let mut scratch = Vec::new();
    let mut parse = |line: &[u8]| match serde_json::from_slice(quoted(line, &mut scratch)) {
        Ok(value @ Value::Object(_)) => Some(counts(&value)),
        _ => None,
    };
    let mut lines = whole.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    // Programs print a line or two before; the settings may fill more than the head.
    let first = lines.by_ref().take(3).find_map(&mut parse)?;
    Some(first || lines.take(100).filter_map(parse).any(|counts| counts))
}

fn is_mlflow_run(path: &Path, text: &[u8]) -> bool {
    let has = |key: &[u8]| text.split(|byte| *byte == b'\n').any(|line| line.starts_with(key));
    path.file_name().is_some_and(|name| name == "meta.yaml")
        && (has(b"run_id:") || has(b"run_uuid:"))
        && has(b"lifecycle_stage:")
}

/// What a table looks like.
struct Looks {
    /// A column counts steps or epochs.
    counts: bool,
    /// Below the header are rows of as many cells, with numbers.
    numbers: bool,
    /// In all their cells.
    numbers_alone: bool,
    /// Nothing is below a header that counts: the run was stopped before its first report.
    header_alone: bool,
}

fn table(text: &[u8]) -> Option<Looks> {
    let mut rows = Rows::new(text, b',');
    let header = Header::find(&mut rows).ok()??;
    let columns = header.columns.len();
    let is_name = |name: &str| name.len() < 100;
    if !header.columns.iter().all(|column| is_name(&column.name)) {
        return None;
    }
    let (mut like_it, mut others, mut alone) = (0, 0, columns > 1);
    for _ in 0..20 {
        if !rows.read().ok()? {
            break;
        }
        // The last may be cut off by the end of the head.
        if rows.is_empty() || rows.unfinished() && like_it > 0 {
            continue;
        }
        let cells = || (0..rows.len()).map(|cell| rows.cell(cell)).filter(|cell| !cell.trim_ascii().is_empty());
        let numbers = cells().filter(|cell| number(cell).is_some()).count();
        if rows.len() == columns && numbers > 0 {
            like_it += 1;
            alone &= numbers == cells().count();
        } else {
            others += 1;
        }
    }
    let numbers = like_it > others;
    let header_alone = columns > 1 && header.counts() && like_it == 0 && others == 0;
    Some(Looks { counts: header.counts(), numbers, numbers_alone: numbers && alone, header_alone })
}

/// Whether a text in a folder is what a training printed: it is called so, and says what some loss is.
fn is_printed(path: &Path, text: &[u8]) -> bool {
    static LOSS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let words = r"(?i)(?:loss|ppl|perplexity|cost|nll|xent|\btrl|\btel)[^\n]{0,24}?(?:[0-9]|\bnan\b|\binf\b)";
        Regex::new(words).ok()
    });
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let called = match path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()) {
        Some(extension) => ["log", "out", "txt", "err", "stdout", "stderr"].contains(&extension.as_str()),
        None => name.contains("log") || name.contains("out"),
    };
    // What W&B writes about itself.
    called && !name.starts_with("debug") && LOSS.as_ref().is_some_and(|loss| loss.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(path: &str, head: &str) -> Option<Format> {
        detect(Path::new(path), head.as_bytes())
    }

    #[test]
    fn content_decides() {
        for (path, head, expected) in [
            ("x", "{\n \"best\": null,\n \"log_history\" : [\n", Format::TrainerState),
            ("x", "[\n  {\"step\": 1, \"loss\": NaN},\n  {\"st", Format::TrainerState),
            ("x.txt", "{\"step\": 1, \"loss\": NaN}\n{\"step\": 2, \"lo", Format::JsonLines),
            ("x.json", "{\"epoch\": 1, \"loss\": 2}", Format::JsonLines),
            ("x", "{\"seed\": 1}\n{\"epoch\": 1, \"loss\": 2}\n", Format::JsonLines),
            ("x.jsonl", "{\"loss\": 2}\n", Format::JsonLines),
            ("x", "starting\n{\"step\": 1, \"loss\": 2}\n", Format::JsonLines),
            ("x.json", "{\"seed\": 1}\n", Format::Text),
            ("x.json", "{\n  \"seed\": 1\n}\n", Format::Text),
            ("x.csv", "step,loss\n1,2.5\n", Format::Csv),
            ("x.log", "step;loss\n1;2,5\n2;2,", Format::Csv),
            ("x", "epoch,loss,note\n", Format::Csv),
            ("x", "\u{feff}epoch\tloss\n1\t2\n", Format::Csv),
            ("x", "loss,accuracy\n1,2\n", Format::Csv),
            ("x.csv", "loss\n1\n", Format::Csv),
            ("x", "loss\n1\n", Format::Text),
            ("x.csv", "when,loss\n2024-01-01,2.5\n", Format::Csv),
            ("x", "when,loss\n2024-01-01,2.5\n", Format::Text),
            ("x.csv", "it began at noon, quietly\nand went on, loss 2.5\n", Format::Text),
            (
                "x",
                "2024-01-01 10:00:00,123 - step 1, loss 2.5\n2024-01-01 10:00:01,124 - step 2, loss 2.4\n",
                Format::Text,
            ),
            ("x", "| epoch 001: 100 / 200, loss=7.5, lr=0.1\n", Format::Text),
            ("x", "s:0 trl:2.5\n", Format::Text),
            ("x", "1700000000000 2.5 0\n1700000000001 2.5 1\n", Format::MlflowMetric),
            ("run/meta.yaml", "lifecycle_stage: active\nrun_id: ab\n", Format::MlflowRun),
            ("x", "\0\0\0\0step 1 loss 2\n", Format::Text),
            ("x", "\u{1b}[32mstep 1 loss 2\u{1b}[0m\n", Format::Text),
        ] {
            assert_eq!(format(path, head), Some(expected), "{path} {head:?}");
        }
        assert_eq!(detect(Path::new("x"), b":W&B\xe1\xbe\0"), Some(Format::Wandb));
        assert_eq!(detect(Path::new("x"), b"step 1 loss 2 \xe9\xe8 (in Latin-1)"), Some(Format::Text));
        for bytes in
            [&b""[..], b"\0\0\0", b"\x7fELF\x02\x01\x01\0\0\0\0\0", b"\x89PNG\r\n\x1a\n\0\0\0\r", sqlite::MAGIC]
        {
            assert_eq!(detect(Path::new("x.log"), bytes), None);
        }
    }

    #[test]
    fn in_folders_most_files_are_no_logs() {
        let met = |path: &str, head: &str| detect_in_folder(Path::new(path), head.as_bytes());
        for (path, head) in [
            ("train.jsonl", "{\"text\": \"a\", \"label\": 1}\n"),
            ("iris.csv", "width,length\n1,2\n"),
            ("README.md", "the loss is 2.5\n"),
            ("vocab.txt", "the\nloss\nof\n"),
            ("debug.log", "loss: 2.5\n"),
            ("train.py", "loss = 0\n"),
        ] {
            assert_eq!(met(path, head), None, "{path}");
        }
        for (path, head, expected) in [
            ("log.jsonl", "{\"seed\": 1}\n{\"step\": 1, \"loss\": 2}\n", Format::JsonLines),
            ("metrics.csv", "epoch,loss\n1,2\n", Format::Csv),
            ("main.log", "s:0 tel:2.5\n", Format::Text),
            ("slurm-1.out", "step 1: train loss NaN\n", Format::Text),
            ("trainer_state.json", "{\"log_history\": []}", Format::TrainerState),
        ] {
            assert_eq!(met(path, head), Some(expected), "{path}");
        }
    }
}
