//! The laws of the house, read off the sources.

use std::path::{Path, PathBuf};

use crate::space::repository;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Lines of code of the files below `folder`, without comments and tests, as (path from the root, line).
fn lines(folder: &str) -> Vec<(String, String)> {
    let root = repository();
    let mut files = Vec::new();
    sources(&root.join(folder), &mut files);
    assert!(!files.is_empty());
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            found.push((name.clone(), line.to_owned()));
        }
    }
    found
}

fn nobody(what: &str, folders: &[&str], words: &[&str], except: &[&str]) {
    let offences: Vec<String> = folders
        .iter()
        .flat_map(|folder| lines(folder))
        .filter(|(name, _)| !except.iter().any(|allowed| name.starts_with(allowed)))
        .filter(|(_, line)| words.iter().any(|word| line.contains(word)))
        .map(|(name, line)| format!("{name}: {}", line.trim()))
        .collect();
    assert!(offences.is_empty(), "{what}:\n{}", offences.join("\n"));
}

#[test]
fn each_thing_has_one_home() {
    nobody("only neural names tch", &["pipeline/src", "stages/src"], &["use tch", " tch::", "(tch::", "<tch::"], &[]);
    nobody(
        "only record names sqlx",
        &["pipeline/src", "stages/src", "stages/neural/src"],
        &["sqlx"],
        &["pipeline/src/record"],
    );
    let prints = ["println!", "eprintln!", "print!(", "io::stdout", "io::stderr"];
    nobody("only ui prints", &["pipeline/src"], &prints, &["pipeline/src/ui", "pipeline/src/main.rs"]);
    nobody(
        "only main exits",
        &["pipeline/src", "stages/src"],
        &["process::exit"],
        &["pipeline/src/main.rs", "stages/neural"],
    );
    let names = ["\"tokenize\"", "\"vocab\"", "\"batch\"", "\"train\"", "\"evaluate\"", "\"sample\""];
    nobody("the engine names no stage", &["pipeline/src/engine"], &names, &[]);
    nobody("no unsafe", &["pipeline/src"], &["unsafe "], &[]);
    nobody("no unsafe but in the kernels", &["stages/src"], &["unsafe "], &["stages/src/sample/kernels.rs"]);
    nobody(
        "the engine is below",
        &["pipeline/src/engine"],
        &["crate::commands", "crate::ui", "crate::plan", "crate::args"],
        &[],
    );
    nobody(
        "the record is at the bottom",
        &["pipeline/src/record"],
        &["crate::commands", "crate::plan", "crate::args"],
        &[],
    );
}
