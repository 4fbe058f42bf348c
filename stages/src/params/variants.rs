//! What the words and tables among the parameters of `train` stand for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{Interval, Key, KeyKind};

/// A step count in a key's range.
pub(super) const STEPS: KeyKind = KeyKind::Int(1, 1 << 40);

pub(super) const SCHEDULES: &[(&str, &[Key])] = &[
    ("constant", &[]),
    (
        "exponential",
        &[
            Key::new("rate", KeyKind::Float(Interval::POSITIVE), "0.1", "factor for each `every` steps"),
            Key::new("every", STEPS, "5000", "steps in which the rate is multiplied once"),
            Key::new(
                "staircase",
                KeyKind::Bool,
                "false",
                "whether the exponent is rounded down: rate^floor(step / every)",
            ),
        ],
    ),
    (
        "epoch",
        &[
            Key::new("rate", KeyKind::Float(Interval::POSITIVE), "0.5", "factor for each epoch after `after`"),
            Key::new("after", KeyKind::Int(0, 1 << 40), "4", "epochs at the full rate"),
        ],
    ),
    (
        "cosine",
        &[Key::new("floor", KeyKind::Float(Interval::NOT_NEGATIVE), "0.0", "the learning rate at the last step")],
    ),
    (
        "plateau",
        &[
            Key::new("rate", KeyKind::Float(Interval::BELOW_ONE), "0.5", "factor when valid loss stops falling"),
            Key::new("every", STEPS, "1000", "steps between looks at the valid loss"),
            Key::new("patience", KeyKind::Int(0, 1 << 20), "0", "looks without a new best that are forgiven"),
        ],
    ),
    (
        "range",
        &[Key::new(
            "to",
            KeyKind::Float(Interval::POSITIVE_SINGLE),
            "10.0",
            "the learning rate at the last step, mostly far too high",
        )],
    ),
];

/// Initial weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// Glorot and Bengio 2010, equation 16: uniform in ±√(6 / (fan in + fan out)); biases 0.
    Xavier,
    /// Every parameter, biases too, uniform in ± this.
    Uniform(f64),
    /// Weights normal with this standard deviation; biases 0.
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

/// What a learning rate and a clipping norm are meant for. What is recorded is a mean loss and its gradient in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossScale {
    /// The mean over the B rows and T columns of a window.
    #[default]
    Mean,
    /// The sum over the T columns, averaged over the B rows: T times as much (Zaremba et al. 2014, TensorFlow's tutorial).
    Sum,
}

impl LossScale {
    /// How many times the mean loss of a window of `unroll` columns it is.
    pub fn factor(self, unroll: u64) -> f64 {
        match self {
            Self::Mean => 1.0,
            Self::Sum => unroll as f64,
        }
    }
}

/// The floats that weights are kept and updated in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single.
    #[default]
    F32,
    /// Double: slow, to check by.
    F64,
    /// Single, but the factors of the softmax layer's products are rounded to bf16.
    Bf16,
}

/// Where the worker computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// On the CPU.
    #[default]
    Cpu,
    /// On the first GPU that CUDA shows.
    Cuda,
    /// On a GPU where there is one; settled before any order is given.
    Auto,
}

/// How the learning rate changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Schedule {
    /// It does not.
    Constant,
    /// `rate ^ (step / every)`, the exponent rounded down with `staircase` (TensorFlow's `exponential_decay`).
    #[expect(missing_docs, reason = "named in the formula")]
    Exponential { rate: f64, every: u64, staircase: bool },
    /// `rate ^ max(epoch + 1 − after, 0)`, epochs counted from 0 (Zaremba et al. 2014: full rate for `after` epochs).
    #[expect(missing_docs, reason = "named in the formula")]
    Epoch { rate: f64, after: u64 },
    /// From the full rate to `floor` along half a cosine over all steps (Loshchilov and Hutter 2017, equation 5).
    #[expect(missing_docs, reason = "named in the formula")]
    Cosine { floor: f64 },
    /// Times `rate` whenever the valid loss, looked at each `every` steps, has no new best for more than `patience` looks.
    #[expect(missing_docs, reason = "named in the formula")]
    Plateau { rate: f64, every: u64, patience: u64 },
    /// From the rate to `to` in equal factors over all steps: a range test (Smith 2017), to see at which rate the loss
    /// breaks away.
    #[expect(missing_docs, reason = "named in the formula")]
    Range { to: f64 },
}

/// Which weights are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Keep {
    /// Those of the listed steps, and the last.
    Steps(Vec<u64>),
    /// The newest few.
    #[expect(missing_docs, reason = "named by the variant")]
    Last { last: u64 },
    /// Every one, or the best.
    Word(KeepWord),
}

/// The words for what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepWord {
    /// Every checkpoint.
    All,
    /// The one with the lowest valid loss, and the last.
    Best,
}

/// When weights are written down, and which are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoints {
    /// Steps between checkpoints; 0: the first and the last alone.
    pub every: u64,
    /// Which weights are kept.
    pub keep: Keep,
}

impl Checkpoints {
    /// The checkpoints that a training of `length` steps keeps, ascending. The last one is always among them, and
    /// checkpoint 0 too unless `keep` names others.
    pub fn kept(&self, length: u64) -> Vec<u64> {
        match &self.keep {
            // Of what is looked at for the best, nothing can be left out beforehand.
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

    /// The same of a training that ends early, after `reached` of its steps: what it was to keep as far as it came, and
    /// its end.
    pub fn kept_until(&self, length: u64, reached: u64) -> Vec<u64> {
        let mut kept = self.kept(length);
        kept.retain(|&step| step < reached);
        kept.push(reached);
        kept
    }

    /// Whether the best of them is kept, which the valid loss says.
    pub fn keep_the_best(&self) -> bool {
        self.keep == Keep::Word(KeepWord::Best)
    }

    /// How many checkpoints a training of `length` steps keeps, at the most.
    pub fn count(&self, length: u64) -> u64 {
        match &self.keep {
            // The best of them is known only once all were made.
            Keep::Word(_) => self.count_made(length),
            Keep::Last { last } => self.count_made(length).min(*last),
            Keep::Steps(steps) => steps.len() as u64 + 1,
        }
    }

    /// Checkpoint 0, one at each multiple of `every`, and the last: from the `first` of them on, counted from 0.
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
    /// The updates behind its weights; the fork's own steps are numbered on from here.
    pub step: u64,
}

/// The most checkpoints that a training may keep; more is taken for a slip, and would be terabytes.
const MOST_CHECKPOINTS: u64 = 100_000;

/// The complaint about a training of `length` steps that would keep too many checkpoints, with a hint.
pub fn too_many_checkpoints(checkpoints: &Checkpoints, length: u64) -> Option<(String, String)> {
    let count = checkpoints.count(length);
    (count > MOST_CHECKPOINTS).then(|| {
        let message = format!("{length} steps would keep {count} checkpoints; allowed: at most {MOST_CHECKPOINTS}");
        (message, format!("train.checkpoints.every = {}", length.div_ceil(MOST_CHECKPOINTS / 100)))
    })
}

/// The complaint about a fork that ends where it begins, with a hint.
pub fn nothing_to_train(fork: &Fork, length: u64) -> Option<(String, String)> {
    (length <= fork.step).then(|| {
        let message =
            format!("the training has {length} steps, and forks at step {}: nothing is left of it", fork.step);
        (message, format!("--set train.steps={}", fork.step.saturating_add(fork.step.max(100))))
    })
}

/// What a loss that is not finite leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNonfinite {
    /// Training goes on.
    Continue,
    /// Training ends after this many steps in a row.
    StopAfter(u64),
}
