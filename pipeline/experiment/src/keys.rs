//! The keys of an experiment outside the stages' own tables, and the rules that tie keys together.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use stages::params::{self, STAGES};
use stages::plan::BatchPlan;
use stages::schema::{Default, Key, KeyKind};

use super::check::{OF_STUDY, check, check_table, did_you_mean};
use super::corpus::{self, CORPUS, Folders};
use super::point::{Origin, Point, Source, Stages, Table};
use super::problem::{Place, Problem};
use super::tree::{Node, Raw};

const NAME: KeyKind = KeyKind::Text;
const SEED: KeyKind = KeyKind::Int(0, i64::MAX);

/// A hint that names experiments beside a path that has none.
pub fn nearby_experiments(path: &Path) -> String {
    let folder = path.parent().unwrap_or(Path::new("."));
    let names = listed(folder);
    let typed = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let number = typed.strip_prefix("run").unwrap_or("");
    if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("pipeline reproduce {typed} computes that run again");
    }
    let near = did_you_mean(typed, names.iter().map(String::as_str));
    if near.is_empty() { experiments_in(folder) } else { near }
}

/// A hint that names the experiments in a folder.
pub fn experiments_in(folder: &Path) -> String {
    let names = listed(folder);
    if names.is_empty() { String::new() } else { format!("in that folder: {}", names.join(", ")) }
}

fn listed(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .filter(|name| name != "Cargo.toml")
        .collect();
    names.sort();
    names
}

/// The kind of the key at a dotted path, `study` aside.
pub fn kind_at(path: &str) -> Option<&'static KeyKind> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    match (first, rest) {
        ("name", None) => Some(&NAME),
        ("seed", None) => Some(&SEED),
        ("corpus", Some(rest)) => kind_in(CORPUS, rest),
        (stage, Some(rest)) => kind_in(params::stage_keys(stage)?.keys, rest),
        _ => None,
    }
}

fn kind_in(keys: &'static [Key], path: &str) -> Option<&'static KeyKind> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let kind = &keys.iter().find(|key| key.name == first)?.kind;
    rest.map_or(Some(kind), |rest| kind_inside(kind, rest))
}

fn kind_inside(kind: &'static KeyKind, path: &str) -> Option<&'static KeyKind> {
    match kind {
        KeyKind::Table(keys) => kind_in(keys, path),
        KeyKind::Tagged(tags) if path == "kind" => tags.first().map(|_| &NAME),
        KeyKind::Tagged(tags) => tags.iter().find_map(|(_, keys)| kind_in(keys, path)),
        KeyKind::Any(kinds) => kinds.iter().find_map(|kind| kind_inside(kind, path)),
        _ => None,
    }
}

/// Keys that exclude `key`: setting one takes the others away.
pub fn rivals(key: &str) -> Vec<String> {
    let fixed: &[&str] = match key {
        "train.steps" => &["train.epochs"],
        "train.epochs" => &["train.steps"],
        "corpus.text" => &["corpus.url", "corpus.sha256", "corpus.train", "corpus.valid", "corpus.test"],
        "corpus.url" => &["corpus.text", "corpus.sha256", "corpus.train", "corpus.valid", "corpus.test"],
        "corpus.train" => &["corpus.text", "corpus.url", "corpus.sha256", "corpus.split"],
        _ => &[],
    };
    let mut all: Vec<String> = fixed.iter().map(|key| (*key).to_owned()).collect();
    // Of tables that are told apart by their keys, the keys of the others: init.normal of init.uniform.
    if let Some((table, last)) = key.rsplit_once('.')
        && let Some(KeyKind::Any(kinds)) = kind_at(table)
    {
        let tables = kinds.iter().filter_map(|kind| if let KeyKind::Table(keys) = kind { Some(*keys) } else { None });
        let others = tables.filter(|keys| keys.iter().all(|key| key.name != last));
        all.extend(others.flatten().map(|key| format!("{table}.{}", key.name)));
    }
    all
}

/// Sets a key, and takes those away that it excludes. Another `kind` has other keys: its table is made anew.
pub fn put(tree: &mut Node, key: &str, value: Node) {
    for rival in rivals(key) {
        tree.remove(&rival);
    }
    let tagged = key.strip_suffix(".kind").filter(|table| matches!(kind_at(table), Some(KeyKind::Tagged(_))));
    if let Some(table) = tagged
        && tree.at(key).is_some_and(|before| before.raw != value.raw)
    {
        tree.remove(table);
    }
    tree.put(key, value);
}

/// The complaint about a path that is no key, with the nearest that is.
pub fn unknown(path: &str, place: Place) -> Problem {
    if path == "corpus" || params::stage_keys(path).is_some() {
        return Problem::new(
            place,
            format!("{path} is a table; its keys are set one by one"),
            format!("--set {path}.KEY=VALUE"),
        );
    }
    let mut all = vec!["name".to_owned(), "seed".to_owned()];
    all.extend(CORPUS.iter().map(|key| format!("corpus.{}", key.name)));
    for stage in STAGES {
        all.extend(stage.keys.iter().map(|key| format!("{}.{}", stage.stage, key.name)));
    }
    let mut hint = did_you_mean(path, all.iter().map(String::as_str));
    if OF_STUDY.contains(&path) {
        hint = format!("{path} belongs in [study]");
    } else if hint.is_empty() {
        // A key without its table, as in --set learning_rate=1.
        let last = path.rsplit('.').next().unwrap_or(path);
        if let Some(full) = all.iter().find(|name| name.rsplit('.').next() == Some(last)) {
            hint = format!("did you mean {full}?");
        }
    }
    Problem::new(place, format!("unknown key {path}"), hint)
}

/// Whether an experiment may be named so.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
}

/// The experiment's name.
pub fn name(tree: &Node) -> Result<String, Problem> {
    let hint = "name = \"lr_study\"";
    let Some(node) = tree.get("name") else {
        return Err(Problem::new(Place::Default, "the experiment has no name", hint));
    };
    match &node.raw {
        Raw::Text(name) if is_name(name) => Ok(name.clone()),
        raw => {
            Err(Problem::new(node.place.clone(), format!("name is {raw}; allowed: letters, digits, _, - and ."), hint))
        }
    }
}

/// A point, and the tree that it was read from.
pub type Before<'a> = Option<(&'a Node, &'a Point)>;

/// One point's values, each checked, and complete; [`tie`] checks them together. What is equal in the point `before` is
/// shared with it.
pub fn point(tree: &Node, folders: &Folders, before: Before<'_>) -> Result<Point, Problem> {
    let Raw::Table(entries) = &tree.raw else {
        return Err(Problem::new(tree.place.clone(), "an experiment is a table", ""));
    };
    let known = ["name", "seed", "corpus", "study"].into_iter().chain(STAGES.iter().map(|stage| stage.stage));
    for (key, node) in entries {
        if !known.clone().any(|name| name == key) {
            let mut problem = unknown(key, node.place.clone());
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
    let stages = Stages {
        tokenize: read((tree, seed, before), "tokenize", |it| Some(&it.tokenize), split)?,
        vocab: read((tree, seed, before), "vocab", |it| Some(&it.vocab), plain)?,
        batch: read((tree, seed, before), "batch", |it| Some(&it.batch), plain)?,
        baselines: read((tree, seed, before), "baselines", |it| Some(&it.baselines), plain)?,
        train: read((tree, seed, before), "train", |it| Some(&it.train), fork)?,
        // What is measured is asked for; what everything stands on is not.
        evaluate: match tree.get("evaluate") {
            Some(_) => Some(read((tree, seed, before), "evaluate", |it| it.evaluate.as_ref(), plain)?),
            None => None,
        },
        sample: match tree.get("sample") {
            Some(_) => Some(read((tree, seed, before), "sample", |it| it.sample.as_ref(), plain)?),
            None => None,
        },
    };
    let corpus = corpus::corpus(tree, folders, seed)?;
    Ok(Point { swept: Vec::new(), seed, corpus, stages })
}

/// A stage's table, checked, made complete and read; the one `before`, where nothing that it is made from differs.
fn read<T: for<'de> Deserialize<'de> + Clone>(
    (tree, seed, before): (&Node, i64, Before<'_>),
    stage: &str,
    of: impl Fn(&Stages) -> Option<&Arc<Table<T>>>,
    complete: impl FnOnce(&mut Value) -> Result<(), Problem>,
) -> Result<Arc<Table<T>>, Problem> {
    let keys = params::stage_keys(stage).map_or(&[][..], |stage| stage.keys);
    let is_seeded = keys.iter().any(|key| matches!(key.default, Default::Seed));
    let same = |(other, point): &(&Node, &Point)| {
        let is_equal = |key: &str| tree.get(key) == other.get(key);
        is_equal(stage) && is_equal("corpus") && (!is_seeded || seed == point.seed)
    };
    let before = before.and_then(|before| Some((same(&before), of(&before.1.stages)?)));
    if let Some((true, before)) = before {
        return Ok(Arc::clone(before));
    }
    let empty = Node { raw: Raw::Table(Vec::new()), place: Place::Default };
    let mut table = Value::from(check_table(keys, tree.get(stage).unwrap_or(&empty), stage, seed)?);
    complete(&mut table)?;
    Table::of(stage, table, before.map(|(_, before)| before))
        .map_err(|error| Problem::new(Place::Default, error.to_string(), ""))
}

/// A fork names what it is forked from.
fn check_fork(tree: &Node, fork: &Value) -> Result<(), Problem> {
    if fork.is_object() && (fork["trajectory"].as_str().is_none_or(|id| !is_digest(id)) || fork["step"].is_null()) {
        let place = tree.at("train.fork").map_or(Place::Default, |node| node.place.clone());
        let message = "train.fork wants a trajectory of 64 hexadecimal digits, and a step";
        return Err(Problem::new(place, message, "pipeline fork run42 --at 300 writes it"));
    }
    Ok(())
}

/// The canonical value of a swept key in a point.
pub fn value_of(point: &Point, key: &str, node: &Node) -> Value {
    written(point, key).unwrap_or_else(|| node.raw.to_json())
}

/// A key's value in a point, where it has one that can be written down again.
pub fn written(point: &Point, key: &str) -> Option<Value> {
    let inside = |table: &Value, path: &str| table.pointer(&format!("/{}", path.replace('.', "/"))).cloned();
    match key.split_once('.') {
        None if key == "seed" => Some(Value::from(point.seed)),
        Some(("corpus", "split")) => point.corpus.split.clone(),
        Some(("corpus", rest)) => {
            rest.strip_prefix("split.").and_then(|rest| inside(point.corpus.split.as_ref()?, rest))
        }
        Some((stage, rest)) => point.stages.table(stage).and_then(|table| inside(table, rest)),
        None => None,
    }
}

/// Whether a text is a SHA-256 in lower-case hexadecimal.
fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Rules that tie keys together.
pub fn tie(tree: &Node, point: &Point) -> Result<(), Problem> {
    let place = |key: &str| tree.at(key).map_or(Place::Default, |node| node.place.clone());
    let Stages { tokenize, vocab, batch, train, sample, .. } = &point.stages;
    let (vocab, batch, train, eos) = (&vocab.read, &batch.read, &train.read, tokenize.read.eos.as_str());
    let specials = if eos.is_empty() { 1 } else { 2 };
    if eos == stages::files::UNKNOWN {
        let message = format!("tokenize.eos is \"{eos}\", the type for unknown tokens; allowed: any other text");
        return Err(Problem::new(place("tokenize.eos"), message, "eos = \"<eos>\""));
    }
    if vocab.size < specials {
        let names = if specials == 1 { "<unk>".to_owned() } else { format!("<unk> and {eos}") };
        let message = format!("vocab.size is {}; allowed: at least {specials}, for the specials {names}", vocab.size);
        return Err(Problem::new(place("vocab.size"), message, "vocab.size = 10000"));
    }
    if train.steps.is_some() && train.epochs.is_some() {
        let message = "train.steps and train.epochs stand both; allowed: one of them";
        return Err(Problem::new(place("train.epochs"), message, ""));
    }
    // With epochs, the length is known only once the corpus is cut.
    if let Some(fork) = train.fork.as_ref().filter(|_| train.epochs.is_none())
        && let Some((message, hint)) = params::nothing_to_train(fork, train.length(0))
    {
        let key = if tree.at("train.steps").is_some() { "train.steps" } else { "train.fork" };
        return Err(Problem::new(place(key), message, hint));
    }
    if train.tied && train.embedding != train.hidden {
        let message = format!("train.tied wants embedding = hidden; they are {} and {}", train.embedding, train.hidden);
        return Err(Problem::new(place("train.tied"), message, format!("train.embedding = {}", train.hidden)));
    }
    if train.reads_valid() {
        let held_out = match &point.corpus.split {
            Some(split) => split["valid"].as_f64().is_some_and(|share| share > 0.0),
            None => point.corpus.sources.iter().any(|source| source.name == "valid"),
        };
        if !held_out {
            let key = match (&train.early_stopping, train.schedule_reads_valid()) {
                (_, true) => "train.schedule",
                (Some(_), _) => "train.early_stopping",
                (None, _) => "train.checkpoints",
            };
            let message = format!("{key} looks at the valid loss, and the corpus has no valid part");
            return Err(Problem::new(place(key), message, "corpus.split = { valid = 0.05, test = 0.05 }"));
        }
    }
    if let Some((message, hint)) = train.steps.and_then(|steps| params::too_many_checkpoints(&train.checkpoints, steps))
    {
        return Err(Problem::new(place("train.checkpoints"), message, hint));
    }
    if sample.as_ref().is_some_and(|sample| sample.read.decode.is_empty()) {
        return Err(Problem::new(
            place("sample.decode"),
            "sample.decode is empty; allowed: at least one way to draw",
            "decode = [\"greedy\"]",
        ));
    }
    // A token takes at least a byte, or is a line's end, so that a batch beyond the bytes can be refused at once; a
    // closer look is taken when the tokens have been counted.
    let trained = point.corpus.sources.iter().find(|source| matches!(source.name.as_str(), "text" | "train"));
    if let Some(Source { origin: Origin::File(path), .. }) = trained {
        let bytes = path.metadata().map(|file| file.len()).unwrap_or(u64::MAX);
        let needed = BatchPlan::fewest_tokens(batch.layout, batch.size, batch.unroll);
        if needed > bytes.saturating_add(1) {
            let message = format!(
                "batch.size {} × unroll {} needs {needed} tokens; {} has {bytes} bytes",
                batch.size,
                batch.unroll,
                path.display()
            );
            return Err(Problem::new(place("batch.size"), message, "a smaller batch.size or batch.unroll"));
        }
    }
    Ok(())
}
