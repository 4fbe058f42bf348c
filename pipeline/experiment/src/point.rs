//! A point of a study: one full set of values, including its corpus.

use std::ops::Index;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use stages::params::{Baselines, Batch, Evaluate, Sample, Tokenize, Train, Vocab};
use stages::schema::flatten;

/// One full set of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The swept keys and this point's values for them.
    pub swept: Vec<(String, Value)>,
    /// The experiment's seed.
    pub seed: i64,
    /// The corpus; points with equal corpora share it.
    pub corpus: Arc<Corpus>,
    /// The parameters of each stage.
    pub stages: Stages,
}

/// The parameter tables of all stages. Points of a study share the tables in which they are equal: most stages read
/// none of the swept keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Stages {
    /// How text becomes tokens.
    pub tokenize: Arc<StageTable<Tokenize>>,
    /// Which tokens are in the vocabulary.
    pub vocab: Arc<StageTable<Vocab>>,
    /// How tokens become batches.
    pub batch: Arc<StageTable<Batch>>,
    /// The n-gram baselines.
    pub baselines: Arc<StageTable<Baselines>>,
    /// How the model is trained.
    pub train: Arc<StageTable<Train>>,
    /// Which checkpoints are scored; absent if the experiment has no `[evaluate]`.
    pub evaluate: Option<Arc<StageTable<Evaluate>>>,
    /// How samples are drawn; absent if the experiment has no `[sample]`.
    pub sample: Option<Arc<StageTable<Sample>>>,
}

/// The table of one stage: checked, with defaults filled in, and parsed once.
#[derive(Debug, Clone, PartialEq)]
pub struct StageTable<T> {
    /// The table as it is hashed, recorded and sent to the worker.
    pub json: Value,
    /// The parsed table.
    pub read: T,
}

impl Stages {
    /// The tables that the point has, by stage name, in alphabetical order.
    pub fn tables(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        let Self { tokenize, vocab, batch, baselines, train, evaluate, sample } = self;
        let tables = [
            ("baselines", Some(&baselines.json)),
            ("batch", Some(&batch.json)),
            ("evaluate", evaluate.as_ref().map(|table| &table.json)),
            ("sample", sample.as_ref().map(|table| &table.json)),
            ("tokenize", Some(&tokenize.json)),
            ("train", Some(&train.json)),
            ("vocab", Some(&vocab.json)),
        ];
        tables.into_iter().filter_map(|(name, table)| Some((name, table?)))
    }

    /// The table of a stage, if the experiment has that stage.
    pub fn table(&self, stage: &str) -> Option<&Value> {
        self.tables().find(|(name, _)| *name == stage).map(|(_, table)| table)
    }
}

impl Index<&str> for Stages {
    type Output = Value;

    /// The table of a stage that every point has.
    fn index(&self, stage: &str) -> &Value {
        self.table(stage).unwrap_or(&Value::Null)
    }
}

/// Where the text comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Corpus {
    /// Either `text` alone, or `train` with `valid` and `test` if given.
    pub sources: Vec<CorpusFile>,
    /// How a single text is divided into train, valid and test.
    pub split: Option<Value>,
}

/// One corpus file.
#[derive(Debug, Clone, PartialEq)]
pub struct CorpusFile {
    /// `text`, `train`, `valid` or `test`.
    pub name: String,
    /// Where it is.
    pub origin: CorpusOrigin,
    /// The expected SHA-256, in lower-case hexadecimal.
    pub sha256: Option<String>,
    /// Its size in bytes, if it is a file.
    pub bytes: Option<u64>,
}

/// Where a corpus file is.
#[derive(Debug, Clone, PartialEq)]
pub enum CorpusOrigin {
    /// A file.
    File(PathBuf),
    /// An address to fetch it from.
    Url(String),
}

/// Distinguishes a point from the others of its study.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint(Vec<usize>);

impl Point {
    /// The memory addresses of the corpus and the tables. Since points share equal ones, two points of a study have the
    /// same fingerprint exactly if all their values are equal.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let Stages { tokenize, vocab, batch, baselines, train, evaluate, sample } = &self.stages;
        Fingerprint(vec![
            Arc::as_ptr(&self.corpus).addr(),
            Arc::as_ptr(tokenize).addr(),
            Arc::as_ptr(vocab).addr(),
            Arc::as_ptr(batch).addr(),
            Arc::as_ptr(baselines).addr(),
            Arc::as_ptr(train).addr(),
            evaluate.as_ref().map_or(0, |table| Arc::as_ptr(table).addr()),
            sample.as_ref().map_or(0, |table| Arc::as_ptr(table).addr()),
        ])
    }

    /// Every parameter by dotted name, with tables flattened, as the record stores them for a run.
    pub fn flat(&self) -> Vec<(String, Value)> {
        let mut all = vec![("seed".to_owned(), Value::from(self.seed))];
        for source in &self.corpus.sources {
            let origin = match &source.origin {
                CorpusOrigin::File(path) => path.display().to_string(),
                CorpusOrigin::Url(url) => url.clone(),
            };
            all.push((format!("corpus.{}", source.name), Value::from(origin)));
        }
        if let Some(split) = &self.corpus.split {
            flatten("corpus.split", split, &mut all);
        }
        for (stage, table) in self.stages.tables() {
            let Value::Object(entries) = table else { continue };
            // The split is passed to `tokenize`, but is recorded with the corpus.
            for (key, value) in entries.iter().filter(|(key, _)| self.corpus.split.is_none() || *key != "split") {
                flatten(&format!("{stage}.{key}"), value, &mut all);
            }
        }
        all
    }

    /// A key's value, if it has one that an override can set.
    pub(crate) fn written(&self, key: &str) -> Option<Value> {
        let inside = |table: &Value, path: &str| table.pointer(&format!("/{}", path.replace('.', "/"))).cloned();
        match key.split_once('.') {
            None if key == "seed" => Some(Value::from(self.seed)),
            Some(("corpus", "split")) => self.corpus.split.clone(),
            Some(("corpus", rest)) => {
                rest.strip_prefix("split.").and_then(|rest| inside(self.corpus.split.as_ref()?, rest))
            }
            Some((stage, rest)) => self.stages.table(stage).and_then(|table| inside(table, rest)),
            None => None,
        }
    }
}
