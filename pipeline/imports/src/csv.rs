//! Tables of text with a header: Lightning's `metrics.csv`, Keras's `CSVLogger`, exports of W&B and TensorBoard, and
//! what people write by hand.
//!
//! Columns are told apart by their names alone. Cells may be empty, as Lightning leaves what a row doesn't say
//! (`lightning.fabric.loggers.csv_logs`). A header may come again, as old versions of Keras write it when they append,
//! or where a program began again with other columns. What `Value` stands for in an export of TensorBoard, whose
//! header is `Wall time,Step,Value`, is in the file's name, which isn't known here.

mod header;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};

pub use header::Header;

use crate::cells::Rows;
use crate::columns::{LONGEST_NAME, Purpose, count, number, span};
use crate::row::{Row, unreadable};
use crate::{At, Names, Oddity, ReadError, Remark, Sink};

/// Reads a table. Places are lines, from 1.
///
/// # Errors
/// What the input refuses, or that it has no header with numbers below it.
pub fn read(input: &mut dyn Read, names: &mut Names, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut rows = Rows::new(BufReader::with_capacity(256 * 1024, input), b',');
    let Some(mut header) = Header::find(&mut rows)? else {
        return Err(ReadError::Format("no header of a table is in it: a first line with the names of columns".into()));
    };
    let mut table = Table::new(&header);
    header.introduce(rows.line(), sink);
    // Rows that say nothing: how many, and the first.
    let mut others = (0_u64, 0_u64);
    let mut cut_off = false;
    while rows.read()? {
        cut_off = rows.unfinished();
        if rows.is_empty() {
            continue;
        }
        if rows.too_long() {
            unreadable(sink, rows.line(), "a line longer than 64 MiB".into());
            continue;
        }
        let kept = if cut_off { rows.len().saturating_sub(1) } else { rows.len() };
        match table.row(&rows, kept, &header, names, sink) {
            Said::Numbers => {}
            Said::Nothing if cut_off => {}
            Said::Nothing => match Header::of(&rows) {
                Some(again) if again.columns == header.columns => {}
                Some(other) if other.counts() => {
                    table.continue_with(&other);
                    header = other;
                }
                _ => others = (others.0 + 1, if others.0 == 0 { rows.line() } else { others.1 }),
            },
            Said::NoNumbers => {}
        }
    }
    table.row.finish(names, sink);
    if cut_off {
        sink.remark(Remark { place: rows.line(), byte: None, what: Oddity::Truncated });
    }
    if table.rows == 0 && (!header.counts() || others.0 > 0) {
        return Err(ReadError::Format("no row below its header has a number".into()));
    }
    match others {
        (0, _) => {}
        (1, first) => unreadable(sink, first, "no number is in this row".into()),
        (rows, first) => unreadable(sink, first, format!("no number is in {rows} rows, of which this is the first")),
    }
    Ok(())
}

/// Rows below one header, or several.
struct Table {
    step: Option<usize>,
    epoch: Option<usize>,
    batch: Option<usize>,
    split: Option<usize>,
    /// The column that names what stands in the other.
    named: Option<(usize, usize)>,
    /// Columns with numbers, each with its index in `row`.
    numbers: Vec<(usize, usize)>,
    /// Of each name: its index in `row`.
    indices: HashMap<String, usize>,
    last_split: usize,
    row: Row,
    rows: i64,
}

/// What a row says.
enum Said {
    Numbers,
    /// It has its place, and empty cells.
    NoNumbers,
    /// It has neither.
    Nothing,
}

impl Table {
    fn new(header: &Header) -> Self {
        let mut table = Self {
            step: None,
            epoch: None,
            batch: None,
            split: None,
            named: None,
            numbers: Vec::new(),
            indices: HashMap::new(),
            last_split: 0,
            row: Row::default(),
            rows: 0,
        };
        table.continue_with(header);
        let unsure = |step: &usize| matches!(header.columns[*step].purpose, Purpose::Step { rank: 1 | 2 });
        if table.epoch.is_some() && table.step.as_ref().is_some_and(unsure) {
            table.row = Row::in_doubt();
        }
        table
    }

    /// Takes the columns of another header.
    fn continue_with(&mut self, header: &Header) {
        let of = |purpose: Purpose| header.columns.iter().position(|column| column.purpose == purpose);
        let rank = |index: &usize| match header.columns[*index].purpose {
            Purpose::Step { rank } => Some(rank),
            _ => None,
        };
        self.step = (0..header.columns.len()).filter(|index| rank(index).is_some()).min_by_key(rank);
        self.epoch = of(Purpose::Epoch);
        self.batch = of(Purpose::Batch);
        self.split = of(Purpose::Split).or_else(|| of(Purpose::PerhapsSplit));
        self.named = of(Purpose::Series).zip(of(Purpose::Value));
        self.numbers.clear();
        let counter = [self.step, self.epoch, self.batch, self.named.map(|named| named.1)];
        for (index, column) in header.columns.iter().enumerate() {
            // An index of pandas beside a step is one number too many.
            let index_of_pandas = column.purpose == Purpose::Step { rank: 4 };
            if !counter.contains(&Some(index)) && !column.left_out && !index_of_pandas {
                let known = self.index(&column.name);
                self.numbers.push((index, known));
            }
        }
    }

    /// The index in `row` of a series.
    fn index(&mut self, name: &str) -> usize {
        if let Some(index) = self.indices.get(name) {
            return *index;
        }
        let index = self.indices.len();
        self.indices.insert(name.to_owned(), index);
        index
    }

    /// Reports what the first `kept` cells of a row say.
    fn row<R: BufRead>(
        &mut self,
        rows: &Rows<R>,
        kept: usize,
        header: &Header,
        names: &mut Names,
        sink: &mut dyn Sink,
    ) -> Said {
        let cell = |index: usize| if index < kept { rows.cell(index) } else { &[] };
        let at = self.at(cell, rows.line(), sink);
        let word = self.split.and_then(|index| {
            header.columns[index].purpose.split(std::str::from_utf8(cell(index)).unwrap_or_default())
        });
        self.row.clear();
        self.last_split = self.row.split(word, self.last_split);
        for &(index, series) in &self.numbers {
            let text = cell(index);
            if text.is_empty() {
                continue;
            }
            let decimal = if header.comma { with_comma(text) } else { None };
            if let Some(value) = decimal.or_else(|| number(text)) {
                let column = &header.columns[index];
                self.row.put(names, self.last_split, series, (&column.name, column.span), value);
            }
        }
        if let Some((named, value)) = self.named {
            self.put_named(cell(named), cell(value), &header.columns[value].name, names);
        }
        if self.row.is_empty() {
            return if at == At::default() { Said::Nothing } else { Said::NoNumbers };
        }
        self.rows += 1;
        let at = if header.counts() { at } else { At { step: Some(self.rows), ..at } };
        self.row.report(rows.line(), at, names, sink);
        Said::Numbers
    }

    /// Where on the axis a row belongs.
    fn at<'r>(&mut self, cell: impl Fn(usize) -> &'r [u8], line: u64, sink: &mut dyn Sink) -> At {
        let mut at = At::default();
        if let Some(index) = self.epoch {
            at.epoch = number(cell(index)).filter(|epoch| epoch.is_finite());
        }
        let mut counted = |index: usize| match count(cell(index)) {
            Some(Ok(count)) => Some(count),
            Some(Err(value)) => {
                self.row.odd_count(line, value, sink);
                None
            }
            None => None,
        };
        at.step = self.step.and_then(&mut counted);
        at.batch = self.batch.and_then(&mut counted).map(|batch| (batch, None));
        at
    }

    /// A number whose series another cell names.
    fn put_named(&mut self, name: &[u8], value: &[u8], otherwise: &str, names: &mut Names) {
        let Some(value) = number(value) else { return };
        let name = std::str::from_utf8(name).unwrap_or_default().trim();
        let name = if name.is_empty() { otherwise } else { name };
        let index = match self.indices.get(name) {
            Some(index) => *index,
            // As many names as rows are no names.
            None if self.indices.len() > 20_000 || name.len() > LONGEST_NAME => return,
            None => self.index(name),
        };
        self.row.put(names, self.last_split, index, (name, span(name)), value);
    }
}

/// A number with a decimal comma, `0,5`.
fn with_comma(cell: &[u8]) -> Option<f64> {
    if !cell.contains(&b',') || cell.contains(&b'.') {
        return None;
    }
    std::str::from_utf8(cell.trim_ascii()).ok()?.replacen(',', ".", 1).parse().ok()
}
