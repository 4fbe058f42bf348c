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

/// A stage of the drawn graph.
struct Drawn {
    name: StageName,
    needs: Vec<String>,
    /// What the stage is executed for; empty if it runs once.
    each: String,
    /// How many distinct keys the points give the stage, in words; empty for a single point.
    keys: String,
    /// The swept keys that the stage reads itself.
    swept: Vec<String>,
}

fn drawn(experiment: &Experiment) -> Result<Vec<Drawn>, Failure> {
    let points = &experiment.points;
    let stages = graph::order(&built_in()).map_err(|words| Failure::failed(format!("BUG: {words}"), ""))?;
    // A stage may run at some points only, if the study sweeps a key of its table.
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
        (1, _) => "shared by all points".to_owned(),
        (variants, points) if variants == points => "one per point".to_owned(),
        (variants, points) => format!("{variants} for {points} points"),
    }
}

/// How many distinct computations of a stage the points require, judging by parameters. Equal outputs of earlier stages
/// can reduce the number.
fn variants(stage: &Stage, all: &[Stage], points: &[Point]) -> usize {
    let mut above = BTreeSet::from([&stage.name]);
    // The list is in topological order, so one backward walk finds every stage that this one depends on.
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

/// The swept keys that a stage itself reads: keys of its table, keys of the corpus, and the top-level seed if that is
/// the default of its own seed.
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
        // For example momentum without a momentum optimiser, or a selection of checkpoints, which is part of no key.
        text.push_str(&format!("sweeping {key} changes no stage key\n"));
    }
    text
}

/// The lines under the stage's name in a box.
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
            // `\n` starts a new line in a Graphviz label.
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

    /// Keys and swept keys of each stage that is not shared.
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
        stage      needs         for                             keys                  swept
        tokenize   corpus        once                            shared by all points
        vocab      tokenize      once                            2 for 10 points       vocab.size
        batch      vocab         once                            2 for 10 points
        baselines  vocab         once                            2 for 10 points
        train      vocab, batch  once                            one per point         train.learning_rate
        evaluate   vocab, train  each kept checkpoint and split  one per point
        sample     vocab, train  each kept checkpoint            one per point

        flowchart LR
          corpus[("corpus")]
          tokenize["tokenize<br/>shared by all points"]
          vocab["vocab<br/>2 for 10 points<br/>swept: vocab.size"]
          batch["batch<br/>2 for 10 points"]
          baselines["baselines<br/>2 for 10 points"]
          train["train<br/>one per point<br/>swept: train.learning_rate"]
          evaluate["evaluate<br/>for each kept checkpoint and split<br/>one per point"]
          sample["sample<br/>for each kept checkpoint<br/>one per point"]
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
          "tokenize" [label="tokenize\nshared by all points"]
          "vocab" [label="vocab\n2 for 10 points\nswept: vocab.size"]
          "batch" [label="batch\n2 for 10 points"]
          "baselines" [label="baselines\n2 for 10 points"]
          "train" [label="train\none per point\nswept: train.learning_rate"]
          "evaluate" [label="evaluate\nfor each kept checkpoint and split\none per point"]
          "sample" [label="sample\nfor each kept checkpoint\none per point"]
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
        assert!(text.ends_with("\nsweeping train.momentum changes no stage key\n"), "{text}");
    }

    #[test]
    fn a_swept_key_that_no_stage_reads_adds_no_stage_key() {
        let fixed = "train.learning_rate=0.01";
        // Adam reads no momentum, the streams layout uses no seed, and a selection is not part of any key.
        for set in ["train.momentum=[0.5,0.9]", "batch.seed=[1,2]", "sample.at=[\"last\",\"all\"]"] {
            assert_eq!(counted(&[fixed, set]), [""; 0], "{set}");
        }
        assert_eq!(counted(&[fixed, "sample.length=[10,20]"]), ["sample one per point [sample.length]"]);
        // The device is part of the key of train, under another name.
        let devices = counted(&[fixed, "train.device=[\"cpu\",\"cuda\"]"]);
        assert_eq!(devices[0], "train one per point [train.device]");
        assert_eq!(
            counted(&[fixed, "seed=[1,2]"]),
            ["train one per point [seed]", "evaluate one per point []", "sample one per point [seed]"]
        );
        assert_eq!(
            counted(&["sample.length=[10,20]"]),
            [
                "train 2 for 4 points [train.learning_rate]",
                "evaluate 2 for 4 points []",
                "sample one per point [sample.length]"
            ]
        );
    }

    #[test]
    fn labels_are_quoted() {
        assert!(dot("a \"b\" \\c", &[]).starts_with("digraph \"a \\\"b\\\" \\\\c\" {"));
    }
}
