//! `exclude` in `[study]`: combinations that are not run, such as invalid ones.

use super::assignment::{Assignment, same, words};
use super::check::takes_list;
use super::keys;
use super::problem::{Location, Problem};
use super::tree::Raw;

/// The most exclusions that a hint proposes.
const PROPOSED: usize = 4;

/// One entry of `exclude`: every point that has all of these values is left out.
#[derive(Debug, Clone)]
pub struct Exclusion {
    /// Where it was written.
    pub location: Location,
    /// The values that a point must have to be left out.
    pub entries: Vec<Assignment>,
}

impl Exclusion {
    /// Checks an entry and makes the exclusion; `is_swept` says whether the study sweeps a key.
    pub fn of(location: Location, entries: Vec<Assignment>, is_swept: impl Fn(&str) -> bool) -> Result<Self, Problem> {
        if entries.is_empty() {
            return Err(Problem::new(
                location,
                "exclude has an empty table, which matches every point",
                "exclude = [{ seed = 1 }]",
            ));
        }
        for (key, node) in &entries {
            if !is_swept(key) {
                let message = format!("exclude names {key}, which the study does not sweep");
                let hint = format!("delete {key} from exclude, or sweep it in [study]");
                return Err(Problem::new(node.location.clone(), message, hint));
            }
            if matches!(node.raw, Raw::List(_)) && !keys::kind_at(key).is_some_and(takes_list) {
                let message = format!("exclude gives {key} a list; allowed: one value");
                let hint = "write one table per combination: exclude = [{ … }, { … }]";
                return Err(Problem::new(node.location.clone(), message, hint));
            }
        }
        Ok(Self { location, entries })
    }

    /// Whether a point is left out.
    pub fn holds(&self, point: &[Assignment]) -> bool {
        let has =
            |(key, node): &Assignment| point.iter().any(|(other, value)| other == key && same(&value.raw, &node.raw));
        self.entries.iter().all(has)
    }
}

/// The error for a study with some invalid points; its hint proposes exclusions that leave them out.
pub fn some_fail(points: &[Vec<Assignment>], failed: &[(usize, Problem)], excludes_some: bool) -> Problem {
    let fails = |at: usize| failed.binary_search_by_key(&at, |(at, _)| *at).is_ok();
    let mut proposed: Vec<Vec<Assignment>> = Vec::new();
    let has = |pattern: &[Assignment], point: &[Assignment]| {
        pattern.iter().all(|(key, node)| point.iter().any(|(other, it)| other == key && same(&it.raw, &node.raw)))
    };
    for (at, _) in failed {
        if proposed.iter().any(|pattern| has(pattern, &points[*at])) {
            continue;
        }
        if proposed.len() == PROPOSED {
            break;
        }
        // Drop each key that the pattern does not need: even without it, the pattern matches no valid point.
        let mut pattern = points[*at].clone();
        for key in points[*at].iter().map(|(key, _)| key) {
            let fewer: Vec<Assignment> = pattern.iter().filter(|(other, _)| other != key).cloned().collect();
            let sound =
                !fewer.is_empty() && points.iter().enumerate().all(|(at, point)| fails(at) || !has(&fewer, point));
            if sound {
                pattern = fewer;
            }
        }
        // An empty listed point has no values to match.
        if !pattern.is_empty() {
            proposed.push(pattern);
        }
    }
    let problem = failed[0].1.clone();
    let share = match failed.len() {
        1 => "one",
        n => &n.to_string(),
    };
    let tables: Vec<String> = proposed.iter().map(|pattern| format!("{{ {} }}", words(pattern))).collect();
    let more = if proposed.len() == PROPOSED { ", …" } else { "" };
    let tables = format!("{}{more}", tables.join(", "));
    // The file's [study] can't exclude values that only the command line sweeps.
    let is_written = |(_, node): &Assignment| !matches!(node.location, Location::Set(_));
    let hint = match proposed.is_empty() || !proposed.iter().flatten().all(is_written) {
        true => problem.hint.clone(),
        false if excludes_some => format!("to leave out the invalid points, add to exclude: {tables}"),
        false => format!("to leave out the invalid points, add to [study]: exclude = [{tables}]"),
    };
    let point = words(&points[failed[0].0]);
    let first = if failed.len() == 1 { ":" } else { "; the first is" };
    let of = points.len();
    let message = format!("{}; this affects {share} of the study's {of} points{first} {point}", problem.message);
    Problem { message, hint, ..problem }
}
