//! Keys by dotted name: which exist, which exclude one another, and how to set one.

use stages::params::{self, STAGES};
use stages::schema::{Key, KeyKind};

use super::check::{OF_STUDY, did_you_mean};
use super::corpus::CORPUS;
use super::problem::{Location, Problem};
use super::tree::TomlNode;

const NAME: KeyKind = KeyKind::Text;

/// The values that the experiment's seed can have.
pub const SEED: KeyKind = KeyKind::Int(0, i64::MAX);

/// The kind of the key at a dotted path; the keys of `study` are not included.
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

/// The keys that `key` excludes: setting it removes them.
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
    // If the key belongs to one of several alternative tables, it excludes the keys of the others: init.uniform
    // excludes init.normal.
    if let Some((table, last)) = key.rsplit_once('.')
        && let Some(KeyKind::Any(kinds)) = kind_at(table)
    {
        let tables = kinds.iter().filter_map(|kind| if let KeyKind::Table(keys) = kind { Some(*keys) } else { None });
        let others = tables.filter(|keys| keys.iter().all(|key| key.name != last));
        all.extend(others.flatten().map(|key| format!("{table}.{}", key.name)));
    }
    all
}

/// Sets a key and removes those that it excludes. If it changes the `kind` of a table, the keys of the old kind are
/// removed too.
pub fn put(tree: &mut TomlNode, key: &str, value: TomlNode) {
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

/// The error for an unknown key, with the nearest known one.
pub fn unknown(path: &str, location: Location) -> Problem {
    if path == "corpus" || params::stage_keys(path).is_some() {
        return Problem::new(
            location,
            format!("{path} is a table; set its keys one by one"),
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
    Problem::new(location, format!("unknown key {path}"), hint)
}
