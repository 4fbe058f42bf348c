//! The stages' outputs for a fixed input, pinned.
//!
//! A stage key covers a stage's version, not its code, so changed outputs without a new version would make every cached
//! result wrong. Each digest is the SHA-256 of an output file; for `sample`, of its samples as JSON.

use std::collections::BTreeSet;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::params::{STAGES, read, stage_keys};
use crate::random::Stream;
use crate::testing::{Space, TestWeights, bytes, output};
use crate::{Context, StageOutcome, baselines, batch, sample, tokenize, vocab};

const TEXT: &str = "Who's there? <unk>\r\nNay, answer me: stand, and unfold yourself.\n\nLong live the King—Ünïcödé, 中文 123!\n\
                    Who is there? the the the\nThe end; (so it is), said the King.\nlast line";

/// The pinned outputs of a stage at `version`; both change together.
struct Pinned {
    stage: &'static str,
    version: u32,
    /// Digests by label.
    digests: &'static [(&'static str, &'static str)],
}

const PINNED: &[Pinned] = &[
    Pinned {
        stage: "tokenize",
        version: 2,
        digests: &[
            ("word train", "f6d61792742686a769b6112af0255b2b2e390f594ccd0455ffca4d6cf080100b"),
            ("word valid", "2bc78ef8c2f0a11c91335c7052488ff49cfc5f7225b3d37a7fbeb1d5732a322f"),
            ("word test", "bd537a246139d13db3fd59936bc4f69a7c98ffa1e50f74f565ec4a9a69924379"),
            ("word types", "3c4dce22731ae9d123538d9990fa8584a3447e98e66d5eac977ff527f3764c3f"),
            ("whitespace train", "08f14103503f0c081ae6f33087d1cc1d7f52256974c00da2580f2545f38b62c8"),
            ("whitespace valid", "54bfd540fd2595442d8d37079494638968dff45c5030e33c264ca544e5feeee5"),
            ("whitespace test", "b07cd3bf1ab601bc832aaa6a72b11a2037eca5d397b7747f1d921f5e100cc2c5"),
            ("whitespace types", "f77eeb85b6c3f4313dd448c35a57e381ae6eec45a3a183c12006560bb9181020"),
            ("char train", "67a07c7673dd149d2daeeee9108121e7b6dec6bc2fe9a624f95a608cdd42d51b"),
            ("char valid", "6f73fafbae962c81ff08a803e107fbf08d8656866820941deb309dc279c8af69"),
            ("char test", "7d6e26c8c1671d556d09e5577b6b37a2fede38e1c02b77d2602528ba7f941d27"),
            ("char types", "d0cfea39667abb6b0c9bf9f41bc03f02f1163f868963f088df9d59db36f5d590"),
        ],
    },
    Pinned {
        stage: "vocab",
        version: 1,
        digests: &[
            ("word vocab", "73c95276590af225d0021144adf96494d29aba40dd1c8b98505978fc7439191a"),
            ("word tokenizer", "72aa359ef9d6324f138bea9d8accf51f5d73e020ac4b9d6fbf46e65cf26ef9be"),
            ("word train", "d545953b7d451afba6465c35d98674e3dbec342ef6768ebd25abcd9facff19b1"),
            ("word valid", "22aa2bb191739b36eaa8ce3268ad9edfe11e2208d04a15b51ccf59d0c1ffa391"),
            ("word test", "c3e42245ffdff31c980d63b232de1414ca2461a08c6efccca2af96737ef4d068"),
            ("whitespace vocab", "d3e97d678b4653f0ae944d51fd9fe55dbeaec596a4652b2578a1d86fd92bb35e"),
            ("whitespace tokenizer", "90d4cfae10f6249897481cd4c1e8e6661955ab634143afda789cbb3cfda99df4"),
            ("whitespace train", "5288a563c8288bf7eed03ff5e930397daecd12c38b0496a414fd96cf0cf18e7b"),
            ("whitespace valid", "970901c43a86b14cbf57c6a7eea353196dce85420b5d4fd13c29a62360e2be63"),
            ("whitespace test", "c3e42245ffdff31c980d63b232de1414ca2461a08c6efccca2af96737ef4d068"),
            ("char vocab", "9b9027469da42ac4046f57cf7105103400a319cbedcc79f7ecf48ff7f17d5ad1"),
            ("char tokenizer", "3884af94bc6b8b53f04e5738c5b6c9c8534d6ca85aa722f80b9d80b656742936"),
            ("char train", "eaec897bf1ed3fb2d12eaa4cc199eef61e09263157b30235edc174e6ce1cbaa6"),
            ("char valid", "4a7666d10db1c8bf4985c3056d0a907c3b5fcaf9848bafb27ff5e25ce9d01250"),
            ("char test", "ad29b79b34458bf7ca47aa27ba889eaf00ec31cd6a9a2ea4fb2e50e43ae9ec36"),
        ],
    },
    Pinned {
        stage: "batch",
        version: 1,
        digests: &[
            ("streams plan", "d2372ca8546dbffa5e445c33058853390b2a1210c36eeb8173ceb65aa7ef0e56"),
            ("shuffled plan", "4b299629b94ded891e6ece2ae203e18490eb50e0693a5ad5d1923e1a3c089192"),
            ("sliding plan", "3fdb133a03a0d232ca6d717066ad4f5698da616495bb0c8da881cec47a9bdb68"),
        ],
    },
    Pinned {
        stage: "baselines",
        version: 1,
        digests: &[
            ("text baselines", "65c64308b54dd8924231e0b24a9812e7164106828a37ed765accc6acf6bd550f"),
            ("drawn baselines", "0f763ce19d278e0ef45b73dc49c38c8971730a12e3ffd549846ca5bdb6534c1d"),
        ],
    },
    Pinned {
        stage: "sample",
        version: 2,
        digests: &[
            ("untied", "7a815b53d466f3c9c44ce75c7803fd8d9e7b0d350159fd6391650eaf658c16be"),
            ("tied", "9cf7d23c735aba9be570fb726cb4f8b01e7dfe70e161533c607a174594aa9d74"),
        ],
    },
];

/// Runs the stages on a fixed input with various options. Returns the stage, the label and the digest of each output.
fn outputs() -> Vec<(&'static str, String, String)> {
    let mut all = Vec::new();
    let text = Space::new().with("text", TEXT);
    let mut corpus = None;
    for (label, unit, lowercase, eos) in
        [("word", "word", false, "<eos>"), ("whitespace", "whitespace", true, "<eos>"), ("char", "char", true, "")]
    {
        let params = json!({
            "unit": unit, "lowercase": lowercase, "eos": eos, "split": { "valid": 0.2, "test": 0.1 },
        });
        let tokenized = tokenize::run(&read("tokenize", &params).unwrap(), &text.context).unwrap();
        files("tokenize", label, &tokenized, &mut all);
        let space = Space::after(&tokenized);
        let params = json!({ "size": 12, "min_count": 1 });
        let chosen = vocab::run(&read("vocab", &params).unwrap(), &space.context).unwrap();
        files("vocab", label, &chosen, &mut all);
        corpus.get_or_insert(Space::after(&chosen));
    }
    let corpus = corpus.unwrap();
    for layout in ["streams", "shuffled", "sliding"] {
        let params = json!({ "size": 3, "unroll": 2, "layout": layout, "seed": 5 });
        let planned = batch::run(&read("batch", &params).unwrap(), &corpus.context).unwrap();
        files("batch", layout, &planned, &mut all);
    }
    // The text is too short for estimated discounts.
    let vocab = std::fs::read(&corpus.context.inputs["vocab"]).unwrap();
    let draws = |split: &str, tokens: u64| {
        let draws = Stream::new(4, split);
        bytes(&(0..tokens).map(|i| (draws.uniform(i).powi(2) * 12.0) as u32).collect::<Vec<_>>())
    };
    let drawn = Space::new().with("vocab", vocab).with("train", draws("train", 3000));
    let drawn = drawn.with("valid", draws("valid", 200)).with("test", draws("test", 1));
    for (label, corpus) in [("text", &corpus), ("drawn", &drawn)] {
        let params = json!({ "order": 5, "tokens": 2000 });
        let scored = baselines::run(&read("baselines", &params).unwrap(), &corpus.context).unwrap();
        files("baselines", label, &scored, &mut all);
    }
    for (label, tied) in [("untied", false), ("tied", true)] {
        let drawn = texts(&corpus.context, tied);
        all.push(("sample", label.to_owned(), digest(serde_json::to_string(&drawn.samples).unwrap().as_bytes())));
    }
    all
}

fn texts(corpus: &Context, tied: bool) -> StageOutcome {
    let vocab = std::fs::read(&corpus.inputs["vocab"]).unwrap();
    let space = Space::new().with("vocab", vocab).with("weights", TestWeights::new(12, 9, 9, 2, tied).bytes());
    let params = json!({
        "length": 60, "prompt": "Who is", "seed": 3,
        "decode": ["greedy", { "temperature": 0.3 }, { "temperature": 1.0, "top_k": 5, "top_p": 0.9 }],
    });
    sample::run(&read("sample", &params).unwrap(), &space.context).unwrap()
}

fn files(stage: &'static str, label: &str, outcome: &StageOutcome, all: &mut Vec<(&'static str, String, String)>) {
    for file in &outcome.outputs {
        let bytes = std::fs::read(output(outcome, &file.name)).unwrap();
        all.push((stage, format!("{label} {}", file.name), digest(&bytes)));
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_output_changes_only_with_its_stages_version() {
    let found = outputs();
    let mut wrong = Vec::new();
    // The worker's outputs are pinned in its own crate.
    let here = STAGES.iter().map(|keys| keys.stage).filter(|stage| !["train", "evaluate"].contains(stage));
    assert_eq!(PINNED.iter().map(|pinned| pinned.stage).collect::<BTreeSet<_>>(), here.collect());
    for Pinned { stage, version, digests: pinned } in PINNED {
        let now: Vec<_> = found.iter().filter(|(of, _, _)| of == stage).collect();
        assert_eq!(
            stage_keys(stage).unwrap().version,
            *version,
            "the version of {stage} was raised: pin its new digests here, with that version"
        );
        assert_eq!(now.len(), pinned.len(), "outputs of {stage}");
        for ((_, label, digest), (pinned_label, pinned_digest)) in now.into_iter().zip(*pinned) {
            assert_eq!(label, pinned_label);
            if digest != pinned_digest {
                wrong.push(format!("{stage}: (\"{label}\", \"{digest}\"),"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "outputs changed: raise the stage's version in params.rs or restore the output; the new digests are\n{}",
        wrong.join("\n")
    );
}
