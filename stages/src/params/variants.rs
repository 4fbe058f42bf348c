//! What the words and tables among the parameters of `train` stand for.

use serde::{Deserialize, Serialize};

use crate::schema::{Key, Kind, Range};

/// A step count in a key's range.
pub(super) const STEPS: Kind = Kind::Int(1, 1 << 40);

pub(super) const SCHEDULES: &[(&str, &[Key])] = &[
    ("constant", &[]),
    (
        "exponential",
        &[
            Key::new("rate", Kind::Float(Range::POSITIVE), "0.1", "factor for each `every` steps"),
            Key::new("every", STEPS, "5000", "steps in which the rate is multiplied once"),
            Key::new(
                "staircase",
                Kind::Bool,
                "false",
                "whether the exponent is rounded down: rate^floor(step / every)",
            ),
        ],
    ),
    (
        "epoch",
        &[
            Key::new("rate", Kind::Float(Range::POSITIVE), "0.5", "factor for each epoch after `after`"),
            Key::new("after", Kind::Int(0, 1 << 40), "4", "epochs at the full rate"),
        ],
    ),
    ("cosine", &[Key::new("floor", Kind::Float(Range::NOT_NEGATIVE), "0.0", "the learning rate at the last step")]),
    (
        "plateau",
        &[
            Key::new("rate", Kind::Float(Range::BELOW_ONE), "0.5", "factor when valid loss stops falling"),
            Key::new("every", STEPS, "1000", "steps between looks at the valid loss"),
            Key::new("patience", Kind::Int(0, 1 << 20), "0", "looks without a new best that are forgiven"),
        ],
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Every one.
    All(All),
}

/// The word `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum All {
    /// Every checkpoint.
    All,
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
        let mut all = vec![0];
        let cadence = length.checked_div(self.every).unwrap_or(0);
        all.extend((1..=cadence).map(|i| i * self.every));
        all.push(length);
        all.dedup();
        match &self.keep {
            Keep::All(_) => all,
            Keep::Last { last } => {
                all.split_off(all.len().saturating_sub(usize::try_from(*last).unwrap_or(usize::MAX)))
            }
            Keep::Steps(steps) => {
                let mut kept: Vec<u64> = steps.iter().copied().filter(|&step| step < length).collect();
                kept.push(length);
                kept.sort_unstable();
                kept.dedup();
                kept
            }
        }
    }
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
