//! The graph of the built-in stages, one row per stage, and what a point requires of each stage.

mod again;
mod keys;
mod training;

use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use serde_json::Value;
use stages::params::{self, CheckpointSelection, Evaluate};
use stages::plan::BatchPlan;
use stages::schema::Role;
use stages::{Context, StageError, StageOutcome};

use engine::graph::{Input, Node, Plan, Stage, Upstream, Way, WorkerFacts};
use experiment::{Point, Stages};
use identity::{Digest, Fields, OutputName, StageName};

pub use again::{PARENT, again};
use keys::{device, table_fields};
pub use keys::{key_params, reads};
pub use training::Ancestor;
use training::train;

/// The built-in stages.
pub fn built_in() -> Arc<[Stage]> {
    static STAGES: LazyLock<Arc<[Stage]>> = LazyLock::new(|| {
        Arc::new([
            row("tokenize", &[], Way::Here(|params, context| run(params, context, stages::tokenize::run))),
            row("vocab", &["tokenize"], Way::Here(|params, context| run(params, context, stages::vocab::run))),
            row("batch", &["vocab"], Way::Here(|params, context| run(params, context, stages::batch::run))),
            row("baselines", &["vocab"], Way::Here(|params, context| run(params, context, stages::baselines::run))),
            row(TRAIN, &["vocab", "batch"], Way::Worker),
            Stage {
                each: Some("each kept checkpoint and split".into()),
                ..row("evaluate", &["vocab", TRAIN], Way::Worker)
            },
            Stage {
                each: Some("each kept checkpoint".into()),
                ..row(
                    "sample",
                    &["vocab", TRAIN],
                    Way::Here(|params, context| run(params, context, stages::sample::run)),
                )
            },
        ])
    });
    Arc::clone(&STAGES)
}

/// The built-in stage that trains.
const TRAIN: &str = "train";

/// The name of the built-in stage that trains.
pub fn training() -> StageName {
    name(TRAIN)
}

fn row(stage: &str, needs: &[&str], way: Way) -> Stage {
    let needs = needs.iter().map(|need| name(need)).collect();
    let later = params::stage_keys(stage).is_some_and(|keys| keys.later);
    Stage { name: name(stage), version: params::version(stage), needs, each: None, later, way }
}

/// The name of a built-in stage.
fn name(text: &str) -> StageName {
    StageName::new(text).expect("BUG: a built-in stage has an invalid name")
}

fn run<P: for<'de> serde::Deserialize<'de>>(
    params: &Value,
    context: &Context,
    stage: fn(&P, &Context) -> Result<StageOutcome, StageError>,
) -> Result<StageOutcome, StageError> {
    stage(&params::read("the stage", params)?, context)
}

/// A corpus file: its name, digest and path.
pub type FileAtHand = (String, Digest, PathBuf);

/// What one point requires of each stage.
#[derive(Debug)]
pub struct PointPlan {
    /// The stages of the experiment.
    graph: Arc<[Stage]>,
    /// The parameters of each stage.
    tables: Stages,
    /// The corpus files, which most points of a study share.
    sources: Arc<[FileAtHand]>,
    /// For a fork: its parent, then the parent's parent if the parent is a fork too, and so on.
    ancestors: Vec<Ancestor>,
}

impl PointPlan {
    /// The plan of a point of an experiment with these stages and corpus files.
    pub fn new(point: &Point, graph: Arc<[Stage]>, sources: Arc<[FileAtHand]>, ancestors: Vec<Ancestor>) -> Self {
        Self { graph, tables: point.stages.clone(), sources, ancestors }
    }

    /// A text of everything that [`Self::look_ahead`] reads. Points with the same text need only one check.
    pub fn looked_at(&self) -> String {
        let sources: Vec<_> = self.sources.iter().map(|(name, digest, _)| (name, digest)).collect();
        format!("{} {} {sources:?}", self.tables.tokenize.json, self.tables.batch.json)
    }

    /// Refuses a blank corpus, and a batch that the corpus can't fill, from the first lines of the corpus.
    ///
    /// # Errors
    /// Names the key at fault.
    pub fn look_ahead(&self) -> Result<(), StageError> {
        let (tokenize, batch) = (&self.tables.tokenize.read, &self.tables.batch.read);
        let inputs = self.sources.iter().map(|(name, _, path)| (name.clone(), path.clone())).collect();
        let needed = BatchPlan::fewest_tokens(batch.layout, batch.size, batch.unroll);
        stages::batch::check_fit(batch, stages::tokenize::look_ahead(tokenize, &inputs, needed)?)
    }

    /// The key that identifies this point's run: every parameter that is read, the corpus, and the versions. A stage
    /// that was added in a later version of the program counts only if its version or parameters have changed since, so
    /// that older runs still match.
    fn run_key(&self, worker: &WorkerFacts, known: &mut HashMap<*const Value, Rc<Fields>>) -> Digest {
        let mut parts = Vec::with_capacity(self.graph.len() + 1);
        for stage in self.graph.iter() {
            if let Some(params) = self.tables.table(stage.name.as_str()) {
                // Points share tables, so each table is hashed once.
                parts.push(Rc::clone(known.entry(params).or_insert_with(|| Rc::new(table_fields(stage, params)))));
            }
        }
        let mut own = Fields::default();
        for (name, digest, _) in self.sources.iter() {
            own.put(format!("corpus.{name}"), digest.to_string());
        }
        own.put("worker.libtorch", worker.libtorch.as_str());
        own.put("worker.device", device(&self.tables.train.json));
        Fields::digest_of(parts.iter().map(|part| &**part).chain([&own]))
    }
}

/// The keys of the runs of some points.
pub fn run_keys(plans: &[PointPlan], worker: &WorkerFacts) -> Vec<String> {
    let mut known = HashMap::new();
    plans.iter().map(|plan| plan.run_key(worker, &mut known).to_string()).collect()
}

impl Plan for PointPlan {
    fn nodes(&self, stage: &StageName, upstream: &Upstream) -> Result<Vec<Node>, StageError> {
        let stage = stage.as_str();
        let Some(params) = self.tables.table(stage) else { return Ok(Vec::new()) };
        let simple = |inputs: Vec<Input>| {
            vec![Node {
                item: String::new(),
                step: None,
                params: params.clone(),
                key_params: reads(stage, params, &[]),
                inputs,
                training: None,
            }]
        };
        match stage {
            "tokenize" => {
                let inputs = self.sources.iter().map(|(name, digest, path)| Input {
                    name: name.clone(),
                    digest: *digest,
                    file: Some(path.clone()),
                });
                Ok(simple(inputs.collect()))
            }
            "vocab" => {
                let names = ["types", "train", "valid", "test"];
                Ok(simple(names.iter().map(|name| upstream.input("tokenize", name, name)).collect::<Result<_, _>>()?))
            }
            "batch" => Ok(simple(vec![upstream.input("vocab", "train", "train")?])),
            "baselines" => {
                let names = ["vocab", "train", "valid", "test"];
                Ok(simple(names.iter().map(|name| upstream.input("vocab", name, name)).collect::<Result<_, _>>()?))
            }
            "train" => Ok(vec![train(params, &self.tables.train.read, &self.ancestors, upstream)?]),
            "evaluate" => match &self.tables.evaluate {
                Some(table) => self.evaluate(&table.read, upstream),
                None => Ok(Vec::new()),
            },
            "sample" => {
                let Some(table) = &self.tables.sample else { return Ok(Vec::new()) };
                let steps = chosen(table.read.at, upstream)?;
                let inputs = |step: u64| -> Result<Vec<Input>, StageError> {
                    Ok(vec![
                        upstream.input(TRAIN, OutputName::weights(step).as_str(), "weights")?,
                        upstream.input("vocab", "vocab", "vocab")?,
                    ])
                };
                let node = |step: u64| -> Result<Node, StageError> {
                    Ok(Node {
                        item: step.to_string(),
                        step: Some(step),
                        params: params.clone(),
                        key_params: reads(stage, params, &[Role::Selection]),
                        inputs: inputs(step)?,
                        training: None,
                    })
                };
                steps.into_iter().map(node).collect()
            }
            _ => Err(StageError::Bug(format!("the plan does not know the stage {stage}"))),
        }
    }
}

impl PointPlan {
    fn evaluate(&self, read: &Evaluate, upstream: &Upstream) -> Result<Vec<Node>, StageError> {
        let tokens = &upstream.of("vocab")?.report["tokens"];
        let mut nodes = Vec::new();
        for (split, at) in [("valid", read.valid), ("test", read.test)] {
            // The first token is not predicted, so a split of one token has nothing to score.
            if tokens[split].as_u64().unwrap_or(0) < 2 {
                continue;
            }
            for step in chosen(at, upstream)? {
                nodes.push(Node {
                    item: format!("{step} {split}"),
                    step: Some(step),
                    params: serde_json::json!({ "split": split, "device": device(&self.tables.train.json) }),
                    key_params: serde_json::json!({ "split": split }),
                    inputs: vec![
                        upstream.input(TRAIN, OutputName::weights(step).as_str(), "weights")?,
                        upstream.input("vocab", split, "ids")?,
                    ],
                    training: None,
                });
            }
        }
        Ok(nodes)
    }
}

/// The steps of the kept checkpoints that are selected, in ascending order.
fn chosen(at: CheckpointSelection, upstream: &Upstream) -> Result<Vec<u64>, StageError> {
    let made = upstream.of("train")?;
    let mut steps: Vec<u64> = made.outputs.keys().filter_map(OutputName::weights_step).collect();
    steps.sort_unstable();
    Ok(match at {
        CheckpointSelection::All => steps,
        CheckpointSelection::Best => made.report["best"].as_u64().or(steps.last().copied()).into_iter().collect(),
        CheckpointSelection::Last => steps.split_off(steps.len().saturating_sub(1)),
        CheckpointSelection::None => Vec::new(),
    })
}
