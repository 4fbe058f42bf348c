//! The README's transcript is true: each command ends well and prints the lines that stand below it.

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
        for line in block.split("```").next().unwrap().lines() {
            let Some(words) = line.strip_prefix("$ target/release/pipeline ") else {
                // A number in a loss may differ in its last digit on another processor; words may not.
                let exact = !line.contains("one is ");
                assert!(!exact || printed.contains(line), "the README says `{line}`, the program:\n{printed}");
                continue;
            };
            let script = format!("'{}' {words} 2>&1", programs().join("pipeline").display());
            let output = Command::new("sh").args(["-c", &script]).current_dir(space.path()).output().unwrap();
            printed = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success(), "{words}: {printed}");
            commands += 1;
        }
    }
    assert!(commands >= 5);
}
