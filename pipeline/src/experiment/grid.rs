//! The points of a study: what `[study]` sweeps, and what the command line overrides.

use super::check::takes_list;
use super::corpus::Folders;
use super::keys;
use super::tree::{self, Node, Place, Raw};
use super::{Point, Problem};

/// The most points of a study; more is taken for a slip.
const MOST_POINTS: usize = 10_000;

/// What is swept: every combination of the axes, for each of the listed points.
#[derive(Debug, Default)]
pub struct Axes {
    axes: Vec<(String, Vec<Node>)>,
    listed: Vec<Vec<(String, Node)>>,
}

/// Takes `[study]` out of the tree and applies the overrides, which may add axes and replace them.
pub fn axes(tree: &mut Node, overrides: &[String]) -> Result<Axes, Problem> {
    let mut found = Axes::default();
    if let Some(study) = tree.remove("study") {
        read_study(&study, &mut found)?;
    }
    for text in overrides {
        let (key, node) = tree::parse_set(text)?;
        let kind = keys::kind_at(&key).ok_or_else(|| keys::unknown(&key, node.place.clone()))?;
        found.axes.retain(|(axis, _)| *axis != key);
        for point in &mut found.listed {
            point.retain(|(axis, _)| *axis != key);
        }
        for rival in keys::rivals(&key) {
            tree.remove(rival);
            found.axes.retain(|(axis, _)| axis != rival);
        }
        match node.raw {
            Raw::List(values) if !takes_list(kind) || values.iter().all(|v| matches!(v.raw, Raw::List(_))) => {
                tree.remove(&key);
                found.add(key, values, node.place)?;
            }
            _ => tree.put(&key, node),
        }
    }
    found.listed.retain(|point| !point.is_empty());
    Ok(found)
}

/// Every point, checked.
pub fn points(tree: &Node, axes: &Axes, folders: &Folders) -> Result<Vec<Point>, Problem> {
    let mut combinations: Vec<Vec<(String, Node)>> =
        if axes.listed.is_empty() { vec![Vec::new()] } else { axes.listed.clone() };
    for (key, values) in &axes.axes {
        if combinations.len() * values.len() > MOST_POINTS {
            let place = values.first().map_or(Place::Default, |value| value.place.clone());
            return Err(Problem::new(place, format!("the study has more than {MOST_POINTS} points"), ""));
        }
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
    for combination in combinations {
        let mut tree = tree.clone();
        for (key, value) in &combination {
            tree.put(key, value.clone());
        }
        let mut point = keys::point(&tree, folders)?;
        point.swept = combination.iter().map(|(key, node)| (key.clone(), keys::value_of(&point, key, node))).collect();
        if points.iter().any(|other| other.stages == point.stages && other.corpus == point.corpus) {
            let place = combination.first().map_or(Place::Default, |(_, node)| node.place.clone());
            return Err(Problem::new(place, format!("the study holds the point {} twice", point.label()), ""));
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
}

fn read_study(study: &Node, found: &mut Axes) -> Result<(), Problem> {
    let mut entries = Vec::new();
    open(study, "", &mut entries);
    for (key, node) in entries {
        if key == "points" {
            let Raw::List(items) = &node.raw else {
                return Err(Problem::new(node.place, "study.points is a list of tables", "[[study.points]]"));
            };
            for item in items {
                let mut point = Vec::new();
                open(item, "", &mut point);
                for (key, value) in &point {
                    keys::kind_at(key).ok_or_else(|| keys::unknown(key, value.place.clone()))?;
                }
                found.listed.push(point);
            }
            continue;
        }
        keys::kind_at(&key).ok_or_else(|| keys::unknown(&key, node.place.clone()))?;
        match node.raw {
            Raw::List(values) => found.add(key, values, node.place)?,
            _ => {
                let hint = format!("\"{key}\" = [{}]", node.raw);
                return Err(Problem::new(node.place, format!("{key} in [study] is not a list"), hint));
            }
        }
    }
    if let (Some((key, values)), false) = (found.axes.first(), found.listed.is_empty()) {
        let both = found.listed.iter().flatten().any(|(other, _)| other == key);
        if both {
            let place = values.first().map_or(Place::Default, |value| value.place.clone());
            return Err(Problem::new(place, format!("{key} is both an axis and in [[study.points]]"), ""));
        }
    }
    Ok(())
}

/// Opens tables to dotted names, so that `train.learning_rate = …` needs no quotes; tables inside lists stay whole.
fn open(node: &Node, name: &str, entries: &mut Vec<(String, Node)>) {
    let Raw::Table(inner) = &node.raw else { return };
    for (key, value) in inner {
        let path = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        match &value.raw {
            // A table that is itself a value, as { uniform = 0.1 }, is one only where the path is no longer a key's.
            Raw::Table(_) if keys::kind_at(&path).is_none() || keys::is_stage(&path) => open(value, &path, entries),
            _ => entries.push((path, value.clone())),
        }
    }
}
