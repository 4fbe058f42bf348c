//! The parameters of `tokenize`, `vocab`, `batch` and `baselines`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{Interval, Key, KeyKind};

pub(super) const TOKENIZE: &[Key] = &[
    Key::new(
        "unit",
        KeyKind::Choice(&["whitespace", "word", "char"]),
        r#""word""#,
        "what a token is: what stands between white space, a match of the regular expression \\w+|[^\\w\\s]+, or a character",
    ),
    Key::new("lowercase", KeyKind::Bool, "false", "whether the text is lowercased (Unicode) first"),
    Key::new(
        "eos",
        KeyKind::Text,
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
        KeyKind::Float(Interval::BELOW_ONE),
        "0.05",
        "share of the text's bytes, cut at a line's end, for valid",
    ),
    Key::new(
        "test",
        KeyKind::Float(Interval::BELOW_ONE),
        "0.05",
        "share of the text's bytes, cut at a line's end, for test",
    ),
];

pub(super) const VOCAB: &[Key] = &[
    Key::new(
        "size",
        KeyKind::Int(1, 1 << 24),
        "10000",
        "the most types kept, <unk> and the end-of-line token included",
    ),
    Key::new("min_count", KeyKind::Int(1, 1 << 40), "1", "types seen less often in train are folded into <unk>"),
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

/// The most rows of a batch.
pub(crate) const MOST_ROWS: u64 = 1 << 20;

/// The most tokens of a window.
pub(crate) const LONGEST_WINDOW: u64 = 1 << 16;

pub(super) const BATCH: &[Key] = &[
    Key::new("size", KeyKind::Int(1, MOST_ROWS as i64), "20", "rows of a batch, B"),
    Key::new(
        "unroll",
        KeyKind::Int(1, LONGEST_WINDOW as i64),
        "20",
        "tokens of a window, T: how far back-propagation reaches",
    ),
    Key::new(
        "layout",
        KeyKind::Choice(&["streams", "shuffled", "sliding"]),
        r#""streams""#,
        "streams: B parallel streams, state carried; shuffled: windows in a new random order each epoch, state zeroed; sliding: neighbouring words one token further each step, a fault kept to be shown",
    ),
    Key::seed("the seed of the order of shuffled windows"),
];

/// How windows lie in the corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
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

pub(super) const BASELINES: &[Key] = &[
    Key::new(
        "order",
        KeyKind::Int(1, 5),
        "5",
        "tokens of the longest n-grams that are counted: 5 is a Kneser–Ney 5-gram model beside the bigram model, 1 neither",
    )
    .later(),
    Key::new(
        "tokens",
        KeyKind::Int(1, 1 << 40),
        "50000000",
        "the most tokens of train that are counted, its first: each takes 8 bytes of memory, or 16 beside a large vocabulary",
    )
    .later(),
];

/// What `baselines` reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baselines {
    /// Tokens of the longest n-grams, from 1 to 5.
    pub order: u32,
    /// The most tokens of train that are counted.
    pub tokens: u64,
}
