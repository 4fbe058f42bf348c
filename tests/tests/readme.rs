//! The README's transcript is true: each command ends well and prints the lines that stand below it.
//!
//! Numbers are not compared, since times differ from run to run and losses, in their last digits, from one kind of
//! processor to the next; nor are curves. A line `…` stands for anything.

use std::process::Command;

use tests::{TestSpace, copy_folder, programs, repository};

#[test]
fn every_command_of_the_readme_does_what_it_shows() {
    let space = TestSpace::new();
    copy_folder(&repository().join("experiments"), &space.path("experiments"));
    std::os::unix::fs::symlink(repository().join("data/shakespeare.txt"), space.path("data/shakespeare.txt")).unwrap();
    std::fs::create_dir_all(space.path("target/release")).unwrap();
    for program in ["pipeline", "pipeline-neural"] {
        std::os::unix::fs::symlink(programs().join(program), space.path("target/release").join(program)).unwrap();
    }
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let mut printed = String::new();
    let mut commands = 0;
    for block in readme.split("```console\n").skip(1) {
        let mut said = Vec::new();
        for line in block.split("```").next().unwrap().lines() {
            let Some(words) = line.strip_prefix("$ ") else {
                let shown = line.trim() == "…" || line.contains(['┤', '│', '└']) || said.contains(&gist(line));
                assert!(shown, "the README says `{line}`, the program:\n{printed}");
                continue;
            };
            assert!(words.starts_with("target/release/pipeline "), "a command for somebody else: {words}");
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("{words} 2>&1")]).current_dir(space.path("."));
            for variable in ["PIPELINE_DB", "PIPELINE_STORE", "PIPELINE_NEURAL", "PIPELINE_LOG"] {
                shell.env_remove(variable);
            }
            let output = shell.output().unwrap();
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
        match word {
            "ms" => return "s".to_owned(),
            // More cores, more threads.
            "threads," => return "thread,".to_owned(),
            _ => {}
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
