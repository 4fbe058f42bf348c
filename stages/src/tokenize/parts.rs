//! Locates train, valid and test in the files of a corpus.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;

use super::text::Text;
use crate::StageError;
use crate::params::Split;

/// The three parts of a corpus, by their names as inputs and outputs.
pub(crate) const SPLITS: [&str; 3] = ["train", "valid", "test"];

/// The location of one part of the corpus.
#[derive(Debug)]
pub(super) struct CorpusPart {
    pub(super) text: Rc<Text>,
    pub(super) range: Range<u64>,
    /// Whether it must contain tokens: false if its fraction is 0.
    pub(super) wanted: bool,
}

impl CorpusPart {
    /// The error for a part without tokens.
    pub(super) fn empty(&self, split: &str) -> StageError {
        let key = self.text.key();
        if key != "corpus.text" || split == "train" && self.range.end == self.text.len() {
            return StageError::input(key, format!("{key} contains no tokens"), "name a file that contains text");
        }
        let message = format!("{split} contains no tokens: corpus.split cuts corpus.text only at line ends");
        let hint = "use a text with more lines, or set corpus.split.valid = 0 and corpus.split.test = 0";
        StageError::input("corpus.split", message, hint)
    }

    /// The error for a corpus that contains only blank lines.
    pub(super) fn blank(&self) -> StageError {
        let key = self.text.key();
        StageError::input(key, format!("{key} contains only blank lines"), "name a file that contains text")
    }
}

/// The locations of train, valid and test, in this order.
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
    // This comparison also refuses NaN.
    if !(valid >= 0.0 && test >= 0.0 && valid + test < 1.0) {
        return Err(StageError::input(
            "corpus.split",
            format!("valid = {valid} and test = {test} leave nothing for train: their sum must be below 1"),
            "use corpus.split = { valid = 0.05, test = 0.05 }",
        ));
    }
    let text = open("text")?;
    let boundary = |share: f64| text.line_start((text.len() as f64 * share) as u64);
    let (first, second) = (boundary(1.0 - valid - test)?, boundary(1.0 - test)?);
    let start = text.start().min(first);
    let part = |range, wanted| Some(CorpusPart { text: text.clone(), range, wanted });
    Ok([part(start..first, true), part(first..second, valid > 0.0), part(second..text.len(), test > 0.0)])
}
