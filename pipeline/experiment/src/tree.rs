//! An experiment's text as a tree in which every value knows where it was written.

use std::fmt;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::problem::{Location, Problem};
use super::{slips, syntax};

/// A value as the user wrote it, in an experiment's text or a `--set`.
#[derive(Debug, Clone, PartialEq)]
pub struct TomlNode {
    /// The value.
    pub raw: Raw,
    /// Where it was written.
    pub location: Location,
}

/// TOML's types, except dates.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<TomlNode>),
    Table(Vec<(String, TomlNode)>),
}

impl Raw {
    /// As JSON.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Bool(value) => Value::from(*value),
            Self::Int(value) => Value::from(*value),
            Self::Float(value) => Value::from(*value),
            Self::Text(value) => Value::from(value.as_str()),
            Self::List(items) => items.iter().map(|item| item.raw.to_json()).collect(),
            Self::Table(entries) => entries.iter().map(|(key, node)| (key.clone(), node.raw.to_json())).collect(),
        }
    }
}

impl fmt::Display for Raw {
    /// As it would be written in TOML, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(|item| item.raw.to_string()).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Table(entries) => {
                let entries: Vec<String> = entries.iter().map(|(key, node)| format!("{key} = {}", node.raw)).collect();
                write!(f, "{{ {} }}", entries.join(", "))
            }
        }
    }
}

impl TomlNode {
    /// The entry `key` of a table.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.raw {
            Raw::Table(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The value at a dotted path.
    pub fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |node, key| node.get(key))
    }

    /// Sets the value at a dotted path, creating the tables that contain it if necessary.
    pub fn put(&mut self, path: &str, value: Self) {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        if !matches!(self.raw, Raw::Table(_)) {
            self.raw = Raw::Table(Vec::new());
            self.location = value.location.clone();
        }
        let Raw::Table(entries) = &mut self.raw else { return };
        match (entries.iter().position(|(key, _)| key == first), rest) {
            (Some(i), None) => entries[i].1 = value,
            (Some(i), Some(rest)) => entries[i].1.put(rest, value),
            (None, None) => entries.push((first.to_owned(), value)),
            (None, Some(rest)) => {
                let mut table = Self { raw: Raw::Table(Vec::new()), location: value.location.clone() };
                table.put(rest, value);
                entries.push((first.to_owned(), table));
            }
        }
    }

    /// Removes the value at a dotted path.
    pub fn remove(&mut self, path: &str) -> Option<Self> {
        let Raw::Table(entries) = &mut self.raw else { return None };
        match path.split_once('.') {
            None => entries.iter().position(|(key, _)| key == path).map(|i| entries.remove(i).1),
            Some((first, rest)) => entries.iter_mut().find(|(key, _)| key == first)?.1.remove(rest),
        }
    }
}

/// A value as it would be written in TOML, on one line.
pub fn toml(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        // JSON strings, numbers and booleans are valid TOML.
        value => value.to_string(),
    }
}

/// Parses an experiment's text.
pub fn parse(text: &str) -> Result<TomlNode, Problem> {
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let line = |offset: usize| Location::Line(starts.partition_point(|start| *start <= offset));
    let table = DeTable::parse(text).map_err(|error| syntax::problem(text, &error))?;
    convert_table(table.get_ref(), Location::Line(1), &line)
}

/// Parses `KEY=VALUE` from the command line. A value that is not TOML is taken as a string, and so are bare words in a
/// list or a table, so that a word needs no quotes.
pub fn parse_set(set: &str) -> Result<(String, TomlNode), Problem> {
    let location = Location::Set(set.to_owned());
    let wrong = |message: &str| Problem {
        location: location.clone(),
        message: message.to_owned(),
        hint: "--set train.learning_rate=0.3".to_owned(),
    };
    let (key, value) = set.split_once('=').ok_or_else(|| wrong("expected KEY=VALUE"))?;
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() || key.split('.').any(str::is_empty) {
        return Err(wrong("expected a dotted key before ="));
    }
    let in_set = |_: usize| location.clone();
    let as_toml = |value: &str| match DeValue::parse(value) {
        Ok(parsed) => Some(convert(parsed.get_ref(), location.clone(), &in_set)),
        Err(_) => None,
    };
    let node = match as_toml(value) {
        Some(node) => node?,
        None if value.starts_with(['[', '{', '"', '\'']) => {
            match slips::quoted(value).and_then(|value| as_toml(&value)) {
                Some(node) => node?,
                None => {
                    let hint = slips::mended(value).map_or(String::new(), |value| format!("--set '{key}={value}'"));
                    return Err(Problem { hint, ..wrong("the value is not valid TOML") });
                }
            }
        }
        None => TomlNode { raw: Raw::Text(value.to_owned()), location: location.clone() },
    };
    Ok((key.to_owned(), node))
}

fn convert_table(
    table: &DeTable<'_>,
    location: Location,
    line: &dyn Fn(usize) -> Location,
) -> Result<TomlNode, Problem> {
    let entries = table
        .iter()
        .map(|(key, value)| {
            // An entry's location is that of its key, since a list may span many lines.
            let node = convert(value.get_ref(), line(key.span().start), line)?;
            Ok((key.get_ref().to_string(), node))
        })
        .collect::<Result<Vec<_>, Problem>>()?;
    Ok(TomlNode { raw: Raw::Table(entries), location })
}

fn convert(value: &DeValue<'_>, location: Location, line: &dyn Fn(usize) -> Location) -> Result<TomlNode, Problem> {
    let wrong = |message: String| Problem { location: location.clone(), message, hint: String::new() };
    let raw = match value {
        DeValue::Boolean(value) => Raw::Bool(*value),
        DeValue::Integer(value) => Raw::Int(i64::from_str_radix(value.as_str(), value.radix()).map_err(|_| {
            let (most, word) = if value.as_str().starts_with('-') { (i64::MIN, "least") } else { (i64::MAX, "most") };
            wrong(format!("{value} is out of range; allowed: whole numbers, at {word} {most}"))
        })?),
        DeValue::Float(value) => {
            Raw::Float(value.as_str().parse().map_err(|_| wrong(format!("{value} is not a number")))?)
        }
        DeValue::String(value) => Raw::Text(value.to_string()),
        DeValue::Datetime(value) => return Err(wrong(format!("{value} is a date; no key takes a date"))),
        DeValue::Array(items) => Raw::List(
            items
                .iter()
                .map(|item| convert(item.get_ref(), line(item.span().start), line))
                .collect::<Result<_, _>>()?,
        ),
        DeValue::Table(table) => return convert_table(table, location, line),
    };
    Ok(TomlNode { raw, location })
}
