//! Reads `[study]`.

use stages::schema::KeyKind;

use super::assignment::{Assignment, is_part};
use super::axes::Axes;
use super::check::{OF_STUDY, did_you_mean};
use super::exclude::Exclusion;
use super::keys;
use super::problem::{Location, Problem};
use super::tree::{Raw, TomlNode};

/// What `[study]` sweeps, lists and excludes.
pub fn read(study: &TomlNode) -> Result<Axes, Problem> {
    let mut found = Axes::default();
    let Raw::Table(entries) = &study.raw else {
        return Err(Problem::new(
            study.location.clone(),
            format!("study is {}; allowed: a table", study.raw),
            "[study]",
        ));
    };
    let swept = entries.iter().filter(|(key, _)| !OF_STUDY.contains(&key.as_str())).cloned().collect();
    for (key, node) in opened(&TomlNode { raw: Raw::Table(swept), location: study.location.clone() })? {
        match node.raw {
            Raw::List(values) => found.add(key, values, node.location)?,
            _ => {
                let hint = format!("\"{key}\" = [{}]", node.raw);
                return Err(Problem::new(node.location, format!("{key} in [study] is not a list"), hint));
            }
        }
    }
    found.listed = tables(study, "points", "[[study.points]]")?;
    for (location, entries) in tables(study, "exclude", "exclude = [{ … }]")? {
        let listed = found.listed.iter().flat_map(|(_, point)| point).map(|(key, _)| key);
        let swept: Vec<&String> = found.axes.iter().map(|(key, _)| key).chain(listed).collect();
        found.excluded.push(Exclusion::of(location, entries, |key| swept.iter().any(|swept| *swept == key))?);
    }
    // A key must not get its value from two places.
    let listed = found.listed.iter().flat_map(|(_, point)| point).map(|(key, _)| key);
    let mut before: Vec<&String> = listed.collect();
    for (axis, values) in &found.axes {
        let rivals = keys::rivals(axis);
        let meets = |other: &&&String| {
            **other == axis || is_part(other, axis) || is_part(axis, other) || rivals.contains(other)
        };
        if let Some(other) = before.iter().find(meets) {
            let location = values.first().map_or(Location::Default, |value| value.location.clone());
            let message = if *other == axis {
                format!("{axis} is swept in [study] and also set in [[study.points]]")
            } else {
                format!("{axis} and {other} are both swept; allowed: one of them")
            };
            return Err(Problem::new(location, message, "delete one of them"));
        }
        before.push(axis);
    }
    Ok(found)
}

/// The tables listed under `points` or `exclude` in `[study]`, each flattened to dotted keys.
fn tables(study: &TomlNode, key: &str, hint: &str) -> Result<Vec<(Location, Vec<Assignment>)>, Problem> {
    let Some(list) = study.get(key) else { return Ok(Vec::new()) };
    let wrong = |node: &TomlNode| {
        Problem::new(node.location.clone(), format!("study.{key} contains {}; allowed: tables", node.raw), hint)
    };
    let Raw::List(items) = &list.raw else { return Err(wrong(list)) };
    items
        .iter()
        .map(|item| match &item.raw {
            Raw::Table(_) => Ok((item.location.clone(), opened(item)?)),
            _ => Err(wrong(item)),
        })
        .collect()
}

/// A table's entries by dotted name, so that `train.learning_rate = …` needs no quotes.
fn opened(table: &TomlNode) -> Result<Vec<Assignment>, Problem> {
    let mut entries = Vec::new();
    open(table, "", &mut entries);
    for (key, node) in &entries {
        keys::kind_at(key).ok_or_else(|| match did_you_mean(key, OF_STUDY.into_iter()) {
            // `points` and `exclude` are keys of [study] itself, not of a table within it.
            _ if OF_STUDY.contains(&key.as_str()) => {
                let message = format!("{key} is inside a table of [study], but belongs in [study] itself");
                Problem::new(node.location.clone(), message, "move it directly below [study]")
            }
            hint if hint.is_empty() => keys::unknown(key, node.location.clone()),
            hint => Problem { hint, ..keys::unknown(key, node.location.clone()) },
        })?;
    }
    Ok(entries)
}

fn open(node: &TomlNode, name: &str, entries: &mut Vec<Assignment>) {
    let Raw::Table(inner) = &node.raw else { return };
    for (key, value) in inner {
        let path = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        if is_opened(&path, value) { open(value, &path, entries) } else { entries.push((path, value.clone())) }
    }
}

/// Whether the node at a path is a table of keys, not a value.
fn is_opened(path: &str, node: &TomlNode) -> bool {
    let Raw::Table(inner) = &node.raw else { return false };
    match keys::kind_at(path) {
        // An unknown table is opened only so that the error names a key in it.
        None | Some(KeyKind::Table(_)) => true,
        // A table with a kind, { kind = "cosine" }, is one value; without it, { rate = [0.5, 0.9] } sweeps a key.
        Some(KeyKind::Tagged(_)) => node.get("kind").is_none_or(|kind| matches!(kind.raw, Raw::List(_))),
        Some(_) => inner.iter().any(|(_, value)| matches!(value.raw, Raw::List(_))),
    }
}
