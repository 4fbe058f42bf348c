//! One point's values, read from its tree: the name, the seed, the corpus and the table of each stage.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use stages::params::{self, Baselines, Batch, Evaluate, STAGES, Sample, Tokenize, Train, Vocab};
use stages::schema::Default;

use super::check::{check, check_table, did_you_mean};
use super::corpus::{self, SearchPath};
use super::keys::{SEED, unknown};
use super::point::{Corpus, Point, StageTable, Stages};
use super::problem::{Location, Problem};
use super::tree::{Raw, TomlNode};

/// Whether a text is a valid name of an experiment.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
}

/// The experiment's name.
pub fn name(tree: &TomlNode) -> Result<String, Problem> {
    let hint = "name = \"lr_study\"";
    let Some(node) = tree.get("name") else {
        return Err(Problem::new(Location::Default, "the experiment has no name", hint));
    };
    match &node.raw {
        Raw::Text(name) if is_name(name) => Ok(name.clone()),
        raw => Err(Problem::new(
            node.location.clone(),
            format!("name is {raw}; allowed: letters, digits, _, - and ."),
            hint,
        )),
    }
}

/// The previous point of the study, if any, and the tree that it was read from.
pub type Before<'a> = Option<(&'a TomlNode, &'a Point)>;

/// The corpora and tables of a study's points, each stored once however many points share it.
#[derive(Default)]
pub struct Interned {
    corpora: Vec<Arc<Corpus>>,
    tokenize: Tables<Tokenize>,
    vocab: Tables<Vocab>,
    batch: Tables<Batch>,
    baselines: Tables<Baselines>,
    train: Tables<Train>,
    evaluate: Tables<Evaluate>,
    sample: Tables<Sample>,
}

/// The tables of a stage, by their JSON.
type Tables<T> = HashMap<String, Arc<StageTable<T>>>;

/// One point's values, each checked, with defaults filled in; constraints between keys are not checked here. Points
/// share equal tables, and tables written the same as in the point `before` are not checked again.
pub fn point(
    tree: &TomlNode,
    folders: &SearchPath,
    before: Before<'_>,
    interned: &mut Interned,
) -> Result<Point, Problem> {
    let Raw::Table(entries) = &tree.raw else {
        return Err(Problem::new(tree.location.clone(), "an experiment must be a table", ""));
    };
    let known = ["name", "seed", "corpus", "study"].into_iter().chain(STAGES.iter().map(|stage| stage.stage));
    for (key, node) in entries {
        if !known.clone().any(|name| name == key) {
            let mut problem = unknown(key, node.location.clone());
            let near = did_you_mean(key, known.clone());
            if !near.is_empty() {
                problem.hint = near;
            }
            return Err(problem);
        }
    }
    let seed = match tree.get("seed") {
        Some(node) => check(&SEED, node, "seed", 1)?.as_i64().unwrap_or(1),
        None => 1,
    };
    let plain = |_: &mut Value| Ok(());
    let split = |table: &mut Value| {
        if let Some(split) = corpus::split(tree, seed)? {
            table["split"] = split;
        }
        Ok(())
    };
    let fork = |table: &mut Value| check_fork(tree, &table["fork"]);
    let at = (tree, seed, before);
    let stages = Stages {
        tokenize: read(at, "tokenize", |it| Some(&it.tokenize), &mut interned.tokenize, split)?,
        vocab: read(at, "vocab", |it| Some(&it.vocab), &mut interned.vocab, plain)?,
        batch: read(at, "batch", |it| Some(&it.batch), &mut interned.batch, plain)?,
        baselines: read(at, "baselines", |it| Some(&it.baselines), &mut interned.baselines, plain)?,
        train: read(at, "train", |it| Some(&it.train), &mut interned.train, fork)?,
        // Evaluation and sampling run only if the experiment has their tables; a point needs every other stage.
        evaluate: match tree.get("evaluate") {
            Some(_) => Some(read(at, "evaluate", |it| it.evaluate.as_ref(), &mut interned.evaluate, plain)?),
            None => None,
        },
        sample: match tree.get("sample") {
            Some(_) => Some(read(at, "sample", |it| it.sample.as_ref(), &mut interned.sample, plain)?),
            None => None,
        },
    };
    let corpus = match before {
        // An equal table means an equal corpus, since no key of a corpus defaults to the seed.
        Some((other, point)) if tree.get("corpus") == other.get("corpus") => Arc::clone(&point.corpus),
        _ => {
            let found = corpus::corpus(tree, folders, seed)?;
            match interned.corpora.iter().find(|known| ***known == found) {
                Some(known) => Arc::clone(known),
                None => {
                    interned.corpora.push(Arc::new(found));
                    Arc::clone(&interned.corpora[interned.corpora.len() - 1])
                }
            }
        }
    };
    Ok(Point { swept: Vec::new(), seed, corpus, stages })
}

/// A stage's table, checked, completed by `complete` and parsed; or the equal one that is already in `tables`.
fn read<T: for<'de> Deserialize<'de>>(
    (tree, seed, before): (&TomlNode, i64, Before<'_>),
    stage: &str,
    of: impl Fn(&Stages) -> Option<&Arc<StageTable<T>>>,
    tables: &mut Tables<T>,
    complete: impl FnOnce(&mut Value) -> Result<(), Problem>,
) -> Result<Arc<StageTable<T>>, Problem> {
    let keys = params::stage_keys(stage).map_or(&[][..], |stage| stage.keys);
    let is_seeded = keys.iter().any(|key| matches!(key.default, Default::Seed));
    let same = |(other, point): &(&TomlNode, &Point)| {
        let is_equal = |key: &str| tree.get(key) == other.get(key);
        is_equal(stage) && is_equal("corpus") && (!is_seeded || seed == point.seed)
    };
    if let Some(before) = before.filter(same).and_then(|(_, point)| of(&point.stages)) {
        return Ok(Arc::clone(before));
    }
    let empty = TomlNode { raw: Raw::Table(Vec::new()), location: Location::Default };
    let mut table = Value::from(check_table(keys, tree.get(stage).unwrap_or(&empty), stage, seed)?);
    complete(&mut table)?;
    let text = table.to_string();
    if let Some(known) = tables.get(&text) {
        return Ok(Arc::clone(known));
    }
    let read = params::read(stage, &table).map_err(|error| Problem::new(Location::Default, error.to_string(), ""))?;
    let made = Arc::new(StageTable { json: table, read });
    tables.insert(text, Arc::clone(&made));
    Ok(made)
}

/// A fork must name the trajectory and the step that it starts from.
fn check_fork(tree: &TomlNode, fork: &Value) -> Result<(), Problem> {
    if fork.is_object() && (fork["trajectory"].as_str().is_none_or(|id| !is_digest(id)) || fork["step"].is_null()) {
        let location = tree.at("train.fork").map_or(Location::Default, |node| node.location.clone());
        let message = "train.fork requires a trajectory (64 hexadecimal digits) and a step";
        return Err(Problem::new(location, message, "to fork a run: pipeline fork run42 --at 300"));
    }
    Ok(())
}

/// Whether a text is a SHA-256 in lower-case hexadecimal.
fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
