//! What a reader hands on.

use std::collections::HashMap;

/// Where on the axis of a training something was reported, as its log counts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct At {
    /// The step, update or iteration, in the log's own numbering.
    pub step: Option<i64>,
    /// The epoch, which may have a fraction, in the log's own numbering.
    pub epoch: Option<f64>,
    /// The batch within the epoch, and how many an epoch has, where the log counts batches anew in each epoch.
    pub batch: Option<(i64, Option<i64>)>,
}

/// A series of a log: an index into its [`Names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Series(pub u32);

/// Over what a number was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Span {
    /// One step.
    Step,
    /// The mean over the steps since the last report of the series.
    SinceLast,
    /// The mean over so many steps.
    Steps(u32),
    /// The mean over the epoch so far, or over all of it.
    Epoch,
    /// The log doesn't tell.
    Unknown,
}

/// What a log calls a series.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    /// The log's own name: `train/loss`, `lm loss`, `trl`.
    pub name: String,
    /// The split that the log names beside it, such as the value of a column `split`, or the folder of an event file.
    pub split: Option<String>,
    /// Over what its numbers are taken.
    pub span: Span,
}

/// The names of a log's series, each once.
#[derive(Debug, Default)]
pub struct Names {
    all: Vec<Name>,
    known: HashMap<Name, Series>,
    /// The split of the file that is being read, where its folder names one.
    split: Option<String>,
}

impl Names {
    /// From here on series are of this split, unless they name another.
    pub fn of_split(&mut self, split: Option<&str>) {
        self.split = split.map(str::to_owned);
    }

    /// The series of a name, made at its first use.
    pub fn series(&mut self, name: &str, split: Option<&str>, span: Span) -> Series {
        let split = split.or(self.split.as_deref());
        let name = Name { name: name.to_owned(), split: split.map(str::to_owned), span };
        if let Some(series) = self.known.get(&name) {
            return *series;
        }
        let series = Series(u32::try_from(self.all.len()).expect("BUG: more names than MOST_SERIES"));
        self.all.push(name.clone());
        self.known.insert(name, series);
        series
    }

    /// What a series is called.
    pub fn name(&self, series: Series) -> &Name {
        &self.all[series.0 as usize]
    }

    /// Every series with its name, in the order of their first numbers.
    pub fn all(&self) -> impl Iterator<Item = (Series, &Name)> {
        (0..).map(Series).zip(&self.all)
    }
}

/// What a log says at one place.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The line, from 1, or the record, from 0: whichever people count in such files.
    pub place: u64,
    /// Where on the axis of the training.
    pub at: At,
    /// The numbers. NaN and ±Inf are numbers.
    pub numbers: &'a [(Series, f64)],
    /// The program began again from here: what these series said of this step and later ones is void.
    pub voids_later: bool,
}

/// Something about a log that its reader's user should be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Remark {
    /// The line or record, as in [`Report::place`].
    pub place: u64,
    /// The byte of the file, for formats that aren't text.
    pub byte: Option<u64>,
    /// What was found there.
    pub what: Oddity,
}

/// What may be odd about a place of a log.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Oddity {
    /// The file ends within a record: it is being written, or its writer was killed.
    #[error("ends within a record, as a file does that is still being written")]
    Truncated,
    /// A checksum is wrong: nothing after it can be trusted.
    #[error("a checksum is wrong; nothing after it was read")]
    Checksum,
    /// A part of the file can't be read.
    #[error("{0}")]
    Unreadable(String),
}

/// Takes what a reader finds.
pub trait Sink {
    /// What one place of the log says.
    fn report(&mut self, names: &Names, report: &Report<'_>);

    /// A setting of the run: `("learning_rate", 0.1)`, `("model/layers", 2)`.
    fn setting(&mut self, name: &str, value: serde_json::Value);

    /// What the log calls its run.
    fn run_name(&mut self, name: &str);

    /// Something that a user should be told.
    fn remark(&mut self, remark: Remark);
}

/// Why a file could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is not what its reader is for.
    #[error("{0}")]
    Format(String),
}
