//! Every stage's parameters: the table that describes them, and the struct that the stage reads.
//!
//! A struct is read from a value that the table has already checked and completed, so reading it can only fail by a
//! fault of ours. Both stand side by side; a test reads each struct from its table's defaults.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schema::{Key, Kind, Range, Role};

/// One table of an experiment that belongs to a stage.
#[derive(Debug)]
pub struct StageKeys {
    /// The stage, and the table's name.
    pub stage: &'static str,
    /// The stage's version: raised whenever its output for the same input changes.
    pub version: u32,
    /// Its keys.
    pub keys: &'static [Key],
}

/// The tables of all stages, in the order in which they run.
pub const STAGES: &[StageKeys] = &[
    StageKeys { stage: "tokenize", version: 1, keys: TOKENIZE },
    StageKeys { stage: "vocab", version: 1, keys: VOCAB },
    StageKeys { stage: "batch", version: 1, keys: BATCH },
    StageKeys { stage: "train", version: 1, keys: TRAIN },
    StageKeys { stage: "evaluate", version: 1, keys: EVALUATE },
    StageKeys { stage: "sample", version: 1, keys: SAMPLE },
];

/// The table of one stage.
pub fn stage_keys(stage: &str) -> Option<&'static StageKeys> {
    STAGES.iter().find(|keys| keys.stage == stage)
}

/// Whether a stage reads a key at all, given its other values: momentum only with the optimiser momentum, a seed only
/// where something is drawn. What is not read is part of no key.
pub fn is_read(stage: &str, key: &str, params: &Value) -> bool {
    let one_of = |name: &str, words: &[&str]| params[name].as_str().is_some_and(|word| words.contains(&word));
    match (stage, key) {
        ("batch", "seed") => one_of("layout", &["shuffled"]),
        ("train", "momentum") => one_of("optimizer", &["momentum"]),
        ("train", "alpha") => one_of("optimizer", &["rmsprop"]),
        ("train", "beta1" | "beta2") => one_of("optimizer", &["adam", "adamw"]),
        ("train", "epsilon") => one_of("optimizer", &["adagrad", "rmsprop", "adam", "adamw"]),
        ("sample", "seed") => {
            params["decode"].as_array().is_none_or(|ways| ways.iter().any(|way| way.as_str() != Some("greedy")))
        }
        _ => true,
    }
}

/// Reads a stage's struct from its checked parameters.
///
/// # Errors
/// When the value did not pass the table: a fault of ours, worded so.
pub fn read<T: for<'de> Deserialize<'de>>(stage: &str, params: &Value) -> Result<T, crate::StageError> {
    T::deserialize(params).map_err(|error| crate::StageError::Bug(format!("parameters of {stage}: {error}")))
}

// ---------------------------------------------------------------------------------------------------- tokenize

const TOKENIZE: &[Key] = &[
    Key::new(
        "unit",
        Kind::Choice(&["whitespace", "word", "char"]),
        r#""word""#,
        "what a token is: what stands between white space, a match of the regular expression \\w+|[^\\w\\s]+, or a character",
    ),
    Key::new("lowercase", Kind::Bool, "false", "whether the text is lowercased (Unicode) first"),
    Key::new(
        "eos",
        Kind::Text,
        r#""<eos>""#,
        "the token that stands for a line's end; \"\" for none (with unit = \"char\" the newline itself is then a token)",
    ),
];

/// How a token is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// What stands between white space.
    Whitespace,
    /// A match of `\w+|[^\w\s]+`.
    Word,
    /// One Unicode scalar value.
    Char,
}

/// What `tokenize` reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokenize {
    /// What a token is.
    pub unit: Unit,
    /// Whether the text is lowercased first.
    pub lowercase: bool,
    /// The token for a line's end, or nothing.
    pub eos: String,
    /// How one text is cut in three; absent where the corpus is three files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

/// The shares of a text that are held out: its last lines for test, those before for valid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Share of the bytes for valid, in [0, 1).
    pub valid: f64,
    /// Share of the bytes for test, in [0, 1).
    pub test: f64,
}

/// The keys of `corpus.split`.
pub const SPLIT: &[Key] = &[
    Key::new(
        "valid",
        Kind::Float(Range::BELOW_ONE),
        "0.05",
        "share of the text's bytes, cut at a line's end, for valid",
    ),
    Key::new("test", Kind::Float(Range::BELOW_ONE), "0.05", "share of the text's bytes, cut at a line's end, for test"),
];

// ------------------------------------------------------------------------------------------------------- vocab

const VOCAB: &[Key] = &[
    Key::new("size", Kind::Int(1, 1 << 24), "10000", "the most types kept, <unk> and the end-of-line token included"),
    Key::new("min_count", Kind::Int(1, 1 << 40), "1", "types seen less often in train are folded into <unk>"),
];

/// What `vocab` reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vocab {
    /// The most types kept, specials included.
    pub size: u64,
    /// Types seen less often are folded into `<unk>`.
    pub min_count: u64,
}

// ------------------------------------------------------------------------------------------------------- batch

const BATCH: &[Key] = &[
    Key::new("size", Kind::Int(1, 1 << 20), "20", "rows of a batch, B"),
    Key::new("unroll", Kind::Int(1, 1 << 16), "20", "tokens of a window, T: how far back-propagation reaches"),
    Key::new(
        "layout",
        Kind::Choice(&["streams", "shuffled", "sliding"]),
        r#""streams""#,
        "streams: B parallel streams, state carried; shuffled: windows in a new random order each epoch, state zeroed; sliding: neighbouring words one token further each step, a fault kept to be shown",
    ),
    Key::seed("the seed of the order of shuffled windows"),
];

/// How windows lie in the corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// B contiguous streams read in parallel, hidden state carried from window to window.
    Streams,
    /// Windows in a random order, anew each epoch; hidden state zero at each.
    Shuffled,
    /// Row r of step s starts at token s + r: the fault of a famous exercise, kept to be shown.
    Sliding,
}

/// What `batch` reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Rows, B.
    pub size: u64,
    /// Tokens of a window, T.
    pub unroll: u64,
    /// How windows lie in the corpus.
    pub layout: Layout,
    /// Seed of shuffled windows; absent for layouts that draw nothing.
    #[serde(default)]
    pub seed: u64,
}

// ------------------------------------------------------------------------------------------------------- train

/// A step count in a key's range.
const STEPS: Kind = Kind::Int(1, 1 << 40);

const SCHEDULES: &[(&str, &[Key])] = &[
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

const TRAIN: &[Key] = &[
    Key::new("embedding", Kind::Int(1, 1 << 16), "128", "width of a word vector, E"),
    Key::new("hidden", Kind::Int(1, 1 << 16), "128", "width of an LSTM layer, H"),
    Key::new("layers", Kind::Int(1, 64), "1", "LSTM layers, one above the other"),
    Key::new(
        "dropout",
        Kind::Float(Range::BELOW_ONE),
        "0.0",
        "share of activations dropped on the non-recurrent connections: after the embedding, between layers, before the softmax",
    ),
    Key::new("tied", Kind::Bool, "false", "whether the softmax uses the embedding's matrix (wants embedding = hidden)"),
    Key::new(
        "init",
        Kind::Any(&[
            Kind::Choice(&["xavier"]),
            Kind::Table(&[Key {
                name: "uniform",
                kind: Kind::Float(Range::NOT_NEGATIVE),
                default: crate::schema::Default::Absent,
                role: Role::Numbers,
                doc: "every parameter, biases too, uniform in ± this (Zaremba et al. 2014)",
            }]),
            Kind::Table(&[Key {
                name: "normal",
                kind: Kind::Float(Range::NOT_NEGATIVE),
                default: crate::schema::Default::Absent,
                role: Role::Numbers,
                doc: "weights normal with this standard deviation, biases 0",
            }]),
        ]),
        r#"{"uniform": 0.1}"#,
        "initial weights: \"xavier\" (Glorot and Bengio 2010, uniform, biases 0), { uniform = 0.1 } or { normal = 0.02 }",
    ),
    Key::new("forget_bias", Kind::Float(Range::FINITE), "0.0", "added to the initial bias of the forget gates"),
    Key::new(
        "optimizer",
        Kind::Choice(&["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"]),
        r#""adam""#,
        "the update rule, with PyTorch's formulas",
    ),
    Key::new("momentum", Kind::Float(Range::BELOW_ONE), "0.9", "read by momentum"),
    Key::new("alpha", Kind::Float(Range::BELOW_ONE), "0.99", "smoothing of squared gradients, read by rmsprop"),
    Key::new("beta1", Kind::Float(Range::BELOW_ONE), "0.9", "decay of the first moment, read by adam and adamw"),
    Key::new("beta2", Kind::Float(Range::BELOW_ONE), "0.999", "decay of the second moment, read by adam and adamw"),
    Key::new("epsilon", Kind::Float(Range::POSITIVE), "1e-8", "read by adagrad, rmsprop, adam and adamw"),
    Key::new(
        "weight_decay",
        Kind::Float(Range::NOT_NEGATIVE),
        "0.0",
        "times the weights, added to the gradient; apart from it for adamw",
    ),
    Key::new("learning_rate", Kind::Float(Range::POSITIVE), "0.001", "the rate before any schedule, for a mean loss"),
    Key::new("warmup", Kind::Int(0, 1 << 40), "0", "steps in which the rate rises linearly, before any schedule"),
    Key::new(
        "schedule",
        Kind::Tagged(SCHEDULES),
        r#"{"kind": "constant"}"#,
        "how the rate changes: constant, exponential, epoch, cosine or plateau",
    ),
    Key::new(
        "clip_norm",
        Kind::Float(Range::NOT_NEGATIVE),
        "0.0",
        "gradients are scaled down to this global norm (Pascanu et al. 2013); 0 is off",
    ),
    Key::optional(
        "steps",
        Kind::Int(0, 1 << 40),
        "optimiser updates in all; 1000 where neither this nor epochs stands",
    )
    .role(Role::Length),
    Key::optional("epochs", Kind::Int(1, 1 << 32), "passes over the corpus, in place of steps").role(Role::Length),
    Key::new(
        "checkpoints",
        Kind::Table(&[
            Key::new(
                "every",
                Kind::Int(0, 1 << 40),
                "100",
                "steps between checkpoints; 0: the first and the last alone",
            ),
            Key::new(
                "keep",
                Kind::Any(&[
                    Kind::Choice(&["all"]),
                    Kind::Table(&[Key {
                        name: "last",
                        kind: Kind::Int(1, 1 << 40),
                        default: crate::schema::Default::Absent,
                        role: Role::Cadence,
                        doc: "how many of the newest",
                    }]),
                    Kind::List(&Kind::Int(0, 1 << 40)),
                ]),
                r#""all""#,
                "which weights are kept: \"all\", { last = n }, or a list of steps",
            ),
        ]),
        r#"{"every": 100, "keep": "all"}"#,
        "when weights are written down and kept; checkpoint 0 is the untouched model",
    )
    .role(Role::Cadence),
    Key::new(
        "probes",
        Kind::Int(0, 1 << 40),
        "10",
        "steps between measurements of update ratio, largest logit and entropy; 0 is off",
    )
    .role(Role::Cadence),
    Key::new(
        "on_nonfinite",
        Kind::Any(&[
            Kind::Choice(&["continue"]),
            Kind::Table(&[Key {
                name: "stop_after",
                kind: STEPS,
                default: crate::schema::Default::Absent,
                role: Role::Length,
                doc: "training ends after this many steps in a row with a loss that is not finite",
            }]),
        ]),
        r#"{"stop_after": 20}"#,
        "what a loss that is not finite leads to: { stop_after = 20 } or \"continue\"",
    )
    .role(Role::Length),
    Key::seed("the seed of initial weights and dropout"),
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
    /// The rate before any schedule, for a mean loss.
    pub learning_rate: f64,
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
    /// Seed of initial weights and dropout.
    pub seed: u64,
}

impl Train {
    /// How many steps the training has: `steps`, or `epochs` of `windows` steps each, or 1000.
    pub fn length(&self, windows: u64) -> u64 {
        match (self.steps, self.epochs) {
            (Some(steps), _) => steps,
            (None, Some(epochs)) => epochs.saturating_mul(windows),
            (None, None) => 1000,
        }
    }

    /// Whether the learning rate of a step depends on how long the training is.
    pub fn schedule_reads_length(&self) -> bool {
        matches!(self.schedule, Schedule::Cosine { .. })
    }

    /// Whether the training itself scores the valid split.
    pub fn reads_valid(&self) -> bool {
        matches!(self.schedule, Schedule::Plateau { .. })
    }
}

// -------------------------------------------------------------------------------------------- evaluate, sample

const SPLITS_AT: Kind = Kind::Choice(&["all", "last", "none"]);

const EVALUATE: &[Key] = &[
    Key::new("valid", SPLITS_AT, r#""all""#, "the kept checkpoints at which valid is scored: all, last or none")
        .role(Role::Selection),
    Key::new("test", SPLITS_AT, r#""last""#, "the kept checkpoints at which test is scored: all, last or none")
        .role(Role::Selection),
];

/// At which kept checkpoints a split is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum At {
    All,
    Last,
    None,
}

/// Which executions of `evaluate` there are; the stage itself reads nothing but its inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluate {
    /// Where valid is scored.
    pub valid: At,
    /// Where test is scored.
    pub test: At,
}

const SAMPLE: &[Key] = &[
    Key::new("at", SPLITS_AT, r#""all""#, "the kept checkpoints that are sampled: all, last or none")
        .role(Role::Selection),
    Key::new("length", Kind::Int(1, 1 << 24), "100", "tokens drawn for each text"),
    Key::new("prompt", Kind::Text, r#""""#, "text that the model reads first; \"\" begins after a line's end"),
    Key::new(
        "decode",
        Kind::List(&Kind::Any(&[
            Kind::Choice(&["greedy"]),
            Kind::Table(&[
                Key {
                    name: "temperature",
                    kind: Kind::Float(Range::POSITIVE),
                    default: crate::schema::Default::Is("1.0"),
                    role: Role::Numbers,
                    doc: "logits are divided by it",
                },
                Key::optional("top_k", Kind::Int(1, 1 << 24), "only the k likeliest tokens may be drawn"),
                Key::optional(
                    "top_p",
                    Kind::Float(Range::SHARE),
                    "only the fewest tokens whose probabilities reach p may be drawn (Holtzman et al. 2020)",
                ),
            ]),
        ])),
        r#"["greedy", {"temperature": 1.0}]"#,
        "how tokens are drawn, one text each: \"greedy\", or { temperature = 1.0, top_k = 40, top_p = 0.9 }",
    ),
    Key::seed("the seed of drawn tokens"),
];

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Decode {
    /// From the softmax of logits over a temperature, cut to the likeliest.
    Draw {
        /// Logits are divided by it.
        temperature: f64,
        /// Only the k likeliest tokens.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        top_k: Option<u64>,
        /// Only the fewest tokens whose probabilities reach p.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        top_p: Option<f64>,
    },
    /// Always the likeliest token; of equals the one with the smaller id.
    Greedy(Greedy),
}

/// The word `greedy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Greedy {
    /// Always the likeliest token.
    Greedy,
}

/// What `sample` reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Which checkpoints are sampled; part of no key, so absent from what the stage is handed.
    #[serde(default = "at_all")]
    pub at: At,
    /// Tokens drawn for each text.
    pub length: u64,
    /// Text that the model reads first.
    pub prompt: String,
    /// How tokens are drawn, one text each.
    pub decode: Vec<Decode>,
    /// Seed of drawn tokens.
    pub seed: u64,
}

fn at_all() -> At {
    At::All
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults(keys: &[Key]) -> Value {
        keys.iter().filter_map(|key| Some((key.name.to_owned(), key.default_value(1)?))).collect()
    }

    #[test]
    fn every_struct_reads_its_tables_defaults() {
        let of = |stage: &str| defaults(stage_keys(stage).unwrap().keys);
        read::<Tokenize>("tokenize", &of("tokenize")).unwrap();
        read::<Vocab>("vocab", &of("vocab")).unwrap();
        read::<Batch>("batch", &of("batch")).unwrap();
        read::<Evaluate>("evaluate", &of("evaluate")).unwrap();
        let sample: Sample = read("sample", &of("sample")).unwrap();
        let temperature = Decode::Draw { temperature: 1.0, top_k: None, top_p: None };
        assert_eq!(sample.decode, [Decode::Greedy(Greedy::Greedy), temperature]);
        let train: Train = read("train", &of("train")).unwrap();
        assert_eq!(train.init, Init::Uniform(0.1));
        assert_eq!(train.on_nonfinite, OnNonfinite::StopAfter(20));
        assert_eq!(train.length(10), 1000);
    }

    #[test]
    fn every_schedule_is_readable_with_its_defaults() {
        for (kind, keys) in SCHEDULES {
            let mut value = defaults(keys);
            value["kind"] = Value::from(*kind);
            serde_json::from_value::<Schedule>(value).unwrap();
        }
    }

    #[test]
    fn kept_checkpoints() {
        let keep = |every, keep| Checkpoints { every, keep };
        assert_eq!(keep(100, Keep::All(All::All)).kept(250), [0, 100, 200, 250]);
        assert_eq!(keep(0, Keep::All(All::All)).kept(250), [0, 250]);
        assert_eq!(keep(100, Keep::Last { last: 2 }).kept(300), [200, 300]);
        assert_eq!(keep(100, Keep::Steps(vec![40, 7])).kept(300), [7, 40, 300]);
        assert_eq!(keep(100, Keep::All(All::All)).kept(0), [0]);
    }
}
