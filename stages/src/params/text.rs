//! The parameters of `tokenize`, `vocab`, `batch` and `baselines`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{Interval, Key, KeyKind};

pub(super) const TOKENIZE: &[Key] = &[
    Key::new(
        "unit",
        KeyKind::Choice(&["whitespace", "word", "char"]),
        r#""word""#,
        "unit of a token: whitespace (split at white space), word (a match of \\w+|[^\\w\\s]+) or char",
    ),
    Key::new("lowercase", KeyKind::Bool, "false", "lowercase the text first (Unicode)"),
    Key::new(
        "eos",
        KeyKind::Text,
        r#""<eos>""#,
        "token for the end of a line; \"\" for none (with unit = \"char\" the newline itself is then a token)",
    ),
];

/// How text is cut into tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// The text between white space.
    Whitespace,
    /// A match of `\w+|[^\w\s]+`.
    Word,
    /// One Unicode scalar value.
    Char,
}

/// The parameters of `tokenize`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokenize {
    /// Unit of a token.
    pub unit: Unit,
    /// Lowercase the text first.
    pub lowercase: bool,
    /// Token for the end of a line; empty for none.
    pub eos: String,
    /// How a single text is cut into three; absent where the corpus is three files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

/// The fractions of a text that are held out: its last lines for test, the lines before them for valid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Fraction of the bytes for valid, in [0, 1).
    pub valid: f64,
    /// Fraction of the bytes for test, in [0, 1).
    pub test: f64,
}

/// The keys of `corpus.split`.
pub const SPLIT: &[Key] = &[
    Key::new(
        "valid",
        KeyKind::Float(Interval::BELOW_ONE),
        "0.05",
        "fraction of the text's bytes for valid, cut at a line end",
    ),
    Key::new(
        "test",
        KeyKind::Float(Interval::BELOW_ONE),
        "0.05",
        "fraction of the text's bytes for test, cut at a line end",
    ),
];

pub(super) const VOCAB: &[Key] = &[
    Key::new(
        "size",
        KeyKind::Int(1, 1 << 24),
        "10000",
        "maximum number of types, including <unk> and the end-of-line token",
    ),
    Key::new("min_count", KeyKind::Int(1, 1 << 40), "1", "types with fewer occurrences in train become <unk>"),
];

/// The parameters of `vocab`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vocab {
    /// The maximum number of types, special tokens included.
    pub size: u64,
    /// Types with fewer occurrences in train become `<unk>`.
    pub min_count: u64,
}

/// Maximum rows per batch.
pub(crate) const MOST_ROWS: u64 = 1 << 20;

/// Maximum tokens per window.
pub(crate) const LONGEST_WINDOW: u64 = 1 << 16;

pub(super) const BATCH: &[Key] = &[
    Key::new("size", KeyKind::Int(1, MOST_ROWS as i64), "20", "rows per batch (B)"),
    Key::new(
        "unroll",
        KeyKind::Int(1, LONGEST_WINDOW as i64),
        "20",
        "tokens per window (T): the length of truncated backpropagation",
    ),
    Key::new(
        "layout",
        KeyKind::Choice(&["streams", "shuffled", "sliding"]),
        r#""streams""#,
        "streams (hidden state carried over), shuffled (random windows, state reset) or sliding (overlapping rows)",
    ),
    Key::seed("seed for the order of shuffled windows"),
];

/// How windows are laid out in the corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// B contiguous streams read in parallel; the hidden state is carried from window to window.
    Streams,
    /// Windows in a new random order each epoch; the hidden state is reset for every window.
    Shuffled,
    /// Row r of step s starts at token s + r: a bug in a well-known exercise, kept as a demonstration.
    Sliding,
}

/// The parameters of `batch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Rows per batch (B).
    pub size: u64,
    /// Tokens per window (T).
    pub unroll: u64,
    /// How windows are laid out in the corpus.
    pub layout: Layout,
    /// Seed for the order of shuffled windows; absent for layouts that draw nothing.
    #[serde(default)]
    pub seed: u64,
}

pub(super) const BASELINES: &[Key] = &[
    Key::new(
        "order",
        KeyKind::Int(1, 5),
        "5",
        "length of the longest n-grams counted: 2 adds a Kneser–Ney bigram model, 3 to 5 also add one of that order",
    )
    .later(),
    Key::new(
        "tokens",
        KeyKind::Int(1, 1 << 40),
        "50000000",
        "count at most this many of train's first tokens; each takes 8 bytes of memory, or 16 with a large vocabulary",
    )
    .later(),
];

/// The parameters of `baselines`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baselines {
    /// The length of the longest n-grams in tokens, 1 to 5.
    pub order: u32,
    /// The maximum number of train tokens to count.
    pub tokens: u64,
}
