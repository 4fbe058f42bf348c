//! The types of those parameters of `train` that are words or tables.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{Interval, Key, KeyKind};

/// The allowed range of a step count.
pub(super) const STEPS: KeyKind = KeyKind::Int(1, 1 << 40);

pub(super) const SCHEDULES: &[(&str, &[Key])] = &[
    ("constant", &[]),
    (
        "exponential",
        &[
            Key::new(
                "rate",
                KeyKind::Float(Interval::POSITIVE),
                "0.1",
                "factor by which the rate is multiplied every `every` steps",
            ),
            Key::new("every", STEPS, "5000", "number of steps in which the rate is multiplied by `rate` once"),
            Key::new("staircase", KeyKind::Bool, "false", "round the exponent down: rate^floor(step / every)"),
        ],
    ),
    (
        "epoch",
        &[
            Key::new(
                "rate",
                KeyKind::Float(Interval::POSITIVE),
                "0.5",
                "factor by which the rate is multiplied at each epoch after the first `after`",
            ),
            Key::new("after", KeyKind::Int(0, 1 << 40), "4", "number of epochs at the full rate"),
        ],
    ),
    (
        "cosine",
        &[Key::new("floor", KeyKind::Float(Interval::NOT_NEGATIVE), "0.0", "learning rate at the end of training")],
    ),
    (
        "plateau",
        &[
            Key::new(
                "rate",
                KeyKind::Float(Interval::BELOW_ONE),
                "0.5",
                "factor by which the rate is multiplied when the validation loss stalls",
            ),
            Key::new("every", STEPS, "1000", "steps between evaluations of the validation loss"),
            Key::new(
                "patience",
                KeyKind::Int(0, 1 << 20),
                "0",
                "how many evaluations in a row without a new best to tolerate",
            ),
        ],
    ),
    (
        "range",
        &[Key::new(
            "to",
            KeyKind::Float(Interval::POSITIVE_SINGLE),
            "10.0",
            "learning rate at the last step, usually far too high",
        )],
    ),
];

/// Initial weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// Glorot and Bengio 2010, equation 16: uniform in ±√(6 / (fan in + fan out)); biases 0.
    Xavier,
    /// All parameters, biases included, uniform between ± this value.
    Uniform(f64),
    /// Normal weights with this standard deviation; biases 0.
    Normal(f64),
}

/// The update rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum Optimizer {
    Sgd,
    Momentum,
    Adagrad,
    Rmsprop,
    Adam,
    Adamw,
}

/// The loss that a learning rate and a clipping norm apply to. The recorded loss and gradient are always those of the
/// mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossScale {
    /// The mean over the B rows and T columns of a window.
    #[default]
    Mean,
    /// The sum over the T columns, averaged over the B rows: T times the mean (as in Zaremba et al. 2014).
    Sum,
}

impl LossScale {
    /// The ratio of this loss to the mean over a window of `unroll` columns.
    pub fn factor(self, unroll: u64) -> f64 {
        match self {
            Self::Mean => 1.0,
            Self::Sum => unroll as f64,
        }
    }
}

/// Floating-point type of weights and arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Double precision: slow, for checks.
    F64,
    /// Single precision, except that the factors of the softmax layer's products are rounded to bf16.
    Bf16,
}

/// Where the worker computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// On the CPU.
    #[default]
    Cpu,
    /// On the first GPU that CUDA lists.
    Cuda,
    /// On a GPU if one is available. `pipeline` replaces this with `cpu` or `cuda` before it sends an order.
    Auto,
}

/// Learning-rate schedule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Schedule {
    /// The rate stays the same.
    Constant,
    /// `rate ^ (step / every)`, the exponent rounded down with `staircase` (TensorFlow's `exponential_decay`).
    #[expect(missing_docs, reason = "named in the formula")]
    Exponential { rate: f64, every: u64, staircase: bool },
    /// `rate ^ max(epoch + 1 − after, 0)`, epochs counted from 0 (Zaremba et al. 2014: full rate for `after` epochs).
    #[expect(missing_docs, reason = "named in the formula")]
    Epoch { rate: f64, after: u64 },
    /// The rate falls to `floor` along half a cosine over all steps (Loshchilov and Hutter 2017, equation 5).
    #[expect(missing_docs, reason = "named in the formula")]
    Cosine { floor: f64 },
    /// The rate is multiplied by `rate` whenever more than `patience` evaluations in a row, `every` steps apart, bring
    /// no new best.
    #[expect(missing_docs, reason = "named in the formula")]
    Plateau { rate: f64, every: u64, patience: u64 },
    /// The rate moves to `to` over all steps, by the same factor at each: a range test (Smith 2017), to see at which
    /// rate the loss diverges.
    #[expect(missing_docs, reason = "named in the formula")]
    Range { to: f64 },
}

/// Which checkpoints are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Keep {
    /// The listed steps, and the last.
    Steps(Vec<u64>),
    /// The newest few.
    #[expect(missing_docs, reason = "named by the variant")]
    Last { last: u64 },
    /// All, or the best.
    Word(KeepWord),
}

/// The words that `keep` accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepWord {
    /// Every checkpoint.
    All,
    /// The one with the lowest validation loss, and the last.
    Best,
}

/// When weights are saved, and which are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoints {
    /// Steps between checkpoints; 0: only the first and the last.
    pub every: u64,
    /// Which checkpoints are kept.
    pub keep: Keep,
}

impl Checkpoints {
    /// The checkpoints that a run of `length` steps keeps, in ascending order. They always include the last one, and
    /// also checkpoint 0 unless `keep` excludes it.
    pub fn kept(&self, length: u64) -> Vec<u64> {
        match &self.keep {
            // Any of them may become the best.
            Keep::Word(_) => self.made(length, 0),
            Keep::Last { last } => self.made(length, self.count_made(length).saturating_sub(*last)),
            Keep::Steps(steps) => {
                let mut kept: Vec<u64> = steps.iter().copied().filter(|&step| step < length).collect();
                kept.push(length);
                kept.sort_unstable();
                kept.dedup();
                kept
            }
        }
    }

    /// The checkpoints that a run of `length` steps keeps if it ends early, after `reached` steps: the planned ones
    /// before that, and `reached` itself.
    pub fn kept_until(&self, length: u64, reached: u64) -> Vec<u64> {
        let mut kept = self.kept(length);
        kept.retain(|&step| step < reached);
        kept.push(reached);
        kept
    }

    /// Whether the checkpoint with the lowest validation loss is kept.
    pub fn keep_the_best(&self) -> bool {
        self.keep == Keep::Word(KeepWord::Best)
    }

    /// The maximum number of checkpoints that a run of `length` steps keeps.
    pub fn count(&self, length: u64) -> u64 {
        match &self.keep {
            // The best is known only at the end.
            Keep::Word(_) => self.count_made(length),
            Keep::Last { last } => self.count_made(length).min(*last),
            Keep::Steps(steps) => steps.len() as u64 + 1,
        }
    }

    /// Checkpoint 0, one at each multiple of `every`, and the last; the first `first` of these are left out.
    fn made(&self, length: u64, first: u64) -> Vec<u64> {
        let whole = length.checked_div(self.every).unwrap_or(0);
        let mut made: Vec<u64> = (first..=whole).map(|i| i * self.every).collect();
        if whole * self.every < length {
            made.push(length);
        }
        made
    }

    fn count_made(&self, length: u64) -> u64 {
        let whole = length.checked_div(self.every).unwrap_or(0);
        whole + 1 + u64::from(whole * self.every < length)
    }
}

/// A checkpoint of another trajectory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fork {
    /// The identity of that trajectory, in hexadecimal.
    pub trajectory: String,
    /// The number of updates after which its weights were saved; the fork's steps are numbered from here.
    pub step: u64,
}

/// The maximum number of checkpoints that a run may keep; more is probably a mistake, and would take terabytes.
const MOST_CHECKPOINTS: u64 = 100_000;

/// The error and its hint if a run of `length` steps would keep too many checkpoints.
pub fn too_many_checkpoints(checkpoints: &Checkpoints, length: u64) -> Option<(String, String)> {
    let count = checkpoints.count(length);
    (count > MOST_CHECKPOINTS).then(|| {
        let message =
            format!("a run of {length} steps would keep {count} checkpoints; at most {MOST_CHECKPOINTS} are allowed");
        (message, format!("train.checkpoints.every = {}", length.div_ceil(MOST_CHECKPOINTS / 100)))
    })
}

/// The error and its hint if a fork of a run of `length` steps would have no step left to compute.
pub fn nothing_to_train(fork: &Fork, length: u64) -> Option<(String, String)> {
    (length <= fork.step).then(|| {
        let message =
            format!("a fork at step {} leaves nothing to train, because the run has only {length} steps", fork.step);
        (message, format!("--set train.steps={}", fork.step.saturating_add(fork.step.max(100))))
    })
}

/// What to do when the loss is NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNonfinite {
    /// Keep training.
    Continue,
    /// Stop after this many consecutive such steps.
    StopAfter(u64),
}
