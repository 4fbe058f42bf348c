//! `pipeline dag`.

use std::collections::BTreeSet;
use std::path::Path;

use crate::args::{DagArgs, Drawing};
use crate::ui;
use crate::ui::look::Look;
use crate::ui::table::{Table, left};
use engine::graph::{self, Stage};
use experiment::{Experiment, Point};
use identity::StageName;
use session::failure::Failure;
use session::places::Paths;
use session::plan::{built_in, key_params};

/// Draws the graph of an experiment's stages.
pub fn dag(args: &DagArgs, paths: &Paths, here: &Path) -> Result<(), Failure> {
    let experiment = Experiment::load(&args.experiment, &args.set, here, paths.root())?;
    let drawn = drawn(&experiment)?;
    ui::data(&match args.format {
        Drawing::Text => text(&experiment, &drawn, Look::stdout()),
        Drawing::Mermaid => mermaid(&drawn),
        Drawing::Dot => dot(&experiment.name, &drawn),
    });
    Ok(())
}

/// A stage as it is drawn.
struct Drawn {
    name: StageName,
    needs: Vec<String>,
    /// What it is executed for when not just once.
    each: String,
    /// How many different keys the points make of it, in words; empty for a single point.
    keys: String,
    /// The swept keys that it reads itself.
    swept: Vec<String>,
}

fn drawn(experiment: &Experiment) -> Result<Vec<Drawn>, Failure> {
    let points = &experiment.points;
    let stages = graph::order(&built_in()).map_err(|words| Failure::failed(format!("BUG: {words}"), ""))?;
    // A stage may be there at some points only, where the study sweeps a key of its table.
    let used = |stage: &Stage| points.iter().any(|point| point.stages.table(stage.name.as_str()).is_some());
    let stages: Vec<Stage> = stages.into_iter().filter(used).collect();
    let draw = |stage: &Stage| Drawn {
        name: stage.name.clone(),
        needs: match stage.needs.is_empty() {
            true => vec!["corpus".to_owned()],
            false => stage.needs.iter().map(StageName::to_string).collect(),
        },
        each: stage.each.as_deref().unwrap_or_default().to_owned(),
        keys: keys(variants(stage, &stages, points), points.len()),
        swept: swept(stage, points),
    };
    Ok(stages.iter().map(draw).collect())
}

fn keys(variants: usize, points: usize) -> String {
    match (variants, points) {
        (_, 1) => String::new(),
        (1, points) => format!("shared by all {points} points"),
        (variants, points) if variants == points => format!("one for each of {points} points"),
        (variants, points) => format!("{variants} for {points} points"),
    }
}

/// How many different computations the points ask of a stage, as far as parameters tell: outputs that turn out equal
/// may make them fewer.
fn variants(stage: &Stage, all: &[Stage], points: &[Point]) -> usize {
    let mut above = BTreeSet::from([&stage.name]);
    // The list is in an order in which needs come first, so that one walk back finds all that it stands on.
    for other in all.iter().rev() {
        if above.contains(&other.name) {
            above.extend(&other.needs);
        }
    }
    let read = |point: &Point| {
        let tables =
            above.iter().map(|name| key_params(point, name.as_str()).map_or(String::new(), |table| table.to_string()));
        format!("{:?} {}", point.corpus, tables.collect::<Vec<_>>().join(" "))
    };
    let asking = points.iter().filter(|point| point.stages.table(stage.name.as_str()).is_some());
    asking.map(read).collect::<BTreeSet<_>>().len()
}

/// The swept keys that a stage reads itself: of its own table, of the corpus, or the seed that its own defaults to.
fn swept(stage: &Stage, points: &[Point]) -> Vec<String> {
    let differs = |key: &str| {
        let read = |point: &Point| key_params(point, stage.name.as_str()).map(|table| table[key].to_string());
        points.iter().map(read).collect::<BTreeSet<_>>().len() > 1
    };
    let reads = |key: &str| match key.split_once('.') {
        Some(("corpus", _)) => stage.needs.is_empty(),
        Some((table, rest)) => stage.name == table && differs(rest.split('.').next().unwrap_or(rest)),
        None => key == "seed" && differs("seed"),
    };
    let mut found = Vec::new();
    for (key, _) in points.iter().flat_map(|point| &point.swept) {
        if reads(key) && !found.contains(key) {
            found.push(key.clone());
        }
    }
    found
}

fn text(experiment: &Experiment, drawn: &[Drawn], look: Look) -> String {
    let points = experiment.points.len();
    let mut text = format!("{}: {points} point{}\n", experiment.name, if points == 1 { "" } else { "s" });
    let mut table = Table::new(["stage", "needs", "for", "keys", "swept"].map(left).into());
    for stage in drawn {
        let each = if stage.each.is_empty() { "once" } else { &stage.each };
        let keys = if stage.keys.is_empty() { "one" } else { &stage.keys };
        let cells = [stage.name.as_str(), &stage.needs.join(", "), each, keys, &stage.swept.join(", ")];
        table.plain(cells.map(str::to_owned).into());
    }
    text.push_str(&table.render(look).0);
    let in_keys = |key: &String| drawn.iter().any(|stage| stage.swept.contains(key));
    let swept: BTreeSet<&String> =
        experiment.points.iter().flat_map(|point| &point.swept).map(|(key, _)| key).collect();
    for key in swept.into_iter().filter(|key| !in_keys(key)) {
        // Momentum where the optimiser has none; or a choice of checkpoints, which only says what is executed.
        text.push_str(&format!("{key} is swept and changes no key\n"));
    }
    text
}

/// What stands in a box under the stage's name.
fn lines(stage: &Drawn) -> Vec<String> {
    let swept = if stage.swept.is_empty() { String::new() } else { format!("swept: {}", stage.swept.join(", ")) };
    let each = if stage.each.is_empty() { String::new() } else { format!("for {}", stage.each) };
    [each, stage.keys.clone(), swept].into_iter().filter(|line| !line.is_empty()).collect()
}

fn mermaid(drawn: &[Drawn]) -> String {
    let mut text = "flowchart LR\n  corpus[(\"corpus\")]\n".to_owned();
    for stage in drawn {
        let lines: Vec<String> = std::iter::once(stage.name.to_string())
            .chain(lines(stage))
            .map(|line| line.replace('"', "#quot;"))
            .collect();
        text.push_str(&format!("  {}[\"{}\"]\n", stage.name, lines.join("<br/>")));
    }
    for (from, to) in arrows(drawn) {
        text.push_str(&format!("  {from} --> {to}\n"));
    }
    text
}

fn dot(name: &str, drawn: &[Drawn]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut text = format!("digraph {} {{\n  rankdir=LR\n  node [shape=box]\n", quoted(name));
    text.push_str("  \"corpus\" [shape=cylinder]\n");
    for stage in drawn {
        let mut label = quoted(stage.name.as_str());
        label.pop();
        for line in lines(stage) {
            // `\n` is Graphviz's own escape.
            label.push_str(&format!("\\n{}", quoted(&line).trim_matches('"')));
        }
        text.push_str(&format!("  {} [label={label}\"]\n", quoted(stage.name.as_str())));
    }
    for (from, to) in arrows(drawn) {
        text.push_str(&format!("  {} -> {}\n", quoted(from), quoted(to)));
    }
    text.push_str("}\n");
    text
}

fn arrows(drawn: &[Drawn]) -> impl Iterator<Item = (&str, &str)> {
    drawn.iter().flat_map(|stage| stage.needs.iter().map(|need| (need.as_str(), stage.name.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, overrides: &[&str]) -> Experiment {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        Experiment::load(&root.join("experiments").join(name), &overrides, &root, &root).unwrap()
    }

    /// What each stage has as keys and sweeps, of those that are not shared.
    fn counted(overrides: &[&str]) -> Vec<String> {
        let drawn = drawn(&load("tiny.toml", overrides)).unwrap();
        let own = drawn.iter().filter(|stage| !stage.keys.starts_with("shared"));
        own.map(|stage| format!("{} {} [{}]", stage.name, stage.keys, stage.swept.join(" "))).collect()
    }

    #[test]
    fn the_graph_of_a_study() {
        let study = load("lr_study.toml", &["vocab.size=[5000,10000]"]);
        let stages = drawn(&study).unwrap();
        let all = [
            text(&study, &stages, Look { terminal: false, ..Look::PLAIN }),
            mermaid(&stages),
            dot(&study.name, &stages),
        ];
        insta::assert_snapshot!(all.join("\n"), @r#"
        lr_study: 10 points
        stage      needs         for                             keys                       swept
        tokenize   corpus        once                            shared by all 10 points
        vocab      tokenize      once                            2 for 10 points            vocab.size
        batch      vocab         once                            2 for 10 points
        baselines  vocab         once                            2 for 10 points
        train      vocab, batch  once                            one for each of 10 points  train.learning_rate
        evaluate   vocab, train  each kept checkpoint and split  one for each of 10 points
        sample     vocab, train  each kept checkpoint            one for each of 10 points

        flowchart LR
          corpus[("corpus")]
          tokenize["tokenize<br/>shared by all 10 points"]
          vocab["vocab<br/>2 for 10 points<br/>swept: vocab.size"]
          batch["batch<br/>2 for 10 points"]
          baselines["baselines<br/>2 for 10 points"]
          train["train<br/>one for each of 10 points<br/>swept: train.learning_rate"]
          evaluate["evaluate<br/>for each kept checkpoint and split<br/>one for each of 10 points"]
          sample["sample<br/>for each kept checkpoint<br/>one for each of 10 points"]
          corpus --> tokenize
          tokenize --> vocab
          vocab --> batch
          vocab --> baselines
          vocab --> train
          batch --> train
          vocab --> evaluate
          train --> evaluate
          vocab --> sample
          train --> sample

        digraph "lr_study" {
          rankdir=LR
          node [shape=box]
          "corpus" [shape=cylinder]
          "tokenize" [label="tokenize\nshared by all 10 points"]
          "vocab" [label="vocab\n2 for 10 points\nswept: vocab.size"]
          "batch" [label="batch\n2 for 10 points"]
          "baselines" [label="baselines\n2 for 10 points"]
          "train" [label="train\none for each of 10 points\nswept: train.learning_rate"]
          "evaluate" [label="evaluate\nfor each kept checkpoint and split\none for each of 10 points"]
          "sample" [label="sample\nfor each kept checkpoint\none for each of 10 points"]
          "corpus" -> "tokenize"
          "tokenize" -> "vocab"
          "vocab" -> "batch"
          "vocab" -> "baselines"
          "vocab" -> "train"
          "batch" -> "train"
          "vocab" -> "evaluate"
          "train" -> "evaluate"
          "vocab" -> "sample"
          "train" -> "sample"
        }
        "#);
        let idle = load("tiny.toml", &["train.momentum=[0.5,0.9]"]);
        let text = text(&idle, &drawn(&idle).unwrap(), Look::PLAIN);
        assert!(text.ends_with("\ntrain.momentum is swept and changes no key\n"), "{text}");
    }

    #[test]
    fn what_no_stage_reads_makes_no_further_key() {
        let fixed = "train.learning_rate=0.01";
        // Adam reads no momentum, streams draw nothing, and a selection is part of no key.
        for set in ["train.momentum=[0.5,0.9]", "batch.seed=[1,2]", "sample.at=[\"last\",\"all\"]"] {
            assert_eq!(counted(&[fixed, set]), [""; 0], "{set}");
        }
        assert_eq!(counted(&[fixed, "sample.length=[10,20]"]), ["sample one for each of 2 points [sample.length]"]);
        // Where it is computed is part of a training's key, under a name of its own.
        let devices = counted(&[fixed, "train.device=[\"cpu\",\"cuda\"]"]);
        assert_eq!(devices[0], "train one for each of 2 points [train.device]");
        assert_eq!(
            counted(&[fixed, "seed=[1,2]"]),
            [
                "train one for each of 2 points [seed]",
                "evaluate one for each of 2 points []",
                "sample one for each of 2 points [seed]"
            ]
        );
        assert_eq!(
            counted(&["sample.length=[10,20]"]),
            [
                "train 2 for 4 points [train.learning_rate]",
                "evaluate 2 for 4 points []",
                "sample one for each of 4 points [sample.length]"
            ]
        );
    }

    #[test]
    fn labels_are_quoted() {
        assert!(dot("a \"b\" \\c", &[]).starts_with("digraph \"a \\\"b\\\" \\\\c\" {"));
    }
}
