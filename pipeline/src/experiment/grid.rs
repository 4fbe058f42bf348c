//! The points of a study: what `[study]` sweeps, and what the command line overrides.

use std::collections::HashSet;

use stages::schema::Kind;

use super::check::takes_list;
use super::corpus::Folders;
use super::keys;
use super::tree::{self, Node, Place, Raw};
use super::{Point, Problem};

/// The most points of a study; more is taken for a slip.
const MOST_POINTS: usize = 10_000;

/// A key by its dotted name, and a value for it.
type Entry = (String, Node);

/// What is swept: every combination of the axes, for each of the listed points.
#[derive(Debug, Default)]
pub struct Axes {
    axes: Vec<(String, Vec<Node>)>,
    listed: Vec<Vec<Entry>>,
}

/// Takes `[study]` out of the tree and applies the overrides, which may add axes and replace them.
pub fn axes(tree: &mut Node, overrides: &[String]) -> Result<Axes, Problem> {
    let mut found = match tree.remove("study") {
        Some(study) => read_study(&study)?,
        None => Axes::default(),
    };
    for text in overrides {
        let (key, node) = tree::parse_set(text)?;
        let kind = keys::kind_at(&key).ok_or_else(|| keys::unknown(&key, node.place.clone()))?;
        found.forget(&key, &node.place)?;
        match node.raw {
            Raw::List(values) if !takes_list(kind) || is_list_of_lists(&values) => {
                tree.remove(&key);
                found.add(key, values, node.place)?;
            }
            _ => keys::put(tree, &key, node),
        }
    }
    // Points may differ in nothing but what was overridden.
    let mut seen = HashSet::new();
    found.listed.retain(|point| seen.insert(words(point)));
    Ok(found)
}

fn is_list_of_lists(values: &[Node]) -> bool {
    !values.is_empty() && values.iter().all(|value| matches!(value.raw, Raw::List(_)))
}

/// A point as it would be written.
fn words(point: &[Entry]) -> String {
    point.iter().map(|(key, node)| format!("{key} = {}", node.raw)).collect::<Vec<_>>().join(", ")
}

/// Every point, checked.
pub fn points(tree: &Node, axes: &Axes, folders: &Folders) -> Result<Vec<Point>, Problem> {
    let mut combinations: Vec<Vec<Entry>> = if axes.listed.is_empty() { vec![Vec::new()] } else { axes.listed.clone() };
    let factors = axes.axes.iter().map(|(_, values)| values.len());
    let whole = factors.fold(combinations.len(), usize::saturating_mul);
    if whole > MOST_POINTS {
        let place = axes.places().into_iter().next().map_or(Place::Default, |(_, place)| place);
        return Err(Problem::new(place, format!("the study has {whole} points; allowed: at most {MOST_POINTS}"), ""));
    }
    for (key, values) in &axes.axes {
        combinations = combinations
            .iter()
            .flat_map(|point| {
                values.iter().map(move |value| {
                    let mut point = point.clone();
                    point.push((key.clone(), value.clone()));
                    point
                })
            })
            .collect();
    }
    let mut points: Vec<Point> = Vec::with_capacity(combinations.len());
    let mut seen = HashSet::new();
    for combination in combinations {
        let mut tree = tree.clone();
        for (key, value) in &combination {
            keys::put(&mut tree, key, value.clone());
        }
        let mut point = keys::point(&tree, folders)?;
        point.swept = combination.iter().map(|(key, node)| (key.clone(), keys::value_of(&point, key, node))).collect();
        if !seen.insert(format!("{:?} {:?}", point.stages, point.corpus)) {
            let place = combination.first().map_or(Place::Default, |(_, node)| node.place.clone());
            let point = if combination.is_empty() { "(the experiment itself)".to_owned() } else { words(&combination) };
            return Err(Problem::new(place, format!("the study holds the point {point} twice"), ""));
        }
        points.push(point);
    }
    Ok(points)
}

impl Axes {
    /// Where each swept key is swept.
    pub fn places(&self) -> Vec<(String, Place)> {
        let listed = self.listed.iter().flatten().map(|(key, node)| (key.clone(), node.place.clone()));
        let axes = self.axes.iter().filter_map(|(key, values)| Some((key.clone(), values.first()?.place.clone())));
        axes.chain(listed).collect()
    }

    fn add(&mut self, key: String, values: Vec<Node>, place: Place) -> Result<(), Problem> {
        if values.is_empty() {
            return Err(Problem::new(place, format!("{key} is swept over an empty list"), ""));
        }
        self.axes.push((key, values));
        Ok(())
    }

    /// Forgets what was swept of a key that is now set, and of those that it excludes.
    fn forget(&mut self, key: &str, place: &Place) -> Result<(), Problem> {
        if let Some((whole, _)) = self.axes.iter().find(|(axis, _)| is_part(key, axis)) {
            let message = format!("{key} is part of {whole}, which the study sweeps");
            return Err(Problem::new(place.clone(), message, format!("--set '{whole}=…' sets the whole")));
        }
        let rivals = keys::rivals(key);
        let gone = |other: &str| other == key || is_part(other, key) || rivals.iter().any(|rival| rival == other);
        self.axes.retain(|(axis, _)| !gone(axis));
        self.listed.iter_mut().for_each(|point| point.retain(|(other, _)| !gone(other)));
        Ok(())
    }
}

/// Whether `key` lies inside the table `whole`.
fn is_part(key: &str, whole: &str) -> bool {
    key.strip_prefix(whole).is_some_and(|rest| rest.starts_with('.'))
}

fn read_study(study: &Node) -> Result<Axes, Problem> {
    let mut found = Axes::default();
    let Raw::Table(entries) = &study.raw else {
        return Err(Problem::new(study.place.clone(), format!("study is {}; allowed: a table", study.raw), "[study]"));
    };
    let swept = entries.iter().filter(|(key, _)| key != "points").cloned().collect();
    for (key, node) in opened(&Node { raw: Raw::Table(swept), place: study.place.clone() })? {
        match node.raw {
            Raw::List(values) => found.add(key, values, node.place)?,
            _ => {
                let hint = format!("\"{key}\" = [{}]", node.raw);
                return Err(Problem::new(node.place, format!("{key} in [study] is not a list"), hint));
            }
        }
    }
    if let Some(points) = study.get("points") {
        let wrong = |node: &Node| {
            let message = format!("study.points holds {}; allowed: tables", node.raw);
            Problem::new(node.place.clone(), message, "[[study.points]]")
        };
        let Raw::List(items) = &points.raw else { return Err(wrong(points)) };
        for item in items {
            let Raw::Table(_) = &item.raw else { return Err(wrong(item)) };
            found.listed.push(opened(item)?);
        }
    }
    // One key must not get its value from two places.
    let listed = found.listed.iter().flatten().map(|(key, _)| key);
    let mut before: Vec<&String> = listed.collect();
    for (axis, values) in &found.axes {
        let rivals = keys::rivals(axis);
        let meets = |other: &&&String| {
            **other == axis || is_part(other, axis) || is_part(axis, other) || rivals.contains(other)
        };
        if let Some(other) = before.iter().find(meets) {
            let place = values.first().map_or(Place::Default, |value| value.place.clone());
            let message = if *other == axis {
                format!("{axis} is both an axis and in [[study.points]]")
            } else {
                format!("{axis} and {other} are swept both; allowed: one of them")
            };
            return Err(Problem::new(place, message, ""));
        }
        before.push(axis);
    }
    Ok(found)
}

/// A table's entries by their dotted names, so that `train.learning_rate = …` needs no quotes.
fn opened(table: &Node) -> Result<Vec<Entry>, Problem> {
    let mut entries = Vec::new();
    open(table, "", &mut entries);
    for (key, node) in &entries {
        keys::kind_at(key).ok_or_else(|| keys::unknown(key, node.place.clone()))?;
    }
    Ok(entries)
}

fn open(node: &Node, name: &str, entries: &mut Vec<Entry>) {
    let Raw::Table(inner) = &node.raw else { return };
    for (key, value) in inner {
        let path = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        if is_opened(&path, value) { open(value, &path, entries) } else { entries.push((path, value.clone())) }
    }
}

/// Whether what stands at a path is no value but a table of keys.
fn is_opened(path: &str, node: &Node) -> bool {
    let Raw::Table(inner) = &node.raw else { return false };
    match keys::kind_at(path) {
        // An unknown one is opened only to name the key in it.
        None | Some(Kind::Table(_)) => true,
        // { kind = "cosine" } is a value; rate = [0.5, 0.9] inside of it is a sweep of one of its keys.
        Some(Kind::Tagged(_)) => node.get("kind").is_none_or(|kind| matches!(kind.raw, Raw::List(_))),
        Some(_) => inner.iter().any(|(_, value)| matches!(value.raw, Raw::List(_))),
    }
}
