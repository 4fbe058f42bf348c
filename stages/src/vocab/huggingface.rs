//! Writes the vocabulary as a `tokenizer.json` for Hugging Face's `tokenizers`.
//!
//! Encoding a line without its line ending gives the same ids as this program. No token is declared special: a literal
//! `<unk>` or `<eos>` in a text is cut like any other text, as it is here.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::StageError;
use crate::files::{Types, UNKNOWN};
use crate::params::Unit;

/// The file's contents, with the fields in the order in which the library writes them.
#[derive(Debug, Serialize)]
struct Tokenizer<'a> {
    version: &'static str,
    truncation: Value,
    padding: Value,
    added_tokens: [Value; 0],
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
    model: WordLevel<'a>,
}

#[derive(Debug, Serialize)]
struct WordLevel<'a> {
    r#type: &'static str,
    #[serde(serialize_with = "by_id")]
    vocab: &'a [String],
    unk_token: &'static str,
}

/// A map from type to id, in the order of the ids.
fn by_id<S: Serializer>(types: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(types.iter().zip(0u32..))
}

/// Writes the file.
pub(super) fn save(vocab: &Types, path: &Path) -> Result<(), StageError> {
    let pre_tokenizer = match vocab.cut.unit {
        Unit::Whitespace => json!({ "type": "WhitespaceSplit" }),
        // Despite its name, this cuts by the regular expression \w+|[^\w\s]+, from the same crate as ours.
        Unit::Word => json!({ "type": "Whitespace" }),
        Unit::Char => {
            json!({ "type": "Split", "pattern": { "Regex": r"[\s\S]" }, "behavior": "Isolated", "invert": false })
        }
    };
    let tokenizer = Tokenizer {
        version: "1.0",
        truncation: Value::Null,
        padding: Value::Null,
        added_tokens: [],
        normalizer: if vocab.cut.lowercase { json!({ "type": "Lowercase" }) } else { Value::Null },
        pre_tokenizer,
        post_processor: Value::Null,
        decoder: Value::Null,
        model: WordLevel { r#type: "WordLevel", vocab: &vocab.types, unk_token: UNKNOWN },
    };
    let write = || -> std::io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        serde_json::to_writer(&mut out, &tokenizer)?;
        out.flush()
    };
    write().map_err(StageError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Cut;

    #[test]
    fn the_vocabulary_is_written_in_the_order_of_its_ids() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        let cut = Cut { unit: Unit::Word, lowercase: true, eos: String::new() };
        let types = Types { cut, types: vec!["z".into(), UNKNOWN.into(), "\"".into()], counts: vec![3, 2, 1] };
        save(&types, &path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(r#""vocab":{"z":0,"<unk>":1,"\"":2},"unk_token":"<unk>"}"#), "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["normalizer"], json!({ "type": "Lowercase" }));
        assert_eq!(value["pre_tokenizer"], json!({ "type": "Whitespace" }));
    }
}
