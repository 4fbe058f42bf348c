//! Loads experiments from a folder with a corpus, and shows the errors about them.

use std::path::Path;

use crate::{Experiment, Point, Refusal};

/// A study of four points.
pub const SMALL: &str = r#"
name = "small"
[corpus]
text = "corpus.txt"
[train]
learning_rate = 1
steps = 10
[sample]
[study]
"train.learning_rate" = [1, 0.1]
seed = [1, 2]
"#;

/// The smallest valid experiment.
pub const BARE: &str = "name='p'\n[corpus]\ntext='corpus.txt'\n";

/// Loads a text as the file `x.toml`, in the same folder as its corpus.
pub fn load(text: &str, overrides: &[&str]) -> Result<Experiment, Refusal> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("corpus.txt"), "to be or not to be\n".repeat(100)).unwrap();
    std::fs::write(folder.path().join("x.toml"), text).unwrap();
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    Experiment::load(Path::new("x.toml"), &overrides, folder.path(), folder.path())
}

/// The error about a text, and its hint.
pub fn complaint(text: &str, overrides: &[&str]) -> String {
    let failure = load(text, overrides).unwrap_err();
    format!("{} | {}", failure.message, failure.hint)
}

/// Each point's swept keys and values, as text.
pub fn swept(text: &str, overrides: &[&str]) -> Vec<String> {
    let points = load(text, overrides).unwrap().points;
    let words =
        |point: &Point| point.swept.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ");
    points.iter().map(words).collect()
}
