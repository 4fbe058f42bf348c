//! The built-in stages wired into a graph, where a further one is one more row, and what a point asks of each.

mod again;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use serde_json::Value;
use stages::params::{self, CheckpointSelection, Evaluate, OnNonfinite, Train};
use stages::plan::BatchPlan;
use stages::schema::{self, Role};
use stages::{Context, StageError, StageOutcome};

use again::up_to;
use engine::graph::{self, Input, Node, Parent, Plan, Stage, Training, Upstream, Way, WorkerFacts};
use experiment::{Point, Stages};
use identity::{Digest, Fields, OutputName, StageName, TrajectoryId};

pub use again::{PARENT, again};

/// The stages of this program: those of an experiment that brings none of its own.
pub fn built_in() -> Arc<[Stage]> {
    static STAGES: LazyLock<Arc<[Stage]>> = LazyLock::new(|| {
        Arc::new([
            row("tokenize", &[], Way::Here(|params, context| run(params, context, stages::tokenize::run))),
            row("vocab", &["tokenize"], Way::Here(|params, context| run(params, context, stages::vocab::run))),
            row("batch", &["vocab"], Way::Here(|params, context| run(params, context, stages::batch::run))),
            Stage {
                later: true,
                ..row(
                    "baselines",
                    &["vocab"],
                    Way::Here(|params, context| run(params, context, stages::baselines::run)),
                )
            },
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

/// Its name.
pub fn training() -> StageName {
    name(TRAIN)
}

fn row(stage: &str, needs: &[&str], way: Way) -> Stage {
    let needs = needs.iter().map(|need| name(need)).collect();
    Stage { name: name(stage), version: params::version(stage), needs, each: None, later: false, way }
}

/// A name that is written in this program.
fn name(text: &str) -> StageName {
    StageName::new(text).expect("BUG: the name of a built-in stage")
}

fn run<P: for<'de> serde::Deserialize<'de>>(
    params: &Value,
    context: &Context,
    stage: fn(&P, &Context) -> Result<StageOutcome, StageError>,
) -> Result<StageOutcome, StageError> {
    stage(&params::read("the stage", params)?, context)
}

/// What one point asks of each stage.
#[derive(Debug)]
pub struct PointPlan {
    /// The stages of its experiment.
    graph: Arc<[Stage]>,
    /// What each of them is handed.
    tables: Stages,
    /// Corpus files: name, digest, place.
    sources: Vec<(String, Digest, PathBuf)>,
    /// For a fork: its parent, and that one's, as far as they are forks.
    ancestors: Vec<Ancestor>,
}

/// A trajectory that a point's training was forked from.
#[derive(Debug, Clone)]
pub struct Ancestor {
    /// Its identity.
    pub identity: TrajectoryId,
    /// Its stage's parameters.
    pub params: Value,
    /// The digests of what it was trained on, by their names among a training's inputs.
    pub inputs: BTreeMap<String, String>,
    /// A run that shows it.
    pub run: String,
}

impl PointPlan {
    /// The plan of a point of an experiment with these stages, whose corpus files are at hand.
    pub fn new(
        point: &Point,
        graph: Arc<[Stage]>,
        sources: Vec<(String, Digest, PathBuf)>,
        ancestors: Vec<Ancestor>,
    ) -> Self {
        Self { graph, tables: point.stages.clone(), sources, ancestors }
    }

    /// What [`Self::look_ahead`] reads: points that agree in it need one look.
    pub fn looked_at(&self) -> String {
        let sources: Vec<_> = self.sources.iter().map(|(name, digest, _)| (name, digest)).collect();
        format!("{} {} {sources:?}", self.tables.tokenize.json, self.tables.batch.json)
    }

    /// Refuses what the first lines of the corpus rule out: a blank corpus, and a batch that it can't fill.
    ///
    /// # Errors
    /// With the key that is at fault.
    pub fn look_ahead(&self) -> Result<(), StageError> {
        let (tokenize, batch) = (&self.tables.tokenize.read, &self.tables.batch.read);
        let inputs = self.sources.iter().map(|(name, _, path)| (name.clone(), path.clone())).collect();
        let needed = BatchPlan::fewest_tokens(batch.layout, batch.size, batch.unroll);
        stages::batch::check_fit(batch, stages::tokenize::look_ahead(tokenize, &inputs, needed)?)
    }

    /// What tells this point's runs from all others: every parameter that is read, the corpus, the versions. A later stage
    /// counts only where it isn't as it first was, so that runs from before it answer.
    fn run_fields(&self, worker: &WorkerFacts, known: &mut HashMap<*const Value, Value>) -> Fields {
        let mut fields = Fields::default();
        for stage in self.graph.iter() {
            if let Some(params) = self.tables.table(stage.name.as_str()) {
                // Points share their tables.
                let read = known.entry(params).or_insert_with(|| reads(stage.name.as_str(), params, &[]));
                if stage.later && stage.version == 1 && read.as_object().is_some_and(serde_json::Map::is_empty) {
                    continue;
                }
                fields.put_all(&format!("param.{}", stage.name), read);
                fields.put(format!("version.{}", stage.name), stage.version);
            }
        }
        for (name, digest, _) in &self.sources {
            fields.put(format!("corpus.{name}"), digest.to_string());
        }
        fields.put("worker.libtorch", worker.libtorch.as_str());
        fields.put("worker.device", device(&self.tables.train.json));
        fields
    }
}

/// The keys of the runs of some points.
pub fn run_keys(plans: &[PointPlan], worker: &WorkerFacts) -> Vec<String> {
    let mut known = HashMap::new();
    plans.iter().map(|plan| plan.run_fields(worker, &mut known).digest().to_string()).collect()
}

/// What a point's parameters add to the keys of a stage, as far as is known before anything ran; `None` where the
/// experiment leaves the stage out.
pub fn key_params(point: &Point, stage: &str) -> Option<Value> {
    let params = point.stages.table(stage)?;
    // evaluate's choose which executions there are; the split alone tells these apart.
    Some(match stage {
        "evaluate" => Value::Null,
        "train" => {
            let mut read = reads(stage, params, &[Role::Selection]);
            read["device"] = Value::from(device(params));
            read
        }
        _ => reads(stage, params, &[Role::Selection]),
    })
}

/// A stage's parameters without those in some roles, those that the chosen variant does not read, and later ones at
/// their default.
pub fn reads(stage: &str, params: &Value, without: &[Role]) -> Value {
    let Some(keys) = params::stage_keys(stage) else { return params.clone() };
    let left_out = |key: &schema::Key| {
        key.role == Role::Place || without.contains(&key.role) || !params::is_read(stage, key.name, params)
    };
    schema::covered(keys.keys, params, &left_out)
}

/// Where a training computes, and with it the scoring of its weights.
fn device(train: &Value) -> &str {
    train.get("device").and_then(Value::as_str).unwrap_or(graph::CPU)
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
            _ => Err(StageError::Bug(format!("the plan knows no stage {stage}"))),
        }
    }
}

impl PointPlan {
    fn evaluate(&self, read: &Evaluate, upstream: &Upstream) -> Result<Vec<Node>, StageError> {
        let tokens = &upstream.of("vocab")?.report["tokens"];
        let mut nodes = Vec::new();
        for (split, at) in [("valid", read.valid), ("test", read.test)] {
            // The first token is not predicted: a split of one has nothing to score.
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

/// The training of some parameters, whose parents, where it is a fork, are the `ancestors`.
fn train(params: &Value, read: &Train, ancestors: &[Ancestor], upstream: &Upstream) -> Result<Node, StageError> {
    let steps_per_epoch = upstream.of("batch")?.report["steps_per_epoch"].as_u64().unwrap_or(0);
    let length = read.length(steps_per_epoch);
    // With epochs the length is known only now.
    if let Some((message, hint)) = params::too_many_checkpoints(&read.checkpoints, length) {
        return Err(StageError::input("train.checkpoints", message, hint));
    }
    let mut inputs = vec![
        upstream.input("vocab", "train", "train")?,
        upstream.input("vocab", "vocab", "vocab")?,
        upstream.input("batch", "plan", "plan")?,
    ];
    if read.reads_valid() {
        inputs.push(upstream.input("vocab", "valid", "valid")?);
    }
    // A look that changes no rate changes no number of the trajectory.
    let aside: &[&str] = if read.schedule_reads_valid() { &[] } else { &["valid"] };
    // A length counts in the trajectory only where the schedule uses it.
    let mut identity = reads("train", params, &[Role::Length, Role::Cadence]);
    if read.schedule_reads_length() {
        identity["length"] = Value::from(length);
    }
    // 2 epochs of 500 steps and 1000 steps are one key.
    let mut key_params = reads("train", params, &[]);
    if let Value::Object(entries) = &mut key_params {
        entries.remove("epochs");
        entries.insert("steps".to_owned(), Value::from(length));
    }
    let stop_after = match read.on_nonfinite {
        OnNonfinite::StopAfter(steps) => Some(steps),
        OnNonfinite::Continue => None,
    };
    let parent = match (&read.fork, ancestors) {
        (None, _) => None,
        (Some(fork), [parent, further @ ..]) => {
            check_inputs(parent, &inputs)?;
            if let Some((message, hint)) = params::nothing_to_train(fork, length) {
                return Err(StageError::input("train.epochs", message, hint));
            }
            // The record has it as a table.
            let own: Train = params::read("train", &parent.params)?;
            let node = up_to(train(&parent.params, &own, further, upstream)?, fork.step);
            Some(Parent { identity: parent.identity, step: fork.step, node: Box::new(node) })
        }
        (Some(_), []) => return Err(StageError::Bug("a fork without its parent".to_owned())),
    };
    let training = Training {
        identity,
        length,
        horizon: length,
        checkpoints: read.checkpoints.clone(),
        probes: read.probes,
        stop_after,
        early_stopping: read.early_stopping,
        aside,
        whole: false,
        parent,
    };
    Ok(Node { item: String::new(), step: None, params: params.clone(), key_params, inputs, training: Some(training) })
}

/// A fork goes on with what its parent was trained on: weights of another vocabulary mean other words.
fn check_inputs(parent: &Ancestor, inputs: &[Input]) -> Result<(), StageError> {
    let other =
        |input: &&Input| parent.inputs.get(&input.name).is_some_and(|digest| *digest != input.digest.to_string());
    inputs.iter().find(other).map_or(Ok(()), |input| {
        let message = format!("{} was trained on another {}", parent.run, input.name);
        Err(StageError::input("train.fork", message, "fork a run of this corpus and these stages"))
    })
}

/// The kept checkpoints at which something is measured, ascending.
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
