//! The parameters of `train`.

use serde::{Deserialize, Serialize};

use super::variants::{
    Checkpoints, Device, Fork, Init, LossScale, OnNonfinite, Optimizer, Precision, SCHEDULES, STEPS, Schedule,
};
use crate::looks::EarlyStopping;
use crate::schema::{Interval, Key, KeyKind, Role};

pub(super) const TRAIN: &[Key] = &[
    Key::new("embedding", KeyKind::Int(1, 1 << 16), "128", "width of a word vector, E"),
    Key::new("hidden", KeyKind::Int(1, 1 << 16), "128", "width of an LSTM layer, H"),
    Key::new("layers", KeyKind::Int(1, 64), "1", "LSTM layers, one above the other"),
    Key::new(
        "dropout",
        KeyKind::Float(Interval::BELOW_ONE),
        "0.0",
        "share of activations dropped on the non-recurrent connections: after the embedding, between layers, before the softmax",
    ),
    Key::new(
        "tied",
        KeyKind::Bool,
        "false",
        "whether the softmax uses the embedding's matrix (wants embedding = hidden)",
    ),
    Key::new(
        "init",
        KeyKind::Any(&[
            KeyKind::Choice(&["xavier"]),
            KeyKind::Table(&[Key::optional(
                "uniform",
                KeyKind::Float(Interval::NOT_NEGATIVE),
                "every parameter, biases too, uniform in ± this (Zaremba et al. 2014)",
            )]),
            KeyKind::Table(&[Key::optional(
                "normal",
                KeyKind::Float(Interval::NOT_NEGATIVE),
                "weights normal with this standard deviation, biases 0",
            )]),
        ]),
        r#"{"uniform": 0.1}"#,
        "initial weights: \"xavier\" (Glorot and Bengio 2010, uniform, biases 0), { uniform = 0.1 } or { normal = 0.02 }",
    ),
    Key::new("forget_bias", KeyKind::Float(Interval::FINITE), "0.0", "added to the initial bias of the forget gates"),
    Key::new(
        "optimizer",
        KeyKind::Choice(&["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"]),
        r#""adam""#,
        "the update rule, with PyTorch's formulas",
    ),
    Key::new("momentum", KeyKind::Float(Interval::BELOW_ONE), "0.9", "read by momentum"),
    Key::new("alpha", KeyKind::Float(Interval::BELOW_ONE), "0.99", "smoothing of squared gradients, read by rmsprop"),
    Key::new("beta1", KeyKind::Float(Interval::BELOW_ONE), "0.9", "decay of the first moment, read by adam and adamw"),
    Key::new(
        "beta2",
        KeyKind::Float(Interval::BELOW_ONE),
        "0.999",
        "decay of the second moment, read by adam and adamw",
    ),
    Key::new("epsilon", KeyKind::Float(Interval::POSITIVE), "1e-8", "read by adagrad, rmsprop, adam and adamw"),
    Key::new(
        "weight_decay",
        KeyKind::Float(Interval::NOT_NEGATIVE),
        "0.0",
        "times the weights, added to the gradient; apart from it for adamw",
    ),
    Key::new(
        "learning_rate",
        KeyKind::Float(Interval::POSITIVE_SINGLE),
        "0.001",
        "the rate before any schedule, for a loss on the scale of loss_scale",
    ),
    Key::new(
        "loss_scale",
        KeyKind::Choice(&["mean", "sum"]),
        r#""mean""#,
        "the loss that learning_rate and clip_norm are meant for: its mean over rows and window, or its sum over the window, averaged over the rows (Zaremba et al. 2014)",
    )
    .later(),
    Key::new(
        "accumulate",
        KeyKind::Int(1, 1 << 20),
        "1",
        "windows whose gradients are averaged into one update, so that a step sees this many times batch.size rows' worth of tokens in the memory of one window",
    )
    .later(),
    Key::new(
        "precision",
        KeyKind::Choice(&["f32", "f64", "bf16"]),
        r#""f32""#,
        "the floats of weights and arithmetic: f32; f64, in which training can be compared with other programs far below rounding; bf16: weights and sums in f32, the factors of the softmax layer's large products rounded to bf16, on CPUs that multiply such numbers",
    )
    .later(),
    Key::new(
        "device",
        KeyKind::Choice(&["cpu", "cuda", "auto"]),
        r#""cpu""#,
        "where train and evaluate compute: cpu, cuda (an NVIDIA GPU), or auto: a GPU where there is one",
    )
    .role(Role::Place)
    .later(),
    Key::new("warmup", KeyKind::Int(0, 1 << 40), "0", "steps in which the rate rises linearly, before any schedule"),
    Key::new(
        "schedule",
        KeyKind::Tagged(SCHEDULES),
        r#"{"kind": "constant"}"#,
        "how the rate changes: constant, exponential, epoch, cosine, plateau or range",
    ),
    Key::new(
        "clip_norm",
        KeyKind::Float(Interval::NOT_NEGATIVE),
        "0.0",
        "gradients are scaled down to this global norm (Pascanu et al. 2013); 0 is off",
    ),
    Key::optional(
        "steps",
        KeyKind::Int(0, 1 << 40),
        "optimiser updates in all; 1000 where neither this nor epochs stands",
    )
    .role(Role::Length),
    Key::optional("epochs", KeyKind::Int(1, 1 << 32), "passes over the corpus, in place of steps").role(Role::Length),
    Key::new(
        "checkpoints",
        KeyKind::Table(&[
            Key::new(
                "every",
                KeyKind::Int(0, 1 << 40),
                "100",
                "steps between checkpoints; 0: the first and the last alone",
            ),
            Key::new(
                "keep",
                KeyKind::Any(&[
                    KeyKind::Choice(&["all", "best"]),
                    KeyKind::Table(&[
                        Key::optional("last", KeyKind::Int(1, 1 << 40), "how many of the newest").role(Role::Cadence)
                    ]),
                    KeyKind::List(&KeyKind::Int(0, 1 << 40)),
                ]),
                r#""all""#,
                "which weights are kept: \"all\", \"best\" (by valid loss, and the last), { last = n }, or a list of steps",
            ),
        ]),
        r#"{"every": 100, "keep": "all"}"#,
        "when weights are written down and kept; checkpoint 0 is the untouched model",
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
                "training ends after this many steps in a row with a loss that is not finite",
            )
            .role(Role::Length)]),
        ]),
        r#"{"stop_after": 20}"#,
        "what a loss that is not finite leads to: { stop_after = 20 } or \"continue\"",
    )
    .role(Role::Length),
    Key::optional(
        "early_stopping",
        KeyKind::Table(&[
            Key::new("every", STEPS, "1000", "steps between looks at the valid loss").role(Role::Length),
            Key::new("patience", KeyKind::Int(0, 1 << 20), "0", "looks without a new best that are forgiven")
                .role(Role::Length),
        ]),
        "training ends when the valid loss has stopped falling, by { every = 1000, patience = 0 }",
    )
    .role(Role::Length)
    .later(),
    Key::optional(
        "fork",
        KeyKind::Table(&[
            Key::optional("trajectory", KeyKind::Text, "the parent: its identity, 64 hexadecimal digits"),
            Key::optional(
                "step",
                KeyKind::Int(1, 1 << 40),
                "the checkpoint of the parent, and the first step of its own",
            ),
        ]),
        "the checkpoint that the training starts from, in place of initial weights; `pipeline fork` writes it",
    )
    .later(),
    Key::seed("the seed of initial weights and dropout"),
];

/// What a fork keeps of its parent: the weights and moments of a checkpoint have these shapes and this rule, and initial
/// weights are not drawn again.
pub const KEPT_BY_FORKS: &[&str] =
    &["embedding", "hidden", "layers", "tied", "init", "forget_bias", "optimizer", "accumulate", "precision"];

/// What `train` reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// Width of a word vector, E.
    pub embedding: i64,
    /// Width of an LSTM layer, H.
    pub hidden: i64,
    /// LSTM layers.
    pub layers: i64,
    /// Share of activations dropped on the non-recurrent connections.
    pub dropout: f64,
    /// Whether the softmax uses the embedding's matrix.
    pub tied: bool,
    /// Initial weights.
    pub init: Init,
    /// Added to the initial bias of the forget gates.
    pub forget_bias: f64,
    /// The update rule.
    pub optimizer: Optimizer,
    /// Read by `momentum`.
    pub momentum: f64,
    /// Read by `rmsprop`.
    pub alpha: f64,
    /// Read by `adam` and `adamw`.
    pub beta1: f64,
    /// Read by `adam` and `adamw`.
    pub beta2: f64,
    /// Read by `adagrad`, `rmsprop`, `adam` and `adamw`.
    pub epsilon: f64,
    /// L2 penalty; decoupled for `adamw`.
    pub weight_decay: f64,
    /// The rate before any schedule, for a loss on the scale of `loss_scale`.
    pub learning_rate: f64,
    /// The loss that `learning_rate` and `clip_norm` are meant for.
    #[serde(default)]
    pub loss_scale: LossScale,
    /// When it ends before its length, by the valid loss.
    #[serde(default)]
    pub early_stopping: Option<EarlyStopping>,
    /// Windows of the batch plan whose gradients are averaged into one update.
    #[serde(default = "one")]
    pub accumulate: u64,
    /// The floats of weights and arithmetic.
    #[serde(default)]
    pub precision: Precision,
    /// Where it is computed.
    #[serde(default)]
    pub device: Device,
    /// Steps in which the rate rises linearly.
    pub warmup: u64,
    /// How the rate changes.
    pub schedule: Schedule,
    /// Global norm to which gradients are scaled down; 0 is off.
    pub clip_norm: f64,
    /// Optimiser updates in all.
    #[serde(default)]
    pub steps: Option<u64>,
    /// Passes over the corpus, in place of `steps`.
    #[serde(default)]
    pub epochs: Option<u64>,
    /// When weights are written down and kept.
    pub checkpoints: Checkpoints,
    /// Steps between probes; 0 is off.
    pub probes: u64,
    /// What a loss that is not finite leads to.
    pub on_nonfinite: OnNonfinite,
    /// The checkpoint that it starts from, in place of initial weights.
    #[serde(default)]
    pub fork: Option<Fork>,
    /// Seed of initial weights and dropout.
    pub seed: u64,
}

impl Train {
    /// How many steps the training has: `steps`, or as many as `epochs` of `windows` windows each fill, or 1000.
    pub fn length(&self, windows: u64) -> u64 {
        match (self.steps, self.epochs) {
            (Some(steps), _) => steps,
            (None, Some(epochs)) => (epochs.saturating_mul(windows) / self.accumulate).max(1),
            (None, None) => 1000,
        }
    }

    /// Whether the learning rate of a step depends on how long the training is.
    pub fn schedule_reads_length(&self) -> bool {
        matches!(self.schedule, Schedule::Cosine { .. } | Schedule::Range { .. })
    }

    /// Whether the training itself scores the valid split.
    pub fn reads_valid(&self) -> bool {
        self.schedule_reads_valid() || self.early_stopping.is_some() || self.checkpoints.keep_the_best()
    }

    /// Whether the valid loss changes a learning rate.
    pub fn schedule_reads_valid(&self) -> bool {
        matches!(self.schedule, Schedule::Plateau { .. })
    }
}

/// What `accumulate` was before there was such a key.
fn one() -> u64 {
    1
}
