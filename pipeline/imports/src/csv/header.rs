//! The header of a table: what each column is called and for.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead};

use crate::cells::Rows;
use crate::columns::{Purpose, number, span};
use crate::row::unreadable;
use crate::{Sink, Span};

/// Lines before the header that are looked at.
const MOST_BEFORE: u32 = 100;

/// What may part cells, the likeliest first.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// The names of the columns.
pub struct Header {
    /// In their order.
    pub columns: Vec<Column>,
    /// Whether numbers may have a decimal comma, as in `0,5`: those who write them so part cells by semicolons.
    pub comma: bool,
    /// What W&B calls the run, if all columns are of one.
    run_name: Option<String>,
    several_runs: bool,
}

/// A column.
#[derive(Debug, PartialEq)]
pub struct Column {
    /// What the table calls it; the second of one name has a number behind it.
    pub name: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Over what its numbers are taken.
    pub span: Span,
    /// Whether its numbers say only what another column says.
    pub left_out: bool,
}

impl Header {
    /// The first row that is one. The delimiter is the one that parts it into the most cells.
    pub fn find<R: BufRead>(rows: &mut Rows<R>) -> io::Result<Option<Self>> {
        for _ in 0..MOST_BEFORE {
            if !rows.read()? {
                break;
            }
            let text = rows.text();
            if text.trim_ascii().is_empty() || text.starts_with(b"#") {
                continue;
            }
            let delimiter = delimiter(text);
            rows.part_by(delimiter);
            return Ok(Self::of(rows).filter(|_| !rows.unfinished() || rows.len() > 1));
        }
        Ok(None)
    }

    /// The header that a row is, if it is one: names, none of them a number.
    pub fn of<R: BufRead>(rows: &Rows<R>) -> Option<Self> {
        let cells: Vec<String> = (0..rows.len()).map(|cell| name(rows.cell(cell))).collect();
        let any = cells.iter().any(|cell| cell.starts_with(|c: char| c.is_alphabetic() || c == '_'));
        if !any || cells.iter().any(|cell| number(cell.as_bytes()).is_some()) {
            return None;
        }
        Some(Self::new(cells, rows.delimiter))
    }

    fn new(mut cells: Vec<String>, delimiter: u8) -> Self {
        // W&B's exports write `RUN - SERIES`, and beside each the extremes of what they left out.
        let names: HashSet<&str> = cells.iter().map(String::as_str).collect();
        let extreme = |cell: &String| {
            let base = cell.strip_suffix("__MIN").or_else(|| cell.strip_suffix("__MAX"));
            base.is_some_and(|base| names.contains(base))
        };
        let extremes: Vec<bool> = cells.iter().map(extreme).collect();
        let of_wandb = extremes.contains(&true);
        let runs = cells.iter().filter(|_| of_wandb).filter_map(|cell| cell.rsplit_once(" - ")).map(|parts| parts.0);
        let runs: Vec<&str> = runs.collect();
        let run_name = runs.first().map(|run| (*run).to_owned());
        let several_runs = runs.iter().any(|run| Some(*run) != run_name.as_deref());
        if let Some(run) = run_name.as_deref().filter(|_| !several_runs) {
            let prefix = format!("{run} - ");
            for cell in &mut cells {
                if let Some(rest) = cell.strip_prefix(&prefix) {
                    *cell = rest.to_owned();
                }
            }
        }
        let keras = is_keras(&cells);
        let mut seen: HashMap<&str, u32> = HashMap::new();
        let columns = cells.iter().zip(extremes).map(|(cell, left_out)| {
            let times = seen.entry(cell).or_default();
            *times += 1;
            Column {
                name: if *times == 1 { cell.clone() } else { format!("{cell} ({times})") },
                purpose: Purpose::of(cell),
                span: if keras && cell != "learning_rate" && cell != "lr" { Span::Epoch } else { span(cell) },
                left_out,
            }
        });
        let columns = columns.collect();
        Self { columns, comma: delimiter == b';', run_name: run_name.filter(|_| !several_runs), several_runs }
    }

    /// Whether a column tells where on the axis of a training its rows belong.
    pub fn counts(&self) -> bool {
        self.columns.iter().any(|column| column.purpose.counts())
    }

    /// Says what it tells of the whole table.
    pub fn introduce(&self, line: u64, sink: &mut dyn Sink) {
        if let Some(name) = &self.run_name {
            sink.run_name(name);
        }
        if self.several_runs {
            unreadable(sink, line, "the columns are of several runs: each series has its run's name".into());
        }
        if !self.counts() {
            unreadable(sink, line, "no column counts steps or epochs: the rows themselves are counted".into());
        }
    }
}

/// What parts the cells of a header.
pub(crate) fn delimiter(header: &[u8]) -> u8 {
    let mut counts = [0_usize; DELIMITERS.len()];
    let mut quoted = false;
    for byte in header {
        quoted ^= *byte == b'"';
        if let Some(place) = DELIMITERS.iter().position(|delimiter| delimiter == byte).filter(|_| !quoted) {
            counts[place] += 1;
        }
    }
    let most = counts.iter().copied().max().unwrap_or_default();
    DELIMITERS.into_iter().zip(counts).find(|(_, count)| *count == most).map_or(b',', |(delimiter, _)| delimiter)
}

/// The name in a cell of a header: without blanks, a byte order mark, and what a file system leaves after a crash.
fn name(cell: &[u8]) -> String {
    let cell = String::from_utf8_lossy(cell);
    let cell = cell.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}' || c == '\0');
    // Quotes behind a byte order mark are no quotes to who parts the cells.
    cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).unwrap_or(cell).to_owned()
}

/// Keras's `CSVLogger` writes `epoch` and then the names of its means over the epoch, sorted
/// (`keras/src/callbacks/csv_logger.py`).
fn is_keras(cells: &[String]) -> bool {
    let Some((first, rest)) = cells.split_first() else { return false };
    let (validation, training): (Vec<&String>, Vec<&String>) = rest.iter().partition(|cell| cell.starts_with("val_"));
    let counts = rest.iter().any(|cell| Purpose::of(cell).counts());
    first == "epoch"
        && !counts
        && rest.iter().any(|cell| cell == "loss")
        && training.is_sorted()
        && validation.is_sorted()
}
