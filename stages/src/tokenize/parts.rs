//! Where train, valid and test lie in the files of a corpus.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;

use super::text::Text;
use crate::StageError;
use crate::params::Split;

/// The three parts of a corpus, as outputs and inputs name them.
pub(crate) const SPLITS: [&str; 3] = ["train", "valid", "test"];

/// Where one part of the corpus lies.
#[derive(Debug)]
pub(super) struct CorpusPart {
    pub(super) text: Rc<Text>,
    pub(super) range: Range<u64>,
    /// Whether it must hold a token: not when its share is 0.
    pub(super) wanted: bool,
}

impl CorpusPart {
    /// The complaint about a part without a token.
    pub(super) fn empty(&self, split: &str) -> StageError {
        let key = self.text.key();
        if key != "corpus.text" || split == "train" && self.range.end == self.text.len() {
            return StageError::input(key, format!("{key} holds no token"), "name a file with text in it");
        }
        let message = format!("the share of {split} holds no token: corpus.text is cut only where a line ends");
        let hint = "give the text more lines, or set corpus.split.valid = 0 and corpus.split.test = 0";
        StageError::input("corpus.split", message, hint)
    }

    /// The complaint about a corpus without a word.
    pub(super) fn blank(&self) -> StageError {
        let key = self.text.key();
        StageError::input(key, format!("{key} holds no token but the ends of its lines"), "name a file with text in it")
    }
}

/// Where train, valid and test lie, in this order.
pub(super) fn locate(
    split: Option<Split>,
    inputs: &BTreeMap<String, PathBuf>,
    block: usize,
) -> Result<[Option<CorpusPart>; 3], StageError> {
    let open = |name: &str| -> Result<_, StageError> {
        let path = inputs.get(name).ok_or_else(|| StageError::Bug(format!("no input named {name}")))?;
        Ok(Rc::new(Text::open(path, format!("corpus.{name}"), block)?))
    };
    if !inputs.contains_key("text") {
        let part = |name: &str| -> Result<_, StageError> {
            let text = open(name)?;
            let range = text.start()..text.len();
            Ok(Some(CorpusPart { text, range, wanted: true }))
        };
        let optional = |name: &str| if inputs.contains_key(name) { part(name) } else { Ok(None) };
        return Ok([part("train")?, optional("valid")?, optional("test")?]);
    }
    let Split { valid, test } = split.ok_or_else(|| StageError::Bug("a text without a split".into()))?;
    // Written so that a NaN is refused too.
    if !(valid >= 0.0 && test >= 0.0 && valid + test < 1.0) {
        return Err(StageError::input(
            "corpus.split",
            format!("valid = {valid} and test = {test} leave nothing for train: their sum must be below 1"),
            "corpus.split = { valid = 0.05, test = 0.05 }",
        ));
    }
    let text = open("text")?;
    let boundary = |share: f64| text.line_start((text.len() as f64 * share) as u64);
    let (first, second) = (boundary(1.0 - valid - test)?, boundary(1.0 - test)?);
    let start = text.start().min(first);
    let part = |range, wanted| Some(CorpusPart { text: text.clone(), range, wanted });
    Ok([part(start..first, true), part(first..second, valid > 0.0), part(second..text.len(), test > 0.0)])
}
