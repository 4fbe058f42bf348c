//! The parameters of `evaluate` and `sample`.

use serde::{Deserialize, Serialize};

use crate::schema::{Interval, Key, KeyKind, Role};

const SPLITS_AT: KeyKind = KeyKind::Choice(&["all", "last", "none"]);

pub(super) const EVALUATE: &[Key] = &[
    Key::new("valid", SPLITS_AT, r#""all""#, "the kept checkpoints at which valid is scored: all, last or none")
        .role(Role::Selection),
    Key::new(
        "test",
        KeyKind::Choice(&["all", "last", "best", "none"]),
        r#""last""#,
        "the kept checkpoints at which test is scored: all, last, best (with checkpoints.keep = \"best\") or none",
    )
    .role(Role::Selection),
];

/// At which kept checkpoints a split is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum CheckpointSelection {
    All,
    Last,
    Best,
    None,
}

/// Which executions of `evaluate` there are; the stage itself reads nothing but its inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluate {
    /// Where valid is scored.
    pub valid: CheckpointSelection,
    /// Where test is scored.
    pub test: CheckpointSelection,
}

pub(super) const SAMPLE: &[Key] = &[
    Key::new("at", SPLITS_AT, r#""all""#, "the kept checkpoints that are sampled: all, last or none")
        .role(Role::Selection),
    Key::new("length", KeyKind::Int(1, 1 << 24), "100", "tokens drawn for each text"),
    Key::new("prompt", KeyKind::Text, r#""""#, "text that the model reads first; \"\" begins after a line's end"),
    Key::new(
        "decode",
        KeyKind::List(&KeyKind::Any(&[
            KeyKind::Choice(&["greedy"]),
            KeyKind::Table(&[
                Key::new("temperature", KeyKind::Float(Interval::POSITIVE), "1.0", "logits are divided by it"),
                Key::optional("top_k", KeyKind::Int(1, 1 << 24), "only the k likeliest tokens may be drawn"),
                Key::optional(
                    "top_p",
                    KeyKind::Float(Interval::SHARE),
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
    /// Which checkpoints are sampled; read by the plan, not by the stage.
    #[serde(default = "at_all")]
    pub at: CheckpointSelection,
    /// Tokens drawn for each text.
    pub length: u64,
    /// Text that the model reads first.
    pub prompt: String,
    /// How tokens are drawn, one text each.
    pub decode: Vec<Decode>,
    /// Seed of drawn tokens.
    pub seed: u64,
}

fn at_all() -> CheckpointSelection {
    CheckpointSelection::All
}
