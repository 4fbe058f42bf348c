//! A point of a study: one full set of values, its corpus among them.

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
    /// The corpus, which points share as they share tables.
    pub corpus: Arc<Corpus>,
    /// What each stage is handed.
    pub stages: Stages,
}

/// The tables of all stages. The points of a study share those that are equal: most stages read nothing of what it sweeps.
#[derive(Debug, Clone, PartialEq)]
pub struct Stages {
    /// How text becomes tokens.
    pub tokenize: Arc<StageTable<Tokenize>>,
    /// Which tokens are types.
    pub vocab: Arc<StageTable<Vocab>>,
    /// How tokens become batches.
    pub batch: Arc<StageTable<Batch>>,
    /// The models that count.
    pub baselines: Arc<StageTable<Baselines>>,
    /// The training.
    pub train: Arc<StageTable<Train>>,
    /// Which checkpoints are scored; absent where the experiment leaves it out.
    pub evaluate: Option<Arc<StageTable<Evaluate>>>,
    /// How texts are drawn; absent where the experiment leaves it out.
    pub sample: Option<Arc<StageTable<Sample>>>,
}

/// The table of one stage: checked, complete, and read once.
#[derive(Debug, Clone, PartialEq)]
pub struct StageTable<T> {
    /// As it is hashed, recorded and sent.
    pub json: Value,
    /// The same as the stage reads it.
    pub read: T,
}

impl Stages {
    /// The tables that are there, by their stages' names, in alphabetical order.
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

    /// The table of a stage, where the experiment has that stage.
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
    /// `text`, or `train` with perhaps `valid` and `test`.
    pub sources: Vec<CorpusFile>,
    /// How one text is cut in three.
    pub split: Option<Value>,
}

/// One corpus file.
#[derive(Debug, Clone, PartialEq)]
pub struct CorpusFile {
    /// `text`, `train`, `valid` or `test`.
    pub name: String,
    /// Where it is.
    pub origin: CorpusOrigin,
    /// The digest that its bytes must have, in lower-case hexadecimal.
    pub sha256: Option<String>,
    /// How many bytes it has, where it is a file.
    pub bytes: Option<u64>,
}

/// Where a corpus file is.
#[derive(Debug, Clone, PartialEq)]
pub enum CorpusOrigin {
    /// A file.
    File(PathBuf),
    /// To be fetched.
    Url(String),
}

/// What tells a point from the others of its study.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint(Vec<usize>);

impl Point {
    /// What tells it from those other points of its study that have other values, whatever is swept: where its corpus and
    /// tables are, since equal ones are shared.
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

    /// Every parameter by its dotted name, tables opened: what the record keeps of a run.
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
            // The split is handed to the stage that cuts, and is the corpus's to everybody else.
            for (key, value) in entries.iter().filter(|(key, _)| self.corpus.split.is_none() || *key != "split") {
                flatten(&format!("{stage}.{key}"), value, &mut all);
            }
        }
        all
    }

    /// A key's value, where it has one that can be written down again.
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
