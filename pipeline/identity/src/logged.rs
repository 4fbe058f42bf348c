//! What another program's log says, as rows: sparse, with its place in the log beside each number.

/// Where in which file a number was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The file: an index into the sources of its run.
    pub source: usize,
    /// The line or record.
    pub place: i64,
}

/// A number and where it was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoggedNumber<T> {
    /// The number.
    pub value: T,
    /// Where it was read.
    pub origin: Origin,
}

/// The numbers that a log has for one step. Those that it lacks are `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LoggedStep {
    /// The step.
    pub step: i64,
    /// The training loss, in the log's unit; NaN and ±Inf as they are.
    pub loss: Option<LoggedNumber<f64>>,
    /// The steps over which the loss is a mean; `None` where the log doesn't tell.
    pub window: Option<i64>,
    /// The learning rate.
    pub learning_rate: Option<LoggedNumber<f64>>,
    /// The norm of the gradient.
    pub grad_norm: Option<LoggedNumber<f64>>,
    /// The epoch.
    pub epoch: Option<LoggedNumber<i64>>,
    /// Tokens of the step.
    pub tokens: Option<LoggedNumber<i64>>,
    /// Seconds of the step.
    pub seconds: Option<LoggedNumber<f64>>,
}

/// A loss on held-out text.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedEvaluation {
    /// The step.
    pub step: i64,
    /// `valid`, `test`, or the log's own name.
    pub split: String,
    /// The loss, in the log's unit.
    pub loss: LoggedNumber<f64>,
}

/// A number of a series of the log's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoggedValue {
    /// The series: an index into the names that its log has.
    pub series: usize,
    /// The step.
    pub step: i64,
    /// The number.
    pub value: LoggedNumber<f64>,
}

/// Some rows of a log, in ascending order of their steps as far as the log has them so.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LoggedRows {
    /// Steps, each once.
    pub steps: Vec<LoggedStep>,
    /// Evaluations; of two of one step and split the later one counts.
    pub evaluations: Vec<LoggedEvaluation>,
    /// Numbers of series of the log's own; of two of one step the later one counts.
    pub values: Vec<LoggedValue>,
}
