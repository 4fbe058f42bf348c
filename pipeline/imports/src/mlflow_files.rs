//! MLflow's file store: a folder for each run, `mlruns/EXPERIMENT/RUN/`, with `meta.yaml`, `metrics/`, `params/` and
//! `tags/`.
//!
//! A file of `metrics/` is a series, named by its path there; its lines are `timestamp value step`, with the name and
//! the digest of a data set behind them where one was told, and without a step in old stores (`_get_metric_from_line`
//! in `mlflow/store/tracking/file_store.py`, which of a line with a data set reads step 0). A metric is a set of
//! points there, not a log: lines are in the order in which MLflow got them, which with its asynchronous logging is
//! not that of their steps. Of two of one step the newer counts, as in MLflow's database.

use std::fs;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cells::{End, read_line};
use crate::columns::number;
use crate::json::value;
use crate::row::unreadable;
use crate::{At, Names, Oddity, ReadError, Remark, Report, Sink, Span};

/// As many points of a metric are put in order at a time: 32 MiB of them.
const MOST_POINTS: usize = 1 << 20;

/// The longest value of a parameter or tag that is read. MLflow allows 8000 characters.
const LONGEST_VALUE: u64 = 64 * 1024;

/// The keys of a `meta.yaml` that matter.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Of a run.
    pub run_id: Option<String>,
    /// What people call the run.
    pub run_name: Option<String>,
    /// What people call the experiment.
    pub name: Option<String>,
    /// A user deleted it; its files stay.
    pub deleted: bool,
}

impl Meta {
    /// Reads the `meta.yaml` of a folder. `None` if there is none.
    pub fn of(folder: &Path) -> Option<Self> {
        let mut text = String::new();
        fs::File::open(folder.join("meta.yaml")).ok()?.take(LONGEST_VALUE).read_to_string(&mut text).ok()?;
        let mut meta = Self::default();
        for line in text.lines() {
            // Only keys of the outermost level are needed, and their values are on their lines.
            let Some((key, value)) = line.split_once(": ") else { continue };
            let value = Some(scalar(value)).filter(|value| !value.is_empty() && value != "null");
            match key {
                "run_id" | "run_uuid" => meta.run_id = value.or(meta.run_id),
                "run_name" => meta.run_name = value,
                "name" => meta.name = value,
                "lifecycle_stage" => meta.deleted = value.as_deref() == Some("deleted"),
                _ => {}
            }
        }
        Some(meta)
    }
}

/// A YAML scalar on one line: plain, or in quotes.
fn scalar(text: &str) -> String {
    let text = text.trim();
    if let Some(text) = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        return text.replace("''", "'");
    }
    // PyYAML's double quotes have the escapes of JSON, and a few that names don't need.
    match text.starts_with('"').then(|| serde_json::from_str(text)) {
        Some(Ok(text)) => text,
        _ => text.to_owned(),
    }
}

/// Reads what stands beside the metrics of a run: its name, parameters and tags.
///
/// # Errors
/// When the folder has no `meta.yaml` that can be read.
pub fn read_settings(folder: &Path, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let Some(meta) = Meta::of(folder) else {
        return Err(ReadError::Format("it has no meta.yaml, as a run of MLflow has".into()));
    };
    let name = meta.run_name.or_else(|| contents(&folder.join("tags/mlflow.runName")));
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        sink.run_name(&name);
    }
    if let Some(experiment) = folder.parent().and_then(Meta::of).and_then(|experiment| experiment.name) {
        sink.setting("mlflow.experiment", experiment.into());
    }
    for (key, path) in files(&folder.join("params")) {
        if let Some(text) = contents(&path) {
            sink.setting(&key, parameter(&text));
        }
    }
    for (key, path) in files(&folder.join("tags")) {
        if let Some(text) = contents(&path) {
            tag(sink, &key, &text);
        }
    }
    Ok(())
}

fn contents(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(LONGEST_VALUE).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned())
}

/// A parameter, which MLflow keeps as a text, as the number or truth value that it was.
pub fn parameter(text: &str) -> Value {
    match text {
        "True" => return Value::Bool(true),
        "False" => return Value::Bool(false),
        _ => {}
    }
    // Not `007`, which is a name.
    if let Some(integer) = text.parse::<i64>().ok().filter(|integer| integer.to_string() == text) {
        return Value::from(integer);
    }
    let looks_like_one = text.starts_with(|c: char| c.is_ascii_digit() || c == '-') && text.contains(['.', 'e', 'n']);
    match text.parse::<f64>() {
        Ok(number) if looks_like_one => value(number),
        _ => Value::from(text),
    }
}

/// A tag that a user set, or the commit of the program. The others are MLflow's own.
pub fn tag(sink: &mut dyn Sink, key: &str, text: &str) {
    if !key.starts_with("mlflow.") || key == "mlflow.source.git.commit" {
        sink.setting(&format!("tags/{key}"), Value::from(text));
    }
}

/// The files below a folder in the order of their names, each with its path there: `/` may be in the name of a metric.
pub fn files(folder: &Path) -> Vec<(String, PathBuf)> {
    const DEEPEST: u32 = 16;
    const MOST: usize = 100_000;
    let mut all = Vec::new();
    let mut folders = vec![(String::new(), folder.to_owned(), 0)];
    while let Some((prefix, folder, depth)) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten().take(MOST.saturating_sub(all.len())) {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < DEEPEST => folders.push((name + "/", entry.path(), depth + 1)),
                Ok(kind) if kind.is_file() => all.push((name, entry.path())),
                _ => {}
            }
        }
    }
    all.sort();
    all
}

/// The name of the series in a file: its path below `metrics`, or else the file's name.
pub fn metric_name(path: &Path) -> String {
    let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    let begin = parts.iter().rposition(|part| part == "metrics").map_or(parts.len().saturating_sub(1), |at| at + 1);
    parts.get(begin..).filter(|parts| !parts.is_empty()).unwrap_or(&parts).join("/")
}

/// Whether a file is one of `metrics/`: it begins with lines of a time in milliseconds, a number and a step.
pub fn is_metric(head: &[u8]) -> bool {
    // The last line may be cut off by the end of the head.
    let whole = memchr::memrchr(b'\n', head).map_or(head, |end| &head[..end]);
    let mut lines = whole.split(|byte| *byte == b'\n').take(20).peekable();
    lines.peek().is_some()
        && lines.all(|line| point(line.trim_ascii(), 0).is_some_and(|point| point.time >= 1_000_000_000))
}

/// A line of a metric.
#[derive(Debug, Clone, Copy)]
struct Point {
    step: Option<i64>,
    time: i64,
    line: u64,
    value: f64,
}

fn point(line: &[u8], place: u64) -> Option<Point> {
    let mut fields = line.split(|byte| *byte == b' ');
    let time = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let value = number(fields.next()?)?;
    let step = match fields.next() {
        Some(step) => Some(std::str::from_utf8(step).ok()?.parse().ok()?),
        None => None,
    };
    Some(Point { step, time, line: place, value })
}

/// Reads the metric of a name. Places are lines, from 1.
///
/// # Errors
/// What the input refuses, or that no line of it is of a metric.
pub fn read(input: &mut dyn Read, name: &str, names: &mut Names, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut input = BufReader::with_capacity(64 * 1024, input);
    let series = names.series(name, None, Span::Unknown);
    let mut points: Vec<Point> = Vec::new();
    let report = |points: &mut Vec<Point>, sink: &mut dyn Sink| {
        // Who never tells a step has 0 everywhere: then the order is all there is.
        let untold = points.len() > 1 && points.iter().all(|point| point.step == Some(0));
        if !untold && !points.is_sorted_by_key(|point| (point.step, point.time)) {
            points.sort_by_key(|point| (point.step, point.time));
        }
        for (index, point) in points.iter().enumerate() {
            let step = point.step.filter(|_| !untold);
            if step.is_some() && points.get(index + 1).is_some_and(|newer| newer.step == step) {
                continue;
            }
            let at = At { step, ..At::default() };
            let numbers = [(series, point.value)];
            sink.report(names, &Report { place: point.line, at, numbers: &numbers, voids_later: false });
        }
        points.clear();
    };
    let mut line = Vec::new();
    let (mut place, mut any, mut others) = (0, false, (0_u64, 0));
    loop {
        line.clear();
        let Some(end) = read_line(&mut input, &mut line)? else { break };
        place += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match point(line.trim_ascii(), place) {
            // Its step may have been cut off, or its last digits.
            _ if end == End::Input => sink.remark(Remark { place, byte: None, what: Oddity::Truncated }),
            Some(point) => {
                any = true;
                points.push(point);
                if points.len() >= MOST_POINTS {
                    report(&mut points, sink);
                }
            }
            None => others = (others.0 + 1, if others.0 == 0 { place } else { others.1 }),
        }
    }
    report(&mut points, sink);
    if !any && others.0 > 0 {
        return Err(ReadError::Format("no line of it is of a metric of MLflow: a time, a number and a step".into()));
    }
    if others.0 > 0 {
        unreadable(sink, others.1, format!("{} lines, of which this is the first, are not of a metric", others.0));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Collected;

    fn collect(bytes: &[u8]) -> (Collected, Result<(), ReadError>) {
        let (mut names, mut sink, mut bytes) = (Names::default(), Collected::default(), bytes);
        let result = read(&mut bytes, "Generator loss", &mut names, &mut sink);
        (sink, result)
    }

    const METRIC: &str =
        "1700000000000 2.5 0\n1700000000001 nan 1\n1700000000002 -inf 2 data set d0ca\r\n1700000000003 1 10\n";
    const REPORTS: [&str; 4] =
        ["1 s0 Generator loss=2.5", "2 s1 Generator loss=NaN", "3 s2 Generator loss=-inf", "4 s10 Generator loss=1"];

    #[test]
    fn lines_with_and_without_steps_and_data_sets() {
        let (sink, result) = collect(METRIC.as_bytes());
        result.unwrap();
        assert_eq!(sink.reports, REPORTS);
        let old = "1700000000000 2.5\n1700000000001 2\n";
        assert_eq!(collect(old.as_bytes()).0.reports, ["1 Generator loss=2.5", "2 Generator loss=2"]);
        let untold = "1700000000000 2.5 0\n1700000000001 2 0\n";
        assert_eq!(collect(untold.as_bytes()).0.reports, ["1 Generator loss=2.5", "2 Generator loss=2"]);
        assert_eq!(collect(b"1700000000000 2.5 0\n").0.reports, ["1 s0 Generator loss=2.5"]);
    }

    #[test]
    fn of_two_of_a_step_the_newer_counts() {
        let text = "5 3 0\n6 2 1\n9 1 1\n7 9 1\n8 0.5 -1\n";
        let (sink, _) = collect(text.as_bytes());
        assert_eq!(sink.reports, ["5 s-1 Generator loss=0.5", "1 s0 Generator loss=3", "3 s1 Generator loss=1"]);
    }

    #[test]
    fn cut_anywhere_the_lines_before_are_there() {
        for length in 0..METRIC.len() {
            let (sink, result) = collect(&METRIC.as_bytes()[..length]);
            result.unwrap();
            let lines = METRIC[..length].matches('\n').count();
            assert_eq!(sink.reports, REPORTS[..lines], "{length}");
            assert_eq!(sink.remarks.len(), usize::from(length > 0 && !METRIC[..length].ends_with('\n')), "{length}");
        }
        for at in 0..METRIC.len() {
            let mut bytes = METRIC.as_bytes().to_vec();
            bytes[at] ^= 0x15;
            let _ = collect(&bytes);
        }
        assert!(matches!(collect(b"some text\n").1, Err(ReadError::Format(_))));
    }

    #[test]
    fn metrics_by_their_content() {
        assert!(is_metric(METRIC.as_bytes()));
        assert!(is_metric(b"1700000000000 2.5 0\n17000"));
        for other in ["", "\n", "1 2 3\n", "1700000000000 2.5 x\n", "1700000000000\n", "step 1\n"] {
            assert!(!is_metric(other.as_bytes()), "{other:?}");
        }
        assert_eq!(metric_name(Path::new("mlruns/1/ab/metrics/train/loss")), "train/loss");
        assert_eq!(metric_name(Path::new("logs/Generator loss")), "Generator loss");
        assert_eq!(metric_name(Path::new("metrics")), "metrics");
    }

    #[test]
    fn a_run_is_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        for (path, text) in [
            ("meta.yaml", "experiment_id: '1'\nlifecycle_stage: active\nname: 'it''s a study'\n"),
            (
                "run/meta.yaml",
                "end_time: null\r\nlifecycle_stage: active\r\nrun_id: ab12\r\nrun_name: \"caf\\u00e9\"\r\ntags: []\r\n",
            ),
            ("run/params/optimizer/lr", "1e-3"),
            ("run/params/layers", "2"),
            ("run/params/version", "007"),
            ("run/params/cell", "nanogru"),
            ("run/params/tied", "True"),
            ("run/tags/mlflow.user", "someone"),
            ("run/tags/team", "red\n"),
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut sink = Collected::default();
        read_settings(&run, &mut sink).unwrap();
        assert_eq!(sink.run_names, ["café"]);
        assert_eq!(
            sink.settings,
            [
                "mlflow.experiment=\"it's a study\"",
                "cell=\"nanogru\"",
                "layers=2",
                "optimizer/lr=0.001",
                "tied=true",
                "version=\"007\"",
                "tags/team=\"red\""
            ]
        );
        let meta = Meta::of(&run).unwrap();
        assert_eq!((meta.run_id.as_deref(), meta.deleted), (Some("ab12"), false));
        assert_eq!(Meta::of(&run.join("params")), None);
        assert!(read_settings(&run.join("params"), &mut sink).is_err());
    }
}
