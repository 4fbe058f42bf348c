//! A run's logs, read twice: once to learn what they count and what they call their series, once for the rows.
//!
//! Only when all of a log has been seen is it known which series is the loss and what a step is. To keep what was read in the
//! meantime would take as much memory as the log; to read it again takes as long again, and a log reads at hundreds of
//! megabytes a second.

use std::collections::BTreeMap;

use identity::logged::{LoggedEvaluation, LoggedNumber, LoggedRows, LoggedStep, LoggedValue, Origin};
use serde_json::Value;

use crate::axis::{Axis, Counted};
use crate::report::{Names, Remark, Report, Series, Sink, Span};
use crate::roles::Role;

/// Steps that wait for numbers of theirs which the log has further on.
const WAITING: usize = 8192;

/// Remarks that are kept of one file; the others are counted.
const MOST_REMARKS: usize = 20;

/// What the first reading of a run's files finds.
#[derive(Debug, Default)]
pub struct Survey {
    /// The names of all series.
    pub names: Names,
    /// Of each series, by its index: how many numbers, how many of them not finite, the first and the last.
    pub series: Vec<Tally>,
    /// What its reports count.
    pub counted: Counted,
    /// Settings, the later of two of one name.
    pub settings: BTreeMap<String, Value>,
    /// What the log calls the run.
    pub run_name: Option<String>,
    /// What was odd, each with the index of its file.
    pub remarks: Vec<(usize, Remark)>,
    /// How many remarks are not among them.
    pub more_remarks: u64,
}

/// What a series has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tally {
    /// Its numbers.
    pub numbers: u64,
    /// Those that are NaN or infinite.
    pub nonfinite: u64,
    /// The first.
    pub first: f64,
    /// The last.
    pub last: f64,
}

/// The first reading of one file.
#[derive(Debug)]
pub struct Surveyor<'s> {
    survey: &'s mut Survey,
    file: usize,
    remarks: usize,
}

impl Survey {
    /// The sink for a file, by its index among the run's.
    pub fn of_file(&mut self, file: usize) -> Surveyor<'_> {
        Surveyor { survey: self, file, remarks: 0 }
    }
}

impl Sink for Surveyor<'_> {
    fn report(&mut self, _names: &Names, report: &Report<'_>) {
        if report.numbers.is_empty() {
            return;
        }
        self.survey.counted.add(&report.at);
        for (series, number) in report.numbers {
            let place = series.0 as usize;
            if self.survey.series.len() <= place {
                let none = Tally { numbers: 0, nonfinite: 0, first: f64::NAN, last: f64::NAN };
                self.survey.series.resize(place + 1, none);
            }
            let tally = &mut self.survey.series[place];
            if tally.numbers == 0 {
                tally.first = *number;
            }
            tally.last = *number;
            tally.numbers += 1;
            tally.nonfinite += u64::from(!number.is_finite());
        }
    }

    fn setting(&mut self, name: &str, value: Value) {
        self.survey.settings.insert(name.to_owned(), value);
    }

    fn run_name(&mut self, name: &str) {
        self.survey.run_name = Some(name.to_owned());
    }

    fn remark(&mut self, remark: Remark) {
        if self.remarks < MOST_REMARKS {
            self.survey.remarks.push((self.file, remark));
            self.remarks += 1;
        } else {
            self.survey.more_remarks += 1;
        }
    }
}

/// Takes rows as they are complete.
pub trait Rows {
    /// What may go wrong when they are put away.
    type Error;

    /// Some rows.
    ///
    /// # Errors
    /// When they can't be put away; no more are handed on then.
    fn rows(&mut self, rows: LoggedRows) -> Result<(), Self::Error>;

    /// What came before of this series at `step` and later is void: the program began again there.
    ///
    /// # Errors
    /// As of [`Self::rows`].
    fn void(&mut self, series: Series, role: &Role, from_step: i64) -> Result<(), Self::Error>;
}

/// The second reading: reports to rows.
pub struct Gatherer<'r, R: Rows> {
    roles: &'r [Role],
    axis: Axis,
    rows: &'r mut R,
    file: usize,
    waiting: BTreeMap<i64, LoggedStep>,
    ready: LoggedRows,
    /// Of each series: its reports so far, and its last step.
    so_far: Vec<(i64, Option<i64>)>,
    /// The first refusal of [`Rows`].
    refused: Option<R::Error>,
    /// Numbers that have no step on the axis.
    without_step: u64,
}

impl<'r, R: Rows> Gatherer<'r, R> {
    /// Begins with no rows.
    pub fn new(roles: &'r [Role], axis: Axis, rows: &'r mut R) -> Self {
        Self {
            roles,
            axis,
            rows,
            file: 0,
            waiting: BTreeMap::new(),
            ready: LoggedRows::default(),
            so_far: vec![(0, None); roles.len()],
            refused: None,
            without_step: 0,
        }
    }

    /// What comes now is of another file, by its index among the run's.
    pub fn begin_file(&mut self, file: usize) {
        self.file = file;
    }

    /// Hands on whatever waits. Says how many numbers had no step.
    ///
    /// # Errors
    /// With the first refusal of the rows.
    pub fn finish(mut self) -> Result<u64, R::Error> {
        self.flush(0);
        self.refused.map_or(Ok(self.without_step), Err)
    }

    fn flush(&mut self, keep: usize) {
        while self.waiting.len() > keep {
            let Some((_, step)) = self.waiting.pop_first() else { break };
            self.ready.steps.push(step);
        }
        let rows = std::mem::take(&mut self.ready);
        self.attempt(|to| to.rows(rows));
    }

    fn attempt(&mut self, act: impl FnOnce(&mut R) -> Result<(), R::Error>) {
        if self.refused.is_none() {
            self.refused = act(self.rows).err();
        }
    }

    /// Heeds that a series goes back, and remembers its step.
    fn advance(&mut self, series: Series, step: i64, report: &Report<'_>) {
        let place = series.0 as usize;
        let Some(before) = self.so_far[place].1.replace(step) else { return };
        if !(step < before || (report.voids_later && step <= before)) {
            return;
        }
        self.flush(0);
        let role = &self.roles[place];
        self.attempt(|rows| rows.void(series, role, step));
    }
}

impl<R: Rows> Sink for Gatherer<'_, R> {
    fn report(&mut self, names: &Names, report: &Report<'_>) {
        if self.refused.is_some() {
            return;
        }
        let origin = Origin { source: self.file, place: report.place as i64 };
        for &(series, value) in report.numbers {
            let place = series.0 as usize;
            // A file that grew between the two readings may have more series: the next import takes them in.
            let Some(role) = self.roles.get(place) else { continue };
            self.so_far[place].0 += 1;
            let Some(step) = self.axis.step(&report.at, self.so_far[place].0) else {
                self.without_step += 1;
                continue;
            };
            let before = self.so_far[place].1;
            self.advance(series, step, report);
            let read = LoggedNumber { value, origin };
            match role {
                Role::Evaluation { split } => {
                    self.ready.evaluations.push(LoggedEvaluation { step, split: split.clone(), loss: read });
                }
                Role::EvaluationPerplexity { split } => {
                    let loss = LoggedNumber { value: value.ln(), origin };
                    self.ready.evaluations.push(LoggedEvaluation { step, split: split.clone(), loss });
                }
                Role::Other => self.ready.values.push(LoggedValue { series: place, step, value: read }),
                _ => {
                    let row = self.waiting.entry(step).or_insert_with(|| LoggedStep { step, ..LoggedStep::default() });
                    put(row, role, read);
                    if matches!(role, Role::Loss | Role::Perplexity) {
                        row.window = window(names.name(series).span, before, step);
                    }
                    if let (None, Some(epoch)) = (row.epoch, report.at.epoch) {
                        row.epoch = Some(LoggedNumber { value: epoch.floor() as i64, origin });
                    }
                }
            }
        }
        let ready = self.ready.values.len() + self.ready.evaluations.len();
        if self.waiting.len() > 2 * WAITING || ready > WAITING {
            self.flush(WAITING);
        }
    }

    fn setting(&mut self, _name: &str, _value: Value) {}

    fn run_name(&mut self, _name: &str) {}

    fn remark(&mut self, _remark: Remark) {}
}

/// Puts a number into the column of its role.
fn put(row: &mut LoggedStep, role: &Role, read: LoggedNumber<f64>) {
    let whole = || Some(LoggedNumber { value: read.value as i64, origin: read.origin });
    match role {
        Role::Loss => row.loss = Some(read),
        Role::Perplexity => row.loss = Some(LoggedNumber { value: read.value.ln(), origin: read.origin }),
        Role::LearningRate => row.learning_rate = Some(read),
        Role::GradNorm => row.grad_norm = Some(read),
        Role::Epoch => row.epoch = Some(LoggedNumber { value: read.value.floor() as i64, origin: read.origin }),
        Role::Tokens => row.tokens = whole(),
        Role::Seconds => row.seconds = Some(read),
        Role::Evaluation { .. } | Role::EvaluationPerplexity { .. } | Role::Other => {}
    }
}

/// Over how many steps up to `step` a loss is a mean, where the log tells; `before` is the step of the report before.
fn window(span: Span, before: Option<i64>, step: i64) -> Option<i64> {
    match span {
        Span::Step => Some(1),
        Span::Steps(steps) => Some(i64::from(steps)),
        Span::SinceLast => before.map(|before| step - before).filter(|steps| *steps > 0),
        Span::Epoch | Span::Unknown => None,
    }
}
