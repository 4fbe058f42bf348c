//! The numbers of one row of a log, under their series.

use crate::{At, Names, Oddity, Remark, Report, Series, Sink, Span};

/// The most series of one log. A table has some dozens; one whose keys hold a number of their own would have one a
/// row.
const MOST_SERIES: usize = 10_000;

/// The most splits of one log.
const MOST_SPLITS: usize = 64;

/// The most numbers and reports that wait until it is known whether steps are counted anew in each epoch.
const WAITING: usize = 1 << 18;

/// Gathers the numbers of a row and reports them.
#[derive(Debug, Default)]
pub struct Row {
    /// Of each split: its word, and the series of each column. The first is of rows that name none.
    splits: Vec<(Option<String>, Vec<Option<Series>>)>,
    series: usize,
    numbers: Vec<(Series, f64)>,
    anew: Anew,
    waiting: Vec<(u64, At, usize)>,
    waiting_numbers: Vec<(Series, f64)>,
    /// Each is remarked once.
    odd_count: bool,
    too_many: bool,
    too_many_said: bool,
}

/// Whether the steps of a log begin again in each epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Anew {
    /// Its reports wait: this is the epoch that all of them are of, and their highest step. And a later epoch in which
    /// that step came once more, NaN where there is none.
    Unsure { epoch: f64, highest: i64, again: f64 },
    /// Then they are batches within the epoch.
    Yes,
    #[default]
    No,
}

impl Row {
    /// For a log whose steps may begin again in each epoch, though their name doesn't say so. Reports wait until the
    /// first epoch is over.
    pub fn in_doubt() -> Self {
        Self { anew: Anew::Unsure { epoch: f64::NAN, highest: i64::MIN, again: f64::NAN }, ..Self::default() }
    }

    /// The index of a split. Logs change it seldom, so the last one is tried first.
    pub fn split(&mut self, word: Option<&str>, last: usize) -> usize {
        if self.splits.get(last).is_some_and(|split| split.0.as_deref() == word) {
            return last;
        }
        if let Some(known) = self.splits.iter().position(|split| split.0.as_deref() == word) {
            return known;
        }
        if self.splits.len() >= MOST_SPLITS {
            self.too_many = true;
            return usize::MAX;
        }
        self.splits.push((word.map(str::to_owned), Vec::new()));
        self.splits.len() - 1
    }

    /// Adds a number, under the name of its column.
    pub fn put(&mut self, names: &mut Names, split: usize, column: usize, name: (&str, Span), number: f64) {
        let Some((word, all)) = self.splits.get_mut(split) else { return };
        if let Some(Some(series)) = all.get(column) {
            self.numbers.push((*series, number));
            return;
        }
        if self.series >= MOST_SERIES {
            self.too_many = true;
            return;
        }
        if all.len() <= column {
            all.resize(column + 1, None);
        }
        let series = names.series(name.0, word.as_deref(), name.1);
        all[column] = Some(series);
        self.series += 1;
        self.numbers.push((series, number));
    }

    /// Forgets the numbers of the row.
    pub fn clear(&mut self) {
        self.numbers.clear();
    }

    /// Whether the row has no number so far.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Remarks that a counter has a value that no step can have.
    pub fn odd_count(&mut self, place: u64, value: f64, sink: &mut dyn Sink) {
        if !std::mem::replace(&mut self.odd_count, true) {
            unreadable(sink, place, format!("{value} is no step: such reports have none"));
        }
    }

    /// Reports the numbers of the row, if it has any.
    pub fn report(&mut self, place: u64, at: At, names: &Names, sink: &mut dyn Sink) {
        if self.too_many && !std::mem::replace(&mut self.too_many_said, true) {
            let words =
                format!("more than {MOST_SERIES} names of numbers or {MOST_SPLITS} splits: the others are left out");
            unreadable(sink, place, words);
        }
        if self.numbers.is_empty() {
            return;
        }
        if matches!(self.anew, Anew::Unsure { .. }) {
            self.waiting.push((place, at, self.numbers.len()));
            self.waiting_numbers.append(&mut self.numbers);
            self.consider(&at);
            if !matches!(self.anew, Anew::Unsure { .. }) || self.waiting_numbers.len() > WAITING {
                self.finish(names, sink);
            }
            return;
        }
        let at = self.placed(at);
        sink.report(names, &Report { place, at, numbers: &self.numbers, voids_later: false });
        self.numbers.clear();
    }

    /// Decides by the first reports of the second epoch. An epoch with a fraction is computed from steps that go on.
    fn consider(&mut self, at: &At) {
        let Anew::Unsure { epoch, highest, again } = &mut self.anew else { return };
        let Some(now) = at.epoch else {
            *highest = at.step.map_or(*highest, |step| step.max(*highest));
            return;
        };
        let later = now > *epoch;
        match at.step {
            // The second: the program began again.
            _ if now.fract() != 0.0 || now < *epoch => self.anew = Anew::No,
            Some(step) if later && step > *highest => self.anew = Anew::No,
            Some(step) if later && step < *highest => self.anew = Anew::Yes,
            // Once, it may be an evaluation behind the last step of the epoch before.
            Some(_) if later && now > *again => self.anew = Anew::Yes,
            Some(_) if later => *again = now,
            Some(step) => (*epoch, *highest) = (now, step.max(*highest)),
            None => {}
        }
    }

    fn placed(&self, at: At) -> At {
        match at.step {
            Some(step) if self.anew == Anew::Yes => At { step: None, batch: Some((step, None)), ..at },
            _ => at,
        }
    }

    /// Reports whatever waits, at the end of the log.
    pub fn finish(&mut self, names: &Names, sink: &mut dyn Sink) {
        if matches!(self.anew, Anew::Unsure { .. }) {
            self.anew = Anew::No;
        }
        let numbers = std::mem::take(&mut self.waiting_numbers);
        let mut rest = numbers.as_slice();
        for (place, at, length) in std::mem::take(&mut self.waiting) {
            let (these, others) = rest.split_at(length.min(rest.len()));
            let at = self.placed(at);
            sink.report(names, &Report { place, at, numbers: these, voids_later: false });
            rest = others;
        }
    }
}

/// Remarks in words.
pub fn unreadable(sink: &mut dyn Sink, place: u64, words: String) {
    sink.remark(Remark { place, byte: None, what: Oddity::Unreadable(words) });
}

/// Keeps what a reader reports, as `place step epoch batch | series=number …`, for tests.
#[cfg(test)]
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Collected {
    pub reports: Vec<String>,
    pub settings: Vec<String>,
    pub run_names: Vec<String>,
    pub remarks: Vec<String>,
}

#[cfg(test)]
impl Sink for Collected {
    fn report(&mut self, names: &Names, report: &Report<'_>) {
        use crate::Name;
        use std::fmt::Write as _;

        let mut line = report.place.to_string();
        let At { step, epoch, batch } = report.at;
        for (word, count) in [("s", step.map(|it| it as f64)), ("e", epoch), ("b", batch.map(|it| it.0 as f64))] {
            if let Some(count) = count {
                write!(line, " {word}{count}").unwrap();
            }
        }
        for (series, number) in report.numbers {
            let Name { name, split, span } = names.name(*series);
            let span = match span {
                Span::Unknown => "",
                Span::Step => "'",
                Span::Epoch => "*",
                Span::SinceLast => "~",
                Span::Steps(_) => "#",
            };
            write!(line, " {}{name}{span}={number}", split.as_ref().map_or(String::new(), |it| format!("{it}:")))
                .unwrap();
        }
        self.reports.push(line);
    }

    fn setting(&mut self, name: &str, value: serde_json::Value) {
        self.settings.push(format!("{name}={value}"));
    }

    fn run_name(&mut self, name: &str) {
        self.run_names.push(name.to_owned());
    }

    fn remark(&mut self, remark: Remark) {
        self.remarks.push(format!("{}: {}", remark.place, remark.what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(counts: &[(Option<i64>, Option<f64>)]) -> Vec<String> {
        let (mut names, mut sink, mut row) = (Names::default(), Collected::default(), Row::in_doubt());
        for (place, (step, epoch)) in (1..).zip(counts) {
            let split = row.split(None, 0);
            row.put(&mut names, split, 0, ("loss", Span::Unknown), 2.5);
            row.report(place, At { step: *step, epoch: *epoch, batch: None }, &names, &mut sink);
        }
        row.finish(&names, &mut sink);
        sink.reports
    }

    #[test]
    fn steps_that_begin_again_in_each_epoch_are_batches() {
        let at = |epoch, step| (Some(step), Some(epoch));
        assert_eq!(
            reported(&[at(0.0, 0), at(0.0, 50), at(1.0, 0), at(1.0, 50), at(2.0, 0)]),
            ["1 e0 b0 loss=2.5", "2 e0 b50 loss=2.5", "3 e1 b0 loss=2.5", "4 e1 b50 loss=2.5", "5 e2 b0 loss=2.5"]
        );
        assert_eq!(
            reported(&[at(0.0, 49), at(0.0, 99), at(1.0, 149)]),
            ["1 s49 e0 loss=2.5", "2 s99 e0 loss=2.5", "3 s149 e1 loss=2.5"]
        );
        // A program that began again, and one whose epochs come from its steps.
        assert_eq!(reported(&[at(3.0, 90), at(0.0, 0)]), ["1 s90 e3 loss=2.5", "2 s0 e0 loss=2.5"]);
        assert_eq!(reported(&[at(0.5, 90), at(1.0, 0)]), ["1 s90 e0.5 loss=2.5", "2 s0 e1 loss=2.5"]);
        assert_eq!(reported(&[at(1.0, 7)]), ["1 s7 e1 loss=2.5"]);
        // The last batch of each epoch; and an evaluation that is told of the epoch to come.
        assert_eq!(
            reported(&[at(1.0, 90), at(2.0, 90), at(3.0, 90)]),
            ["1 e1 b90 loss=2.5", "2 e2 b90 loss=2.5", "3 e3 b90 loss=2.5"]
        );
        assert_eq!(
            reported(&[at(0.0, 90), at(1.0, 90), at(1.0, 180)]),
            ["1 s90 e0 loss=2.5", "2 s90 e1 loss=2.5", "3 s180 e1 loss=2.5"]
        );
        assert_eq!(reported(&[(None, Some(0.0)), (Some(3), None)]), ["1 e0 loss=2.5", "2 s3 loss=2.5"]);
    }

    #[test]
    fn names_without_end_take_no_memory_without_end() {
        let (mut names, mut sink, mut row) = (Names::default(), Collected::default(), Row::default());
        let split = row.split(None, 0);
        for column in 0..MOST_SERIES + 10 {
            row.put(&mut names, split, column, (&format!("n{column}"), Span::Unknown), 1.0);
            row.report(column as u64, At::default(), &names, &mut sink);
        }
        assert_eq!((names.all().count(), sink.reports.len(), sink.remarks.len()), (MOST_SERIES, MOST_SERIES, 1));
    }
}
