//! A point of a study: one full set of values, its corpus among them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use stages::schema::flatten;

/// One full set of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The swept keys and this point's values for them.
    pub swept: Vec<(String, Value)>,
    /// The experiment's seed.
    pub seed: i64,
    /// The corpus.
    pub corpus: Corpus,
    /// Each stage's table, complete; `evaluate` and `sample` are absent where the experiment leaves them out.
    pub stages: BTreeMap<&'static str, Value>,
}

/// Where the text comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Corpus {
    /// `text`, or `train` with perhaps `valid` and `test`.
    pub sources: Vec<Source>,
    /// How one text is cut in three.
    pub split: Option<Value>,
}

/// One corpus file.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// `text`, `train`, `valid` or `test`.
    pub name: String,
    /// Where it is.
    pub origin: Origin,
    /// The digest that its bytes must have, in lower-case hexadecimal.
    pub sha256: Option<String>,
}

/// Where a corpus file is.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// To be fetched.
    Url(String),
}

impl Point {
    /// Every parameter by its dotted name, tables opened: what the record keeps of a run.
    pub fn flat(&self) -> Vec<(String, Value)> {
        let mut all = vec![("seed".to_owned(), Value::from(self.seed))];
        for source in &self.corpus.sources {
            let origin = match &source.origin {
                Origin::File(path) => path.display().to_string(),
                Origin::Url(url) => url.clone(),
            };
            all.push((format!("corpus.{}", source.name), Value::from(origin)));
        }
        if let Some(split) = &self.corpus.split {
            flatten("corpus.split", split, &mut all);
        }
        for (stage, table) in &self.stages {
            let Value::Object(entries) = table else { continue };
            // The split is handed to the stage that cuts, and is the corpus's to everybody else.
            for (key, value) in entries.iter().filter(|(key, _)| self.corpus.split.is_none() || *key != "split") {
                flatten(&format!("{stage}.{key}"), value, &mut all);
            }
        }
        all
    }
}
