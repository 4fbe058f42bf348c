//! `pipeline dag`.

use std::collections::BTreeSet;
use std::path::Path;

use crate::args::{DagArgs, Drawing};
use crate::engine::graph::{self, Stage};
use crate::experiment::{Experiment, Point};
use crate::failure::Failure;
use crate::places::Paths;
use crate::plan::STAGES;
use crate::ui;

/// Draws the graph of an experiment's stages.
pub fn dag(args: &DagArgs, paths: &Paths, here: &Path) -> Result<(), Failure> {
    let experiment = Experiment::load(&args.experiment, &args.set, here, paths.root())?;
    let stages = graph::order(STAGES).map_err(|words| Failure::failed(format!("BUG: {words}"), ""))?;
    let first = &experiment.points[0];
    let used: Vec<Stage> = stages.into_iter().filter(|stage| first.stages.contains_key(stage.name)).collect();
    let boxes: Vec<Box> = used.iter().map(|stage| describe(stage, &used, &experiment.points)).collect();
    ui::data(&match args.format {
        Drawing::Text => text(&experiment, &boxes),
        Drawing::Mermaid => mermaid(&boxes),
        Drawing::Dot => dot(&experiment, &boxes),
    });
    Ok(())
}

/// A stage as it is drawn.
struct Box {
    name: &'static str,
    needs: &'static [&'static str],
    /// How many times it is computed, in words.
    times: String,
}

fn describe(stage: &Stage, all: &[Stage], points: &[Point]) -> Box {
    let variants = variants(stage, all, points);
    let mut times = match (variants, points.len()) {
        (_, 1) => String::new(),
        (1, points) => format!("once for all {points} points"),
        (variants, points) if variants == points => format!("once for each of {points} points"),
        (variants, points) => format!("{variants} times for {points} points"),
    };
    if let Some(each) = stage.each {
        times = if times.is_empty() { format!("for {each}") } else { format!("{times}, for {each}") };
    }
    Box { name: stage.name, needs: stage.needs, times }
}

/// How many different computations the points ask of a stage, as far as parameters tell: outputs that turn out equal
/// may make them fewer.
fn variants(stage: &Stage, all: &[Stage], points: &[Point]) -> usize {
    let mut above = BTreeSet::from([stage.name]);
    // The list is in an order in which needs come first, so that one walk back finds all that it stands on.
    for other in all.iter().rev() {
        if above.contains(other.name) {
            above.extend(other.needs);
        }
    }
    let read = |point: &Point| {
        let tables: Vec<String> = point
            .stages
            .iter()
            .filter(|(name, _)| above.contains(*name))
            .map(|(name, table)| format!("{name} {table}"))
            .collect();
        format!("{:?} {}", point.corpus, tables.join(" "))
    };
    points.iter().map(read).collect::<BTreeSet<_>>().len()
}

fn text(experiment: &Experiment, boxes: &[Box]) -> String {
    let mut text = format!("{}: {} point(s)\n", experiment.name, experiment.points.len());
    for point in experiment.points.iter().filter(|point| !point.swept.is_empty()) {
        text.push_str(&format!("  {}\n", point.label()));
    }
    for stage in boxes {
        let needs = if stage.needs.is_empty() { "corpus".to_owned() } else { stage.needs.join(" + ") };
        text.push_str(format!("{needs:>15} -> {:<9} {}", stage.name, stage.times).trim_end());
        text.push('\n');
    }
    text
}

fn mermaid(boxes: &[Box]) -> String {
    let mut text = "flowchart LR\n  corpus[(\"corpus\")]\n".to_owned();
    for stage in boxes {
        let times = if stage.times.is_empty() { String::new() } else { format!("<br/>{}", stage.times) };
        text.push_str(&format!("  {}[\"{}{times}\"]\n", stage.name, stage.name));
    }
    for (from, to) in arrows(boxes) {
        text.push_str(&format!("  {from} --> {to}\n"));
    }
    text
}

fn dot(experiment: &Experiment, boxes: &[Box]) -> String {
    let mut text =
        format!("digraph \"{}\" {{\n  rankdir=LR\n  node [shape=box]\n  corpus [shape=cylinder]\n", experiment.name);
    for stage in boxes {
        let times = if stage.times.is_empty() { String::new() } else { format!("\\n{}", stage.times) };
        text.push_str(&format!("  {} [label=\"{}{times}\"]\n", stage.name, stage.name));
    }
    for (from, to) in arrows(boxes) {
        text.push_str(&format!("  {from} -> {to}\n"));
    }
    text.push_str("}\n");
    text
}

fn arrows(boxes: &[Box]) -> Vec<(&'static str, &'static str)> {
    let of = |stage: &Box| -> Vec<(&'static str, &'static str)> {
        if stage.needs.is_empty() {
            return vec![("corpus", stage.name)];
        }
        stage.needs.iter().map(|need| (*need, stage.name)).collect()
    };
    boxes.iter().flat_map(of).collect()
}
