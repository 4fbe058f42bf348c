//! The points of a study: what `[study]` sweeps, and what the command line overrides.

use std::collections::{HashMap, HashSet};

use super::assignment::{Assignment, words};
use super::axes::{Axes, twice};
use super::check::{self, takes_list};
use super::corpus::SearchPath;
use super::point::Point;
use super::problem::{Location, Problem};
use super::tables::Interned;
use super::tree::{self, Raw, TomlNode};
use super::{constraints, exclude, keys, study, tables};

/// Removes `[study]` from the tree and applies the overrides, which can add and replace axes. A text from the record
/// (`as_recorded`) may list a point twice, since it has been run before.
pub fn axes(tree: &mut TomlNode, overrides: &[String], as_recorded: bool) -> Result<Axes, Problem> {
    let mut found = match tree.remove("study") {
        Some(study) => study::read(&study)?,
        None => Axes::default(),
    };
    if !as_recorded {
        found.check_listed()?;
    }
    found.is_overridden = !overrides.is_empty();
    for text in overrides {
        let (key, node) = tree::parse_set(text).map_err(said_of_key)?;
        let kind = keys::kind_at(&key).ok_or_else(|| keys::unknown(&key, node.location.clone()))?;
        match node.raw {
            Raw::List(values) if !takes_list(kind) || is_list_of_lists(&values) => {
                found.forget(&key, &node.location, true)?;
                tree.remove(&key);
                found.add(key, values, node.location)?;
            }
            _ => {
                found.forget(&key, &node.location, false)?;
                keys::put(tree, &key, node);
            }
        }
    }
    // Listed points that differed only in overridden keys are equal now; keep one of them.
    let mut seen = HashSet::new();
    found.listed.retain(|(_, point)| seen.insert(words(point)));
    Ok(found)
}

fn is_list_of_lists(values: &[TomlNode]) -> bool {
    !values.is_empty() && values.iter().all(|value| matches!(value.raw, Raw::List(_)))
}

/// Adds what the key allows, as a hint, to the error for a `--set` whose value is not TOML.
fn said_of_key(problem: Problem) -> Problem {
    let Location::Set(set) = &problem.location else { return problem };
    let kind = set.split_once('=').and_then(|(key, _)| keys::kind_at(key.trim()));
    match kind {
        Some(kind) if problem.hint.is_empty() && problem.message.ends_with("TOML") => {
            Problem { hint: format!("allowed: {}", check::allowed(kind)), ..problem }
        }
        _ => problem,
    }
}

/// Every point, checked.
pub fn points(tree: &TomlNode, axes: &Axes, folders: &SearchPath) -> Result<Vec<Point>, Problem> {
    let combinations = axes.combinations()?;
    let mut points: Vec<Point> = Vec::with_capacity(combinations.len());
    let mut before: Option<TomlNode> = None; // the tree of the last point
    let mut failed: Vec<(usize, Problem)> = Vec::new();
    let mut seen: HashMap<_, usize> = HashMap::new();
    let mut interned = Interned::default();
    for (at, (location, combination)) in combinations.iter().enumerate() {
        let mut tree = tree.clone();
        for (key, value) in combination {
            keys::put(&mut tree, key, value.clone());
        }
        let mut point = tables::point(&tree, folders, before.as_ref().zip(points.last()), &mut interned)?;
        if let Err(problem) = constraints::check(&tree, &point) {
            failed.push((at, problem));
            continue;
        }
        // The checked value, in canonical form; `corpus` paths have none, so they stay as written.
        let value = |key: &str, node: &TomlNode| point.written(key).unwrap_or_else(|| node.raw.to_json());
        point.swept = combination.iter().map(|(key, node)| (key.clone(), value(key, node))).collect();
        if let Some(before) = seen.insert(point.fingerprint(), at) {
            return Err(twice(&combinations[before], (location, combination)));
        }
        points.push(point);
        before = Some(tree);
    }
    if !points.is_empty() && !failed.is_empty() {
        let combinations: Vec<Vec<Assignment>> = combinations.into_iter().map(|(_, combination)| combination).collect();
        return Err(exclude::some_fail(&combinations, &failed, !axes.excluded.is_empty()));
    }
    // If every point is invalid, no exclusion would help, so the first error is reported as it is.
    match failed.into_iter().next() {
        Some((_, problem)) => Err(problem),
        None => Ok(points),
    }
}
