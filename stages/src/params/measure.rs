//! The parameters of `evaluate` and `sample`.

use serde::{Deserialize, Serialize};

use crate::schema::{Interval, Key, KeyKind, Role};

const SPLITS_AT: KeyKind = KeyKind::Choice(&["all", "last", "none"]);

pub(super) const EVALUATE: &[Key] = &[
    Key::new("valid", SPLITS_AT, r#""all""#, "kept checkpoints at which valid is scored: all, last or none")
        .role(Role::Selection),
    Key::new(
        "test",
        KeyKind::Choice(&["all", "last", "best", "none"]),
        r#""last""#,
        "kept checkpoints at which test is scored: all, last, none, or best (requires checkpoints.keep = \"best\")",
    )
    .role(Role::Selection),
];

/// Which kept checkpoints a split is scored at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum CheckpointSelection {
    All,
    Last,
    Best,
    None,
}

/// The parameters of `evaluate`. They select its executions; the stage itself reads only its inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluate {
    /// Checkpoints at which valid is scored.
    pub valid: CheckpointSelection,
    /// Checkpoints at which test is scored.
    pub test: CheckpointSelection,
}

pub(super) const SAMPLE: &[Key] = &[
    Key::new("at", SPLITS_AT, r#""all""#, "kept checkpoints to sample from: all, last or none").role(Role::Selection),
    Key::new("length", KeyKind::Int(1, 1 << 24), "100", "tokens per sample"),
    Key::new("prompt", KeyKind::Text, r#""""#, "text to read before sampling; \"\" starts a new line"),
    Key::new(
        "decode",
        KeyKind::List(&KeyKind::Any(&[
            KeyKind::Choice(&["greedy"]),
            KeyKind::Table(&[
                Key::new("temperature", KeyKind::Float(Interval::POSITIVE), "1.0", "divisor of the logits"),
                Key::optional("top_k", KeyKind::Int(1, 1 << 24), "keep only the k most likely tokens"),
                Key::optional(
                    "top_p",
                    KeyKind::Float(Interval::SHARE),
                    "keep the fewest tokens whose probabilities add up to at least p (Holtzman et al. 2020)",
                ),
            ]),
        ])),
        r#"["greedy", {"temperature": 1.0}]"#,
        "one sample per entry: \"greedy\", or { temperature = 1.0, top_k = 40, top_p = 0.9 }",
    ),
    Key::seed("seed for drawing tokens"),
];

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Decode {
    /// From the softmax of the logits over a temperature, restricted to the most likely tokens.
    Draw {
        /// Divisor of the logits.
        temperature: f64,
        /// Keep only the k most likely tokens.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        top_k: Option<u64>,
        /// Keep the fewest tokens whose probabilities add up to at least p.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        top_p: Option<f64>,
    },
    /// Always the most likely token; ties go to the smaller id.
    Greedy(Greedy),
}

/// The value `"greedy"` in an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Greedy {
    /// Always the most likely token.
    Greedy,
}

/// The parameters of `sample`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Checkpoints to sample from; read by the plan, not by the stage.
    #[serde(default = "at_all")]
    pub at: CheckpointSelection,
    /// Tokens per sample.
    pub length: u64,
    /// Text to read before sampling.
    pub prompt: String,
    /// How tokens are drawn, one sample per entry.
    pub decode: Vec<Decode>,
    /// Seed for drawing tokens.
    pub seed: u64,
}

fn at_all() -> CheckpointSelection {
    CheckpointSelection::All
}
