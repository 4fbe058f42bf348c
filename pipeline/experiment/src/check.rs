//! Checks what the user wrote against the table of keys and puts it in canonical form: JSON in each key's own type,
//! with every default filled in.

use serde_json::{Map, Value};
use stages::schema::{Default, Interval, Key, KeyKind};

use super::problem::{Location, Problem};
use super::slips;
use super::tree::{Raw, TomlNode};

/// Keys of `[study]` that are not axes.
pub const OF_STUDY: [&str; 2] = ["points", "exclude"];

/// The canonical value of `node`, the value of the dotted key `path`.
pub fn check(kind: &KeyKind, node: &TomlNode, path: &str, seed: i64) -> Result<Value, Problem> {
    let wrong = || {
        let hint = listed(kind, node, path).or_else(|| swept(node, path)).or_else(|| meant(kind, &node.raw));
        let hint = hint.unwrap_or_default();
        Problem { hint, ..problem(node, format!("{path} is {}; allowed: {}", node.raw, allowed(kind))) }
    };
    match (kind, &node.raw) {
        (KeyKind::Bool, Raw::Bool(value)) => Ok(Value::from(*value)),
        (KeyKind::Int(min, max), Raw::Int(value)) if min <= value && value <= max => Ok(Value::from(*value)),
        // A float key turns 1 into 1.0 and −0 into 0, so that equal values give equal stage keys.
        (KeyKind::Float(range), Raw::Int(value)) if range.contains(*value as f64) => Ok(Value::from(*value as f64)),
        (KeyKind::Float(range), Raw::Float(value)) if range.contains(*value) => Ok(Value::from(*value + 0.0)),
        (KeyKind::Text | KeyKind::Path, Raw::Text(value)) => Ok(Value::from(value.as_str())),
        (KeyKind::Choice(words), Raw::Text(value)) => match words.contains(&value.as_str()) {
            true => Ok(Value::from(value.as_str())),
            false => {
                let hint = listed(kind, node, path).unwrap_or_else(|| did_you_mean(value, words.iter().copied()));
                Err(Problem { hint, ..wrong() })
            }
        },
        (KeyKind::List(item), Raw::List(items)) => items
            .iter()
            .enumerate()
            .map(|(i, node)| check(item, node, &format!("{path}[{i}]"), seed))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::from),
        (KeyKind::Table(keys), Raw::Table(_)) => check_table(keys, node, path, seed).map(Value::from),
        (KeyKind::Tagged(tags), Raw::Table(_)) => check_tagged(tags, node, path, seed),
        (KeyKind::Any(kinds), _) => match kinds.iter().find(|kind| has_shape(kind, node)) {
            Some(kind) => check(kind, node, path, seed),
            None => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

/// Checks a table's entries and fills in defaults.
pub fn check_table(keys: &[Key], node: &TomlNode, path: &str, seed: i64) -> Result<Map<String, Value>, Problem> {
    let Raw::Table(entries) = &node.raw else {
        return Err(problem(node, format!("{path} is {}; allowed: a table", node.raw)));
    };
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, entry) in entries {
        if !keys.iter().any(|key| key.name == name) {
            let names = keys.iter().map(|key| key.name);
            let mut hint = did_you_mean(name, names.clone());
            if OF_STUDY.contains(&name.as_str()) {
                hint = format!("{name} belongs in [study]");
            } else if hint.is_empty() {
                hint = format!("allowed here: {}", names.collect::<Vec<_>>().join(", "));
            }
            return Err(Problem { hint, ..problem(entry, format!("unknown key {}", join(name))) });
        }
    }
    let mut checked = Map::new();
    for key in keys {
        let value = match node.get(key.name) {
            Some(entry) => Some(check(&key.kind, entry, &join(key.name), seed).map_err(|problem| {
                let hint = if problem.hint.is_empty() { without(key, entry, &join(key.name)) } else { problem.hint };
                Problem { hint, ..problem }
            })?),
            None => key.default_value(seed),
        };
        if let Some(value) = value {
            checked.insert(key.name.to_owned(), value);
        }
    }
    Ok(checked)
}

/// A hint with the list that was probably meant by a `--set` without brackets, such as `--set seed=1,2`.
fn listed(kind: &KeyKind, node: &TomlNode, path: &str) -> Option<String> {
    let (Location::Set(_), Raw::Text(word)) = (&node.location, &node.raw) else { return None };
    let number = |word: &str| slips::number(word.trim()).and_then(|number| number.parse::<f64>().ok());
    let fits = |part: &str| match kind {
        KeyKind::Int(..) => number(part).is_some_and(|number| number.fract() == 0.0),
        KeyKind::Float(range) => number(part).is_some_and(|number| range.contains(number)),
        KeyKind::Choice(words) => words.contains(&part.trim()),
        KeyKind::Bool => slips::truth(part.trim()).is_some(),
        _ => false,
    };
    let parts: Vec<&str> = word.split(',').collect();
    // 0,1 and 10,000 are single numbers in some locales, so they are not taken for lists.
    let is_list = parts.len() > 1 && !fits(word) && parts.iter().all(|part| fits(part));
    is_list.then(|| format!("--set '{path}=[{}]'", parts.join(",")))
}

/// A hint for a list given to a key that takes one value: `learning_rate = [1, 0.1]` in `[train]` was probably meant as
/// a sweep, which belongs in `[study]`.
fn swept(node: &TomlNode, path: &str) -> Option<String> {
    let is_key = path.contains('.') && !path.contains('[');
    let is_sweep = is_key && matches!(node.location, Location::Line(_)) && matches!(&node.raw, Raw::List(_));
    is_sweep.then(|| format!("to sweep it, write \"{path}\" = {} in [study]", node.raw))
}

/// What was probably meant by a value of the wrong type, as a hint.
fn meant(kind: &KeyKind, raw: &Raw) -> Option<String> {
    match (kind, raw) {
        (KeyKind::Bool, Raw::Text(word)) => slips::truth(word).map(|word| format!("did you mean {word}?")),
        (KeyKind::Bool, Raw::Int(0)) => Some("did you mean false?".to_owned()),
        (KeyKind::Bool, Raw::Int(1)) => Some("did you mean true?".to_owned()),
        (KeyKind::Int(..) | KeyKind::Float(_), Raw::Text(word)) => {
            let number = slips::number(word)?;
            if matches!(kind, KeyKind::Int(..)) && number.parse::<i64>().is_err() {
                return None;
            }
            Some(if number == *word {
                format!("remove the quotes: {number}")
            } else {
                format!("did you mean {number}?")
            })
        }
        (KeyKind::Int(min, max), Raw::Float(value)) if value.fract() == 0.0 && value.abs() < 1e15 => {
            let whole = *value as i64;
            (min <= &whole && &whole <= max).then(|| format!("did you mean {whole}?"))
        }
        (KeyKind::Tagged(tags), Raw::Text(word)) => {
            let tag = nearest(word, tags.iter().map(|(tag, _)| *tag))?;
            Some(format!("{{ kind = \"{tag}\" }}"))
        }
        (KeyKind::List(item), Raw::Text(word)) => has_word(item, word).then(|| format!("[{}]", slips::text(word))),
        (KeyKind::Any(kinds), raw) => kinds.iter().find_map(|kind| meant(kind, raw)),
        _ => None,
    }
}

/// Whether a value of this kind can be the string `word`.
fn has_word(kind: &KeyKind, word: &str) -> bool {
    match kind {
        KeyKind::Choice(words) => words.contains(&word),
        KeyKind::Any(kinds) => kinds.iter().any(|kind| has_word(kind, word)),
        _ => false,
    }
}

/// A hint how to turn a key off, if the value given for it means "none"; empty otherwise.
fn without(key: &Key, node: &TomlNode, path: &str) -> String {
    let none = match &node.raw {
        Raw::Text(word) => slips::is_nothing(word) || slips::truth(word) == Some("false"),
        raw => *raw == Raw::Bool(false),
    };
    match key.default {
        _ if !none => String::new(),
        _ if key.doc.ends_with("; 0 is off") => format!("{path} = 0 turns it off"),
        Default::Absent => format!("omit {path}: it is unset by default"),
        Default::Is(value) => format!("omit {path}: its default is {value}"),
        Default::Seed => format!("omit {path}: its default is the experiment's seed"),
    }
}

fn check_tagged(tags: &[(&str, &'static [Key])], node: &TomlNode, path: &str, seed: i64) -> Result<Value, Problem> {
    let words = || tags.iter().map(|(tag, _)| *tag);
    let list = || words().map(|tag| format!("\"{tag}\"")).collect::<Vec<_>>().join(", ");
    let Some(TomlNode { raw: Raw::Text(kind), .. }) = node.get("kind") else {
        return Err(problem(node, format!("{path} has no kind; allowed: {}", list())));
    };
    let Some((_, keys)) = tags.iter().find(|(tag, _)| tag == kind) else {
        let hint = did_you_mean(kind, words());
        return Err(Problem { hint, ..problem(node, format!("{path}.kind is \"{kind}\"; allowed: {}", list())) });
    };
    let mut rest = node.clone();
    rest.remove("kind");
    if let Raw::Table(entries) = &rest.raw
        && let Some((name, entry)) = entries.iter().find(|(name, _)| keys.iter().all(|key| key.name != name))
    {
        let names = std::iter::once("kind").chain(keys.iter().map(|key| key.name)).collect::<Vec<_>>().join(", ");
        let message = format!("{path}.{name} does not apply to kind = \"{kind}\"; allowed: {names}");
        return Err(Problem { hint: did_you_mean(name, keys.iter().map(|key| key.name)), ..problem(entry, message) });
    }
    let mut checked = check_table(keys, &rest, path, seed)?;
    checked.insert("kind".to_owned(), Value::from(kind.as_str()));
    Ok(Value::from(checked))
}

/// Whether a value has the TOML type of a kind. Among alternative kinds, this finds the one that the user meant, so
/// that the error is about that one.
fn has_shape(kind: &KeyKind, node: &TomlNode) -> bool {
    match (kind, &node.raw) {
        (KeyKind::Choice(_) | KeyKind::Text | KeyKind::Path, Raw::Text(_))
        | (KeyKind::Bool, Raw::Bool(_))
        | (KeyKind::Int(..), Raw::Int(_))
        | (KeyKind::Float(_), Raw::Float(_) | Raw::Int(_))
        | (KeyKind::List(_), Raw::List(_))
        | (KeyKind::Tagged(_), Raw::Table(_)) => true,
        // Alternative tables are told apart by their first key, unless that key has a default.
        (KeyKind::Table(keys), Raw::Table(_)) => {
            !matches!(keys[0].default, Default::Absent) || node.get(keys[0].name).is_some()
        }
        _ => false,
    }
}

/// Whether a key accepts a list, so that a list is its value and not a sweep.
pub fn takes_list(kind: &KeyKind) -> bool {
    match kind {
        KeyKind::List(_) => true,
        KeyKind::Any(kinds) => kinds.iter().any(takes_list),
        _ => false,
    }
}

/// A description of the values that a kind allows, for messages and docs.
pub fn allowed(kind: &KeyKind) -> String {
    match kind {
        KeyKind::Bool => "true or false".to_owned(),
        KeyKind::Int(min, i64::MAX) => format!("a whole number, at least {min}"),
        KeyKind::Int(min, max) => format!("a whole number from {min} to {max}"),
        KeyKind::Float(range) => match bounds(range) {
            bounds if bounds.is_empty() => "a finite number".to_owned(),
            bounds => format!("a number{bounds}"),
        },
        KeyKind::Text => "a string in quotes".to_owned(),
        KeyKind::Path => "a path in quotes".to_owned(),
        KeyKind::Choice(words) => words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "),
        KeyKind::List(item) => format!("a list of items, each {}", allowed(item)),
        KeyKind::Table(keys) => {
            let names = keys.iter().map(|key| format!("{} = {}", key.name, allowed(&key.kind))).collect::<Vec<_>>();
            format!("{{ {} }}", names.join(", "))
        }
        KeyKind::Tagged(tags) => {
            let tags = tags.iter().map(|(tag, _)| format!("\"{tag}\"")).collect::<Vec<_>>().join(", ");
            format!("a table whose kind is one of {tags}")
        }
        KeyKind::Any(kinds) => kinds.iter().map(allowed).collect::<Vec<_>>().join(", or "),
    }
}

fn bounds(range: &Interval) -> String {
    let short = |x: f64| if x.abs() < 1e7 { x.to_string() } else { format!("{x:e}") };
    let from = match (range.min.is_finite(), range.min_in) {
        (false, _) => String::new(),
        (true, true) => format!(", at least {}", short(range.min)),
        (true, false) => format!(" above {}", short(range.min)),
    };
    let to = match (range.max.is_finite(), range.max_in) {
        (false, _) => String::new(),
        (true, true) => format!(", at most {}", short(range.max)),
        (true, false) => format!(", below {}", short(range.max)),
    };
    format!("{from}{to}")
}

fn problem(node: &TomlNode, message: String) -> Problem {
    Problem { location: node.location.clone(), message, hint: String::new() }
}

/// `did you mean X?` for the nearest of some names, or nothing if none is near.
pub fn did_you_mean<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> String {
    nearest(typed, names).map_or(String::new(), |name| format!("did you mean {name}?"))
}

/// Other programs' names for some keys and values, each with the name used here.
const ELSEWHERE: [(&str, &str); 8] = [
    ("gpu", "cuda"),
    ("fp32", "f32"),
    ("float32", "f32"),
    ("fp64", "f64"),
    ("float64", "f64"),
    ("bfloat16", "bf16"),
    ("num_layers", "layers"),
    ("weight_tying", "tied"),
];

/// The nearest of some names, if one is near.
pub fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    names
        .filter_map(|name| Some((distance(&typed, &name.to_lowercase())?, name)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The edit distance from a word to a name, or `None` if they differ too much; 0 for the name itself, its initials
/// (`lr`) and the names in [`ELSEWHERE`].
fn distance(typed: &str, name: &str) -> Option<usize> {
    // Keys of the same table are compared without the table's name.
    let (typed, name) = match (typed.rsplit_once('.'), name.rsplit_once('.')) {
        (Some((table, typed)), Some((same, name))) if table == same => (typed, name),
        _ => (typed, name),
    };
    let is_initials = name.contains('_') && name.split('_').filter_map(|word| word.chars().next()).eq(typed.chars());
    if is_initials || ELSEWHERE.contains(&(typed, name)) {
        return Some(0);
    }
    let distance = strsim::damerau_levenshtein(typed, name);
    (distance <= (name.chars().count() / 3).max(1)).then_some(distance)
}
