//! Experiments, and texts of `--set`.

use std::path::{Path, PathBuf};

use experiment::{Experiment, Refusal};

use crate::text;

/// What `--set` is tried on.
const PLAIN: &str = include_str!("../../../experiments/tiny.toml");

/// A folder with the corpus that experiments name.
fn folder() -> PathBuf {
    thread_local! {
        static FOLDER: tempfile::TempDir = {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("data")).unwrap();
            std::fs::write(folder.path().join("data/sonnets.txt"), "From fairest creatures we desire increase\n").unwrap();
            folder
        };
    }
    FOLDER.with(|folder| folder.path().to_owned())
}

fn load(text: &str, sets: &[String]) -> Result<Experiment, Refusal> {
    let folder = folder();
    std::fs::write(folder.join("x.toml"), text).unwrap();
    Experiment::load(Path::new("x.toml"), sets, &folder, &folder)
}

/// An accepted experiment has points, loads again to the same, and each of its points can be had alone; a refusal is one
/// line that a terminal only shows, and names a line of the file.
fn hold(text: &str, sets: &[String]) {
    match load(text, sets) {
        Ok(experiment) => {
            assert!(!experiment.points.is_empty());
            assert_eq!(load(text, sets).unwrap().points, experiment.points, "it loads to other points the second time");
            for point in experiment.points.iter().take(3) {
                let pins = experiment.pins(point);
                let sets: Vec<String> = sets.iter().cloned().chain(pins.iter().cloned()).collect();
                let alone = load(text, &sets).unwrap_or_else(|refusal| panic!("{sets:?}: {refusal}"));
                assert_eq!(alone.points.len(), 1, "{sets:?}");
                assert_eq!(
                    (&alone.points[0].stages, &alone.points[0].corpus),
                    (&point.stages, &point.corpus),
                    "{sets:?}"
                );
            }
        }
        Err(Refusal { message, hint, .. }) => {
            assert!(
                !message.is_empty() && message.lines().count() == 1 && hint.lines().count() <= 1,
                "{message:?} {hint:?}"
            );
            assert!(!message.chars().chain(hint.chars()).any(stages::plain::acts), "{message:?} {hint:?}");
            if let Some(rest) = message.strip_prefix("x.toml:")
                && let Some(line) = rest.split(':').next().and_then(|line| line.parse::<usize>().ok())
            {
                // What is missing at the end may be missed on the line behind the last line feed.
                assert!((1..=text.matches('\n').count() + 1).contains(&line), "{message:?}");
            } else {
                let known = message.starts_with("x.toml") || message.starts_with("--set '");
                assert!(known, "{message:?} says neither the file nor the --set");
            }
        }
    }
}

/// The text of an experiment.
pub fn file(bytes: &[u8]) {
    match text(bytes) {
        Some(text) => hold(text, &[]),
        None => {
            let folder = folder();
            std::fs::write(folder.join("x.toml"), bytes).unwrap();
            let refused = Experiment::load(Path::new("x.toml"), &[], &folder, &folder).unwrap_err();
            assert!(refused.message.starts_with("x.toml"), "{refused}");
        }
    }
}

/// What `--set` is given, one a line.
pub fn set(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        let sets: Vec<String> = text.lines().take(8).map(str::to_owned).collect();
        hold(PLAIN, &sets);
    }
}
