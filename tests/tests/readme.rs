//! The README's transcript is true: each command ends well and prints the lines that stand below it, in their order.
//!
//! A line `…` stands for any lines. Times, and whatever else depends on the machine, are masked by the rules of
//! [`MASKS`]; every other word, number, digest and dot of a curve is compared. Where the CPU has fused multiply-add,
//! training has one order of every sum, so numbers are the same to the bit whatever the processor, and must be the
//! README's own. Without it the last bits differ from the first step on, and what may be compared is [`near`].

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use regex::Regex;
use tests::rounding::{exact, near};
use tests::{TestSpace, copy_folder, programs, repository};

/// What differs from machine to machine: what it is, how it is written, and what is compared in its place.
const MASKS: [(&str, &str, &str); 3] = [
    ("a time: two computers are not equally fast", r"\b([\d.]+ (ms|s|min)|\d+h\d\d)\b", "TIME"),
    ("threads: a training gets as many as the cores allow", r"\b(\d+ to )?\d+ threads?\b", "THREADS"),
    ("a page's size: it holds times and the machine's name", r"\([\d.]+ kB\)", "(SIZE)"),
];

/// A line without what depends on the machine, and with single blanks, since a column is as wide as its widest time.
fn masked(line: &str) -> String {
    static RULES: LazyLock<Vec<(Regex, &str)>> =
        LazyLock::new(|| MASKS.iter().map(|(_, written, instead)| (Regex::new(written).unwrap(), *instead)).collect());
    let line = RULES.iter().fold(line.to_owned(), |line, (rule, instead)| rule.replace_all(&line, *instead).into());
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first line of a transcript that the program didn't print in its place: lines stand next to each other in both,
/// unless `…` is between them, and in one order, unless jobs that ran side by side have printed them.
fn first_missing<'t>(
    shown: &[&'t str],
    printed: &str,
    side_by_side: bool,
    same: impl Fn(&str, &str) -> bool,
) -> Option<&'t str> {
    let said: Vec<String> = printed.lines().map(masked).collect();
    let mut from = 0;
    let mut gap = false;
    for line in shown {
        if line.trim() == "…" {
            gap = true;
            continue;
        }
        let line_masked = masked(line);
        let at = match (side_by_side, gap) {
            (true, _) => said.iter().position(|said| same(&line_masked, said)),
            (false, true) => (from..said.len()).find(|at| same(&line_masked, &said[*at])),
            (false, false) => (from..said.len().min(from + 1)).find(|at| same(&line_masked, &said[*at])),
        };
        let Some(at) = at else { return Some(line) };
        from = at + 1;
        gap = false;
    }
    None
}

/// Runs the commands of a page's `console` blocks, in their order, in a folder of their own that has the experiments and the
/// corpora; returns how many there are. Each begins with `program`.
fn check_page(page: &Path, program: &str) -> usize {
    let space = TestSpace::new();
    copy_folder(&repository().join("experiments"), &space.path("experiments"));
    std::os::unix::fs::symlink(repository().join("data/shakespeare.txt"), space.path("data/shakespeare.txt")).unwrap();
    std::fs::create_dir_all(space.path("target/release")).unwrap();
    for program in ["pipeline", "pipeline-neural"] {
        std::os::unix::fs::symlink(programs().join(program), space.path("target/release").join(program)).unwrap();
    }
    let path = format!("{}:{}", space.path("target/release").display(), std::env::var("PATH").unwrap());
    let text = std::fs::read_to_string(page).unwrap();
    let mut wrong = Vec::new();
    let mut commands = 0;
    for block in text.split("```console\n").skip(1) {
        for part in block.split("```").next().unwrap().split("$ ").skip(1) {
            let mut lines = part.lines();
            let words = lines.next().unwrap();
            assert!(words.starts_with(program), "{}: not a command of {program}: {words}", page.display());
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("{words} 2>&1")]).current_dir(space.path(".")).env("PATH", &path);
            for variable in ["PIPELINE_DB", "PIPELINE_STORE", "PIPELINE_NEURAL", "PIPELINE_LOG", "PIPELINE_REDACT"] {
                shell.env_remove(variable);
            }
            let output = shell.output().unwrap();
            let printed = String::from_utf8(output.stdout).unwrap();
            let shown: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
            let expected = if shown.first().is_some_and(|line| line.starts_with("error: ")) { 2 } else { 0 };
            assert_eq!(output.status.code(), Some(expected), "{}: {words}: {printed}", page.display());
            commands += 1;
            let side_by_side = [" run ", " confirm "].iter().any(|command| words.contains(command));
            let printed: String =
                printed.lines().filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect();
            let missing = if exact() {
                first_missing(&shown, &printed, side_by_side, |shown, said| shown == said)
            } else {
                first_missing(&shown, &printed, side_by_side, near)
            };
            if let Some(line) = missing {
                wrong.push(format!("$ {words}\nthe page says `{line}`, the program:\n{printed}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", page.display(), wrong.join("\n"));
    commands
}

#[test]
fn every_command_of_the_readme_does_what_it_shows() {
    assert!(check_page(&repository().join("README.md"), "target/release/pipeline ") >= 5);
}

#[test]
fn every_command_of_the_docs_does_what_it_shows() {
    let mut commands = 0;
    for entry in std::fs::read_dir(repository().join("docs")).unwrap() {
        let page = entry.unwrap().path();
        if page.extension().is_some_and(|extension| extension == "md") {
            commands += check_page(&page, "pipeline ");
        }
    }
    assert!(commands >= 10, "{commands}");
}

#[test]
fn masks_hide_what_a_machine_does_and_nothing_else() {
    assert_eq!(masked("  200 steps in 0.9 s, seed 1"), "200 steps in TIME, seed 1");
    assert_eq!(
        masked("train  executed   3 min  70f2ff18  200 steps, 1 thread, cpu"),
        "train executed TIME 70f2ff18 200 steps, THREADS, cpu"
    );
    assert_eq!(masked("wrote report.html (169.0 kB): run1"), "wrote report.html (SIZE): run1");
    for line in ["   100  valid  4.5417        93.8   2,507", "run1 at 30 distinct-1 1.00", "in 20 steps"] {
        assert_eq!(masked(line), line.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let line = "200 valid 4.2939 73.3 2,507 best";
    assert!(near(line, "200 valid 4.2941 73.4 2,507 best") && near("greedy 0.03", "greedy 0.04"));
    for other in [
        "200 valid 4.7233 73.3 2,507 best",
        "200 valid 4.2939 80.6 2,507 best",
        "201 valid 4.2939 73.3 2,507 best",
        "200 valid 4.2939 73.3 2,758 best",
    ] {
        assert!(!near(line, other), "{other}");
    }
}

#[test]
fn lines_stand_in_their_order_and_next_to_each_other() {
    let missing =
        |shown: &[&'static str], side_by_side| first_missing(shown, "a\nb\nc\nd\n", side_by_side, |a, b| a == b);
    assert_eq!(missing(&["a", "b", "c", "d"], false), None);
    assert_eq!(missing(&["a", "…", "c", "d"], false), None);
    assert_eq!(missing(&["…", "d"], false), None);
    assert_eq!(missing(&["a", "c"], false), Some("c"));
    assert_eq!(missing(&["a", "…", "d", "c"], false), Some("c"));
    assert_eq!(missing(&["…", "b", "…", "a"], false), Some("a"));
    assert_eq!(missing(&["b", "a"], true), None);
    assert_eq!(missing(&["b", "e"], true), Some("e"));
}
