//! The parameters of `train`.

use serde::{Deserialize, Serialize};

use super::variants::{
    Checkpoints, Device, Fork, Init, LossScale, OnNonfinite, Optimizer, Precision, SCHEDULES, STEPS, Schedule,
};
use crate::looks::EarlyStopping;
use crate::schema::{Interval, Key, KeyKind, Role};

pub(super) const TRAIN: &[Key] = &[
    Key::new("embedding", KeyKind::Int(1, 1 << 16), "128", "width of a word vector (E)"),
    Key::new("hidden", KeyKind::Int(1, 1 << 16), "128", "width of an LSTM layer (H)"),
    Key::new("layers", KeyKind::Int(1, 64), "1", "number of stacked LSTM layers"),
    Key::new(
        "dropout",
        KeyKind::Float(Interval::BELOW_ONE),
        "0.0",
        "fraction of activations dropped after the embedding, between layers and before the softmax",
    ),
    Key::new("tied", KeyKind::Bool, "false", "use the embedding matrix in the softmax (requires embedding = hidden)"),
    Key::new(
        "init",
        KeyKind::Any(&[
            KeyKind::Choice(&["xavier"]),
            KeyKind::Table(&[Key::optional(
                "uniform",
                KeyKind::Float(Interval::NOT_NEGATIVE),
                "draw all parameters, biases included, uniformly between ± this value (Zaremba et al. 2014)",
            )]),
            KeyKind::Table(&[Key::optional(
                "normal",
                KeyKind::Float(Interval::NOT_NEGATIVE),
                "draw weights from a normal distribution with this standard deviation; biases are 0",
            )]),
        ]),
        r#"{"uniform": 0.1}"#,
        "initial weights: \"xavier\" (Glorot and Bengio 2010), { uniform = 0.1 } or { normal = 0.02 }",
    ),
    Key::new("forget_bias", KeyKind::Float(Interval::FINITE), "0.0", "added to the initial bias of the forget gates"),
    Key::new(
        "optimizer",
        KeyKind::Choice(&["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"]),
        r#""adam""#,
        "update rule, as PyTorch defines it",
    ),
    Key::new("momentum", KeyKind::Float(Interval::BELOW_ONE), "0.9", "momentum coefficient; used by momentum"),
    Key::new(
        "alpha",
        KeyKind::Float(Interval::BELOW_ONE),
        "0.99",
        "decay of the mean squared gradient; used by rmsprop",
    ),
    Key::new("beta1", KeyKind::Float(Interval::BELOW_ONE), "0.9", "decay of the first moment; used by adam and adamw"),
    Key::new(
        "beta2",
        KeyKind::Float(Interval::BELOW_ONE),
        "0.999",
        "decay of the second moment; used by adam and adamw",
    ),
    Key::new(
        "epsilon",
        KeyKind::Float(Interval::POSITIVE),
        "1e-8",
        "added to the denominator; used by adagrad, rmsprop, adam and adamw",
    ),
    Key::new(
        "weight_decay",
        KeyKind::Float(Interval::NOT_NEGATIVE),
        "0.0",
        "L2 penalty, added to the gradient; decoupled for adamw",
    ),
    Key::new(
        "learning_rate",
        KeyKind::Float(Interval::POSITIVE_SINGLE),
        "0.001",
        "base learning rate, before warm-up and schedule, for the loss named by loss_scale",
    ),
    Key::new(
        "loss_scale",
        KeyKind::Choice(&["mean", "sum"]),
        r#""mean""#,
        "loss that learning_rate and clip_norm apply to: mean (per token) or sum (over unroll, averaged over rows)",
    )
    .later(),
    Key::new(
        "accumulate",
        KeyKind::Int(1, 1 << 20),
        "1",
        "windows averaged into one update: a batch of accumulate × batch.size rows using the memory of only batch.size",
    )
    .later(),
    Key::new(
        "precision",
        KeyKind::Choice(&["f32", "f64", "bf16"]),
        r#""f32""#,
        "f32, f64 (for comparisons finer than f32 rounding) or bf16 (f32 weights, softmax matrix products in bf16)",
    )
    .later(),
    Key::new(
        "device",
        KeyKind::Choice(&["cpu", "cuda", "auto"]),
        r#""cpu""#,
        "where train and evaluate run: cpu, cuda (an NVIDIA GPU), or auto (cuda if a GPU is available)",
    )
    .role(Role::Place)
    .later(),
    Key::new("warmup", KeyKind::Int(0, 1 << 40), "0", "steps of linear warm-up, before the schedule applies"),
    Key::new(
        "schedule",
        KeyKind::Tagged(SCHEDULES),
        r#"{"kind": "constant"}"#,
        "learning-rate schedule: constant, exponential, epoch, cosine, plateau or range",
    ),
    Key::new(
        "clip_norm",
        KeyKind::Float(Interval::NOT_NEGATIVE),
        "0.0",
        "maximum global norm of the gradient (Pascanu et al. 2013); 0 is off",
    ),
    Key::optional("steps", KeyKind::Int(0, 1 << 40), "number of updates; 1000 if neither steps nor epochs is set")
        .role(Role::Length),
    Key::optional("epochs", KeyKind::Int(1, 1 << 32), "passes over the corpus, instead of steps").role(Role::Length),
    Key::new(
        "checkpoints",
        KeyKind::Table(&[
            Key::new(
                "every",
                KeyKind::Int(0, 1 << 40),
                "100",
                "steps between checkpoints; 0 writes only the first and the last",
            ),
            Key::new(
                "keep",
                KeyKind::Any(&[
                    KeyKind::Choice(&["all", "best"]),
                    KeyKind::Table(&[
                        Key::optional("last", KeyKind::Int(1, 1 << 40), "keep the newest n").role(Role::Cadence)
                    ]),
                    KeyKind::List(&KeyKind::Int(0, 1 << 40)),
                ]),
                r#""all""#,
                "weights to keep: \"all\", \"best\" (best validation loss, plus last), { last = n } or a list of steps",
            ),
        ]),
        r#"{"every": 100, "keep": "all"}"#,
        "when weights are saved and which are kept; checkpoint 0 is the initial model",
    )
    .role(Role::Cadence),
    Key::new(
        "probes",
        KeyKind::Int(0, 1 << 40),
        "10",
        "steps between measurements of update ratio, overshoot ratio, largest logit, entropy and sharpness; 0 is off",
    )
    .role(Role::Cadence),
    Key::new(
        "on_nonfinite",
        KeyKind::Any(&[
            KeyKind::Choice(&["continue"]),
            KeyKind::Table(&[Key::optional(
                "stop_after",
                STEPS,
                "stop after this many consecutive steps with a NaN or infinite loss",
            )
            .role(Role::Length)]),
        ]),
        r#"{"stop_after": 20}"#,
        "what to do when the loss is NaN or infinite: { stop_after = 20 } or \"continue\"",
    )
    .role(Role::Length),
    Key::optional(
        "early_stopping",
        KeyKind::Table(&[
            Key::new("every", STEPS, "1000", "steps between evaluations of the validation loss").role(Role::Length),
            Key::new(
                "patience",
                KeyKind::Int(0, 1 << 20),
                "0",
                "how many evaluations in a row without a new best to tolerate",
            )
            .role(Role::Length),
        ]),
        "stop when the validation loss no longer improves: { every = 1000, patience = 0 }",
    )
    .role(Role::Length)
    .later(),
    Key::optional(
        "fork",
        KeyKind::Table(&[
            Key::optional("trajectory", KeyKind::Text, "identity of the parent trajectory, 64 hexadecimal digits"),
            Key::optional("step", KeyKind::Int(1, 1 << 40), "checkpoint of the parent, and the first step of the fork"),
        ]),
        "checkpoint to start from, instead of initial weights; written by `pipeline fork`",
    )
    .later(),
    Key::seed("seed for initial weights and dropout"),
];

/// Parameters that a fork must share with its parent. A checkpoint's weights and moments fix their shapes, their update
/// rule and their precision, and a fork draws no initial weights.
pub const KEPT_BY_FORKS: &[&str] =
    &["embedding", "hidden", "layers", "tied", "init", "forget_bias", "optimizer", "accumulate", "precision"];

/// The parameters of `train`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// Width of a word vector (E).
    pub embedding: i64,
    /// Width of an LSTM layer (H).
    pub hidden: i64,
    /// Number of stacked LSTM layers.
    pub layers: i64,
    /// Fraction of activations dropped on the non-recurrent connections.
    pub dropout: f64,
    /// Use the embedding matrix in the softmax.
    pub tied: bool,
    /// Initial weights.
    pub init: Init,
    /// Added to the initial bias of the forget gates.
    pub forget_bias: f64,
    /// The update rule.
    pub optimizer: Optimizer,
    /// Used by `momentum`.
    pub momentum: f64,
    /// Used by `rmsprop`.
    pub alpha: f64,
    /// Used by `adam` and `adamw`.
    pub beta1: f64,
    /// Used by `adam` and `adamw`.
    pub beta2: f64,
    /// Used by `adagrad`, `rmsprop`, `adam` and `adamw`.
    pub epsilon: f64,
    /// L2 penalty; decoupled for `adamw`.
    pub weight_decay: f64,
    /// Base learning rate, before warm-up and schedule, for the loss named by `loss_scale`.
    pub learning_rate: f64,
    /// The loss that `learning_rate` and `clip_norm` apply to.
    #[serde(default)]
    pub loss_scale: LossScale,
    /// When the validation loss ends training early.
    #[serde(default)]
    pub early_stopping: Option<EarlyStopping>,
    /// Windows of the batch plan averaged into one update.
    #[serde(default = "one")]
    pub accumulate: u64,
    /// Floating-point type of weights and arithmetic.
    #[serde(default)]
    pub precision: Precision,
    /// Where training runs.
    #[serde(default)]
    pub device: Device,
    /// Steps of linear warm-up.
    pub warmup: u64,
    /// Learning-rate schedule.
    pub schedule: Schedule,
    /// Maximum global norm of the gradient; 0 is off.
    pub clip_norm: f64,
    /// Number of optimiser updates.
    #[serde(default)]
    pub steps: Option<u64>,
    /// Passes over the corpus, instead of `steps`.
    #[serde(default)]
    pub epochs: Option<u64>,
    /// When weights are saved and which are kept.
    pub checkpoints: Checkpoints,
    /// Steps between probes; 0 is off.
    pub probes: u64,
    /// What to do when the loss is NaN or infinite.
    pub on_nonfinite: OnNonfinite,
    /// Checkpoint to start from, instead of initial weights.
    #[serde(default)]
    pub fork: Option<Fork>,
    /// Seed for initial weights and dropout.
    pub seed: u64,
}

impl Train {
    /// The number of steps: `steps`, or as many as make up `epochs` of `windows` windows each, or 1000.
    pub fn length(&self, windows: u64) -> u64 {
        match (self.steps, self.epochs) {
            (Some(steps), _) => steps,
            (None, Some(epochs)) => (epochs.saturating_mul(windows) / self.accumulate).max(1),
            (None, None) => 1000,
        }
    }

    /// Whether the learning rate of a step depends on the total number of steps.
    pub fn schedule_reads_length(&self) -> bool {
        matches!(self.schedule, Schedule::Cosine { .. } | Schedule::Range { .. })
    }

    /// Whether training itself scores the valid split.
    pub fn reads_valid(&self) -> bool {
        self.schedule_reads_valid() || self.early_stopping.is_some() || self.checkpoints.keep_the_best()
    }

    /// Whether the validation loss changes the learning rate.
    pub fn schedule_reads_valid(&self) -> bool {
        matches!(self.schedule, Schedule::Plateau { .. })
    }
}

/// The value of `accumulate` in experiments recorded before the key existed.
fn one() -> u64 {
    1
}
