//! What a study sweeps, and the combinations that result.

use std::collections::HashMap;

use super::assignment::{Assignment, is_part, same, words};
use super::exclude::Exclusion;
use super::keys;
use super::problem::{Location, Problem};
use super::tree::TomlNode;

/// The maximum number of points in a study; a larger study is probably a mistake.
const MOST_POINTS: usize = 10_000;

/// How many values of an axis are compared with all values before them, to find repeats early.
const FEW: usize = 200;

/// What a study sweeps: every combination of the axes' values, for each of the listed points.
#[derive(Debug, Default)]
pub struct Axes {
    pub axes: Vec<(String, Vec<TomlNode>)>,
    /// The listed points, each with its line.
    pub listed: Vec<(Location, Vec<Assignment>)>,
    pub excluded: Vec<Exclusion>,
    /// Whether the command line overrides any key; if so, an exclusion may match no point.
    pub is_overridden: bool,
}

impl Axes {
    /// Where each swept key is listed.
    pub fn locations(&self) -> Vec<(String, Location)> {
        let listed = self.listed.iter().flat_map(|(_, point)| point);
        let listed = listed.map(|(key, node)| (key.clone(), node.location.clone()));
        let axes = self.axes.iter().filter_map(|(key, values)| Some((key.clone(), values.first()?.location.clone())));
        axes.chain(listed).collect()
    }

    /// The values of each point that is not excluded, with the line of each listed point.
    pub fn combinations(&self) -> Result<Vec<(Location, Vec<Assignment>)>, Problem> {
        let mut all = if self.listed.is_empty() { vec![(Location::Default, Vec::new())] } else { self.listed.clone() };
        let factors = self.axes.iter().map(|(_, values)| values.len());
        let whole = factors.fold(all.len(), usize::saturating_mul);
        if whole > MOST_POINTS {
            let location = self.locations().into_iter().next().map_or(Location::Default, |(_, location)| location);
            let message = format!("the study has {whole} points; at most {MOST_POINTS} are allowed");
            let hint = "list fewer values, or split the study into several experiments";
            return Err(Problem::new(location, message, hint));
        }
        self.axes.iter().try_for_each(|(key, values)| check_values(key, values))?;
        for (key, values) in &self.axes {
            all = all
                .iter()
                .flat_map(|(location, point)| {
                    values.iter().map(move |value| {
                        let mut point = point.clone();
                        point.push((key.clone(), value.clone()));
                        (location.clone(), point)
                    })
                })
                .collect();
        }
        // Overrides may have removed the points that an exclusion was written for.
        let is_idle = |exclusion: &&Exclusion| !all.iter().any(|(_, point)| exclusion.holds(point));
        if let Some(idle) = self.excluded.iter().find(is_idle).filter(|_| !self.is_overridden) {
            let message = format!("exclude = [{{ {} }}] matches no point of the study", words(&idle.entries));
            return Err(Problem::new(idle.location.clone(), message, "use values that the study lists"));
        }
        all.retain(|(_, point)| !self.excluded.iter().any(|exclusion| exclusion.holds(point)));
        match self.excluded.first() {
            Some(first) if all.is_empty() => {
                let hint = "delete an entry from exclude";
                Err(Problem::new(first.location.clone(), "exclude leaves out every point of the study", hint))
            }
            _ => Ok(all),
        }
    }

    /// Refuses a point that is listed twice.
    pub fn check_listed(&self) -> Result<(), Problem> {
        let mut seen: HashMap<String, &(Location, Vec<Assignment>)> = HashMap::new();
        for listed in &self.listed {
            if let Some(before) = seen.insert(words(&listed.1), listed) {
                return Err(twice(before, (&listed.0, &listed.1)));
            }
        }
        Ok(())
    }

    /// Adds an axis.
    pub fn add(&mut self, key: String, values: Vec<TomlNode>, location: Location) -> Result<(), Problem> {
        if values.is_empty() {
            return Err(Problem::new(
                location,
                format!("{key} is swept over an empty list"),
                "list at least one value",
            ));
        }
        self.axes.push((key, values));
        Ok(())
    }

    /// Removes the axes of `key`, which an override now sets, and of the keys that conflict with it, together with the
    /// exclusions that mention them. If the override sweeps `key` again (`is_swept`), exclusions that mention it stay.
    pub fn forget(&mut self, key: &str, location: &Location, is_swept: bool) -> Result<(), Problem> {
        if let Some((whole, _)) = self.axes.iter().find(|(axis, _)| is_part(key, axis)) {
            let message = format!("{key} is part of {whole}, which the study sweeps");
            return Err(Problem::new(location.clone(), message, format!("to set the whole table: --set '{whole}=…'")));
        }
        let rivals = keys::rivals(key);
        let gone = |other: &str| other == key || is_part(other, key) || rivals.iter().any(|rival| rival == other);
        self.axes.retain(|(axis, _)| !gone(axis));
        self.listed.iter_mut().for_each(|(_, point)| point.retain(|(other, _)| !gone(other)));
        let stays = |other: &str| !gone(other) || (is_swept && other == key);
        self.excluded.retain(|exclusion| exclusion.entries.iter().all(|(other, _)| stays(other)));
        Ok(())
    }
}

/// The error for two points with the same values.
pub fn twice(first: &(Location, Vec<Assignment>), (location, second): (&Location, &[Assignment])) -> Problem {
    let point = |combination: &[Assignment]| match combination.is_empty() {
        true => "(the experiment unchanged)".to_owned(),
        false => words(combination),
    };
    let location = match location {
        Location::Default => second.first().map_or(Location::Default, |(_, node)| node.location.clone()),
        location => location.clone(),
    };
    let (before, second) = (point(&first.1), point(second));
    let others = if before == second { String::new() } else { format!(", first as {before}") };
    let line = match (&first.0, &location) {
        (Location::Line(line), location) if first.0 != *location => {
            format!("{others}{} on line {line}", if others.is_empty() { ", first" } else { "" })
        }
        _ => others,
    };
    Problem::new(location, format!("the study contains the point {second} twice{line}"), "delete one of them")
}

/// Refuses an axis that lists a value twice. Only the first [`FEW`] values are checked here; a later repeat is found
/// when the points are compared.
fn check_values(key: &str, values: &[TomlNode]) -> Result<(), Problem> {
    for (at, value) in values.iter().enumerate().take(FEW) {
        let Some(before) = values[..at].iter().find(|before| same(&before.raw, &value.raw)) else { continue };
        let first = match &before.location {
            Location::Line(line) if before.location != value.location => format!(", first on line {line}"),
            _ => String::new(),
        };
        let message = format!("{key} lists {} twice{first}", value.raw);
        return Err(Problem::new(value.location.clone(), message, "delete one of them"));
    }
    Ok(())
}
