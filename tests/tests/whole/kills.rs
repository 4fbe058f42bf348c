//! A pulled plug at any moment costs time and nothing else.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::json;
use stages::random::Stream;

use crate::space::Space;

const WORDS: [&str; 6] = ["run", "x.toml", "--jobs", "2", "--threads", "1"];
/// Long enough that most kills land in training.
const MORE: [&str; 4] = ["--set", "train.steps=400", "--set", "train.on_nonfinite=continue"];

fn words() -> Vec<&'static str> {
    [&WORDS[..], &MORE[..]].concat()
}

fn children(of: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    let mut found: Vec<u32> = list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    // A worker is a child of the thread that started it.
    for task in std::fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten() {
        let list = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(list.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn kill(pid: u32, signal: &str) {
    let _ = Command::new("kill").args([signal, &pid.to_string()]).output();
}

/// The undisturbed answer, and how long it took.
fn undisturbed() -> (String, Duration) {
    let space = Space::new();
    let began = Instant::now();
    space.ok(&words());
    (space.answer(), began.elapsed())
}

fn check(space: &Space, answer: &str, moment: &str) {
    space.ok(&words());
    let runs = space.sql("SELECT run, status FROM run_summary ORDER BY run");
    assert_eq!(runs, [json!({"run": 1, "status": "finished"}), json!({"run": 2, "status": "finished"})], "{moment}");
    let doubled = space.one("SELECT count(*) - count(DISTINCT run * 100000 + step) FROM run_steps");
    assert_eq!(doubled, 0, "{moment}");
    assert_eq!(space.one("SELECT count(*) FROM executions WHERE status = 'running'"), 0, "{moment}");
    assert_eq!(space.one("SELECT count(*) FROM events WHERE kind = 'differs'"), 0, "{moment}");
    space.objects_are_sound();
    assert!(space.answer() == answer, "another answer after {moment}");
}

fn start(space: &Space) -> Child {
    space.command().args(words()).spawn().unwrap()
}

#[test]
fn the_program_is_killed_at_twenty_moments() {
    let (answer, whole) = undisturbed();
    for i in 0..20 {
        let space = Space::new();
        let delay = whole.mul_f64(Stream::new(1, "kill the program").uniform(i));
        let mut child = start(&space);
        std::thread::sleep(delay);
        let _ = child.kill();
        child.wait().unwrap();
        check(&space, &answer, &format!("a kill after {delay:?}"));
    }
}

#[test]
fn a_worker_is_killed_at_twenty_moments() {
    let (answer, whole) = undisturbed();
    let mut hit = 0;
    for i in 0..20 {
        let space = Space::new();
        let delay = whole.mul_f64(0.1 + 0.7 * Stream::new(2, "kill a worker").uniform(i));
        let child = start(&space);
        std::thread::sleep(delay);
        let serving =
            |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(b"serve\0"));
        let workers: Vec<u32> = children(child.id()).into_iter().filter(serving).collect();
        if let Some(worker) = workers.get(i as usize % workers.len().max(1)) {
            kill(*worker, "-9");
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(1) {
            hit += 1;
            assert!(said.contains("error: run") && said.contains("killed"), "{said}");
        } else {
            assert_eq!(output.status.code(), Some(0), "{said}");
        }
        check(&space, &answer, &format!("a worker's death after {delay:?}"));
    }
    assert!(hit > 0, "no kill met a worker at work");
}

#[test]
fn an_interrupt_keeps_what_is_done() {
    let (answer, whole) = undisturbed();
    let space = Space::new();
    let child = start(&space);
    std::thread::sleep(whole.mul_f64(0.5));
    kill(child.id(), "-INT");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("hint: pipeline run x.toml goes on where it stopped"), "{said}");
    assert_eq!(
        space.one("SELECT count(*) FROM run_summary WHERE status = 'interrupted'").as_u64().map(|n| n > 0),
        Some(true)
    );
    check(&space, &answer, "an interrupt");
}
