//! The README's transcript is true: each command ends well and prints the lines that stand below it.
//!
//! Numbers are not compared, since times differ from run to run and losses, in their last digits, from one kind of
//! processor to the next; nor are curves. A line `…` stands for anything.

use std::process::Command;

use crate::space::{Space, programs, repository};

#[test]
fn every_command_of_the_readme_does_what_it_shows() {
    let space = Space::new();
    for folder in ["data", "experiments"] {
        std::fs::create_dir_all(space.path().join(folder)).unwrap();
        for entry in std::fs::read_dir(repository().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::copy(&path, space.path().join(folder).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let mut printed = String::new();
    let mut commands = 0;
    for block in readme.split("```console\n").skip(1) {
        let mut said = Vec::new();
        for line in block.split("```").next().unwrap().lines() {
            let Some(words) = line.strip_prefix("$ target/release/pipeline ") else {
                let shown = line.trim() == "…" || line.contains(['┤', '│', '└']) || said.contains(&gist(line));
                assert!(shown, "the README says `{line}`, the program:\n{printed}");
                continue;
            };
            let script = format!("'{}' {words} 2>&1", programs().join("pipeline").display());
            let output = Command::new("sh").args(["-c", &script]).current_dir(space.path()).output().unwrap();
            printed = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success(), "{words}: {printed}");
            said = printed.lines().map(gist).collect();
            commands += 1;
        }
    }
    assert!(commands >= 5);
}

/// A line without its numbers, digests and spacing.
fn gist(line: &str) -> String {
    let word = |word: &str| -> String {
        if word.len() >= 8 && word.bytes().all(|b| b.is_ascii_hexdigit()) {
            return "#".to_owned();
        }
        if word == "ms" {
            return "s".to_owned();
        }
        let mut text = String::new();
        for c in word.chars() {
            let number = c.is_ascii_digit() || c == '.';
            if !number || !text.ends_with('#') {
                text.push(if number { '#' } else { c });
            }
        }
        text
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}
