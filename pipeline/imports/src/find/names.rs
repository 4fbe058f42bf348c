//! What runs are called, and the order of names.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::Found;
use super::group::Run;

/// Gives each run a name that no other has.
pub fn named(runs: Vec<Run>) -> Vec<Found> {
    let mut by: Vec<By> = runs.iter().map(|run| if run.by_file { By::Stem } else { By::Folder }).collect();
    let mut paths: Vec<Vec<String>> = runs.iter().zip(&by).map(|(run, by)| path(run, *by)).collect();
    // Of several logs in one folder the first is called by the folder, and the others by their files.
    for _ in 0..2 {
        let mut taken: HashSet<Vec<String>> = HashSet::new();
        for ((path_now, by), run) in paths.iter_mut().zip(&mut by).zip(&runs) {
            if !taken.insert(path_now.clone()) {
                *by = if *by == By::Folder { By::Stem } else { By::FileName };
                *path_now = path(run, *by);
            }
        }
    }
    let mut lengths = vec![1; paths.len()];
    // Folders above are added to names that are alike, one at a time.
    loop {
        let names: Vec<Vec<String>> = paths.iter().zip(&lengths).map(|(path, length)| ending(path, *length)).collect();
        let times = count(names.iter());
        let mut grown = false;
        for ((name, length), path) in names.iter().zip(&mut lengths).zip(&paths) {
            if times.get(name).copied().unwrap_or_default() > 1 && *length < path.len() {
                *length += 1;
                grown = true;
            }
        }
        if !grown {
            return runs
                .into_iter()
                .zip(names)
                .map(|(run, name)| Found { name: name.join("/"), folder: run.folder, files: run.files })
                .collect();
        }
    }
}

fn count<'p>(paths: impl Iterator<Item = &'p Vec<String>>) -> HashMap<Vec<String>, usize> {
    let mut times = HashMap::new();
    for path in paths {
        *times.entry(path.clone()).or_default() += 1;
    }
    times
}

/// What a run is called by, behind the folders that lead to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Folder,
    Stem,
    FileName,
}

/// The names of the folders that lead to a run, and its own.
fn path(run: &Run, by: By) -> Vec<String> {
    let folders = run.real.components().filter_map(|part| match part {
        std::path::Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    let mut path: Vec<String> = folders.collect();
    match (by, run.file_name.as_deref()) {
        (By::Folder, Some(name)) if path.is_empty() => path.push(stem(name)),
        (By::Folder, _) | (_, None) => {}
        (By::Stem, Some(name)) => path.push(stem(name)),
        (By::FileName, Some(name)) => path.push(name.to_owned()),
    }
    path
}

fn ending(path: &[String], length: usize) -> Vec<String> {
    path[path.len().saturating_sub(length)..].to_vec()
}

/// A file's name without its extension.
fn stem(name: &str) -> String {
    Path::new(name).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The order of names in which `run-2` comes before `run-10`.
pub fn natural(a: &Path, b: &Path) -> Ordering {
    let (a, b) = (a.file_name().unwrap_or_default(), b.file_name().unwrap_or_default());
    let (mut left, mut right) = (a.as_encoded_bytes(), b.as_encoded_bytes());
    loop {
        let (digits, others) = (digits(left), digits(right));
        let order = if digits > 0 && others > 0 {
            let (one, other) = (significant(&left[..digits]), significant(&right[..others]));
            one.len().cmp(&other.len()).then_with(|| one.cmp(other))
        } else {
            left.first().cmp(&right.first())
        };
        if order.is_ne() || left.is_empty() {
            return order.then_with(|| a.cmp(b));
        }
        (left, right) = (&left[digits.max(1)..], &right[others.max(1)..]);
    }
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Without leading zeros.
fn significant(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_numbers() {
        let mut names = ["run-10", "run-9", "run", "run-9b", "run-09", "a", "", "run-9a1", "run-x"];
        names.sort_by(|a, b| natural(Path::new(a), Path::new(b)));
        assert_eq!(names, ["", "a", "run", "run-09", "run-9", "run-9a1", "run-9b", "run-10", "run-x"]);
    }
}
