//! The work to do: stages in a directed acyclic graph, and for each point the nodes that a stage expands to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use stages::looks::{self, EarlyStopping};
use stages::params::Checkpoints;
use stages::{Context, StageError, StageOutcome};

use identity::observations::Looks;
use identity::{Digest, Fields, ObjectId, OutputName, StageName, TrajectoryId};

/// A stage of the plan.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Its name.
    pub name: StageName,
    /// Its version, raised whenever its output for the same input changes.
    pub version: u32,
    /// The stages whose outputs it reads.
    pub needs: Vec<StageName>,
    /// Describes its executions per point if there can be several: `each kept checkpoint`.
    pub each: Option<Cow<'static, str>>,
    /// Whether the stage was added after runs without it existed. A finished run without it is still up to date; the
    /// stage is computed for that run when the run is requested again.
    pub later: bool,
    /// How the stage is run.
    pub way: Way,
}

/// How a stage is run.
#[derive(Debug, Clone)]
pub enum Way {
    /// A function in this process.
    Here(fn(&Value, &Context) -> Result<StageOutcome, StageError>),
    /// An order to the worker.
    Worker,
}

/// One execution of a stage that a point requires.
#[derive(Debug, Clone)]
pub struct Node {
    /// Distinguishes the executions of one stage: empty, `100`, `100 valid`.
    pub item: String,
    /// The checkpoint that it reads, if any.
    pub step: Option<u64>,
    /// The stage's parameters.
    pub params: Value,
    /// The parameters that are part of the key.
    pub key_params: Value,
    /// Its input files.
    pub inputs: Vec<Input>,
    /// How to train; set for a stage that computes a trajectory.
    pub training: Option<Training>,
}

/// A file that a node reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The name that the stage knows it by.
    pub name: String,
    /// The digest of its content.
    pub digest: Digest,
    /// Its path, if it is not an object of the store.
    pub file: Option<PathBuf>,
}

/// How a node computes a trajectory.
#[derive(Debug, Clone)]
pub struct Training {
    /// The parameters that determine its numbers, including `length` if the learning rate depends on it.
    pub identity: Value,
    /// Total number of steps.
    pub length: u64,
    /// The length for which learning rates are computed; differs from `length` when only a part is recomputed.
    pub horizon: u64,
    /// Which checkpoints are kept.
    pub checkpoints: Checkpoints,
    /// Steps between probes; 0 is off.
    pub probes: u64,
    /// Stop after this many consecutive steps with a NaN or infinite loss.
    pub stop_after: Option<u64>,
    /// Stop when the validation loss no longer improves.
    pub early_stopping: Option<EarlyStopping>,
    /// Inputs that don't affect its numbers.
    pub aside: Vec<String>,
    /// Whether the last checkpoint needs its state, because a fork starts there.
    pub whole: bool,
    /// The checkpoint that it was forked from; none if it starts from initial weights.
    pub parent: Option<Parent>,
}

/// The checkpoint of another trajectory that a fork starts from.
#[derive(Debug, Clone)]
pub struct Parent {
    /// The identity of that trajectory.
    pub identity: TrajectoryId,
    /// The step of the checkpoint, which is also the first step of the fork.
    pub step: u64,
    /// The node that computes the parent up to that step, in case its state was pruned.
    pub node: Box<Node>,
}

impl Training {
    /// The first step that belongs to this trajectory.
    pub fn origin(&self) -> u64 {
        self.parent.as_ref().map_or(0, |parent| parent.step)
    }

    /// The checkpoints to keep if it ends after `reached` steps, ascending, without those of a fork's parent. If only
    /// the best is kept, those not yet evaluated stay too.
    pub fn kept_until(&self, reached: u64, looks: &Looks) -> Vec<u64> {
        let mut kept = self.checkpoints.kept_until(self.length, reached);
        kept.retain(|step| *step >= self.origin());
        if self.checkpoints.keep_the_best() {
            let best = self.best_until(reached, looks);
            kept.retain(|step| Some(*step) == best || *step == reached || !looks.contains_key(step));
        }
        kept
    }

    /// The checkpoint with the lowest validation loss, if `keep` is `best`.
    pub fn best_until(&self, reached: u64, looks: &Looks) -> Option<u64> {
        let made = self.checkpoints.kept_until(self.length, reached);
        let made: Vec<u64> = made.into_iter().filter(|step| *step >= self.origin()).collect();
        looks::best(looks, &made).filter(|_| self.checkpoints.keep_the_best())
    }

    /// Whether a rule for stopping or keeping checkpoints reads the validation loss.
    pub fn looks(&self) -> bool {
        self.early_stopping.is_some() || self.checkpoints.keep_the_best()
    }

    /// The step at which it ends: its length, or earlier at `lost`, where the loss stayed NaN or infinite for too long,
    /// or where the validation loss stopped improving.
    pub fn end(&self, lost: Option<u64>, looks: &Looks) -> u64 {
        let early = self.early_stopping.and_then(|rule| rule.end(looks));
        [lost, early].into_iter().flatten().fold(self.length, u64::min)
    }

    /// The step of the first evaluation on the validation split that the rules require within the first `computed`
    /// steps and that is missing; training ends at step `end`.
    pub fn first_unlooked(&self, computed: u64, end: u64, looks: &Looks) -> Option<u64> {
        let rule = self.early_stopping.and_then(|rule| {
            let wanted = (1..=computed / rule.every).map(|i| i * rule.every);
            wanted.into_iter().find(|step| *step >= self.origin() && !looks.contains_key(step))
        });
        let made =
            if self.checkpoints.keep_the_best() { self.checkpoints.kept_until(self.length, end) } else { Vec::new() };
        let best =
            made.into_iter().find(|step| *step >= self.origin() && *step <= computed && !looks.contains_key(step));
        [rule, best].into_iter().flatten().min()
    }
}

/// The products of the upstream stages, for one point.
#[derive(Debug, Default)]
pub struct Upstream {
    made: BTreeMap<StageName, Products>,
}

/// The products of one stage.
#[derive(Debug, Clone, Default)]
pub struct Products {
    /// Output objects by name.
    pub outputs: BTreeMap<OutputName, ObjectId>,
    /// Facts about the execution, as JSON.
    pub report: Value,
    /// For a stage that trains: the step after the last.
    pub reached: Option<u64>,
}

impl Upstream {
    /// Adds the products of a stage.
    pub fn put(&mut self, stage: StageName, made: Products) {
        self.made.insert(stage, made);
    }

    /// The products of a stage. The plan must have declared that it needs the stage.
    pub fn of(&self, stage: &str) -> Result<&Products, StageError> {
        let bug = || StageError::Bug(format!("the plan reads outputs of {stage}, but declares no need for this stage"));
        self.made.get(stage).ok_or_else(bug)
    }

    /// The output `name` of a stage, as an input called `called`.
    pub fn input(&self, stage: &str, name: &str, called: &str) -> Result<Input, StageError> {
        let id = self.of(stage)?.outputs.get(name);
        let id = id.ok_or_else(|| StageError::Bug(format!("{stage} has no output {name}")))?;
        Ok(Input { name: called.to_owned(), digest: id.0, file: None })
    }
}

/// What a point requires of each stage.
pub trait Plan {
    /// The nodes of a stage, once all stages that it needs are done. Fails if their outputs make the point impossible.
    fn nodes(&self, stage: &StageName, upstream: &Upstream) -> Result<Vec<Node>, StageError>;
}

/// Sorts the stages so that each comes after those it needs. Fails for an unknown name or a cycle, which the error
/// shows as a path `a -> b -> a`.
pub fn order(stages: &[Stage]) -> Result<Vec<Stage>, String> {
    let mut placed: Vec<Stage> = Vec::with_capacity(stages.len());
    let mut path = Vec::new();
    for stage in stages {
        place(stage, stages, &mut placed, &mut path)?;
    }
    Ok(placed)
}

fn place<'s>(
    stage: &'s Stage,
    stages: &'s [Stage],
    placed: &mut Vec<Stage>,
    path: &mut Vec<&'s str>,
) -> Result<(), String> {
    if placed.iter().any(|other| other.name == stage.name) {
        return Ok(());
    }
    path.push(stage.name.as_str());
    if let Some(start) = path[..path.len() - 1].iter().position(|name| stage.name == *name) {
        return Err(format!("stages need each other: {}", path[start..].join(" -> ")));
    }
    for need in &stage.needs {
        let need = stages
            .iter()
            .find(|other| other.name == *need)
            .ok_or_else(|| format!("stage {} needs {need}, which is not a stage", stage.name))?;
        place(need, stages, placed, path)?;
    }
    path.pop();
    placed.push(stage.clone());
    Ok(())
}

/// Facts about the worker that affect the numbers that it computes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerFacts {
    /// libtorch's version, a field of every key.
    pub libtorch: String,
    /// The CPU's vector extensions that libtorch uses.
    pub cpu_capability: String,
    /// The name of the GPU.
    pub gpu: Option<String>,
}

impl WorkerFacts {
    /// The hardware behind `device`. Results on other hardware may differ in the last bits, which no key covers.
    pub fn capability(&self, device: &str) -> String {
        let gpu = self.gpu.iter().filter(|_| device != CPU).map(String::as_str);
        std::iter::once(self.cpu_capability.as_str()).chain(gpu).collect::<Vec<_>>().join(", ")
    }
}

/// The default device.
pub const CPU: &str = "cpu";

impl Node {
    /// The device on which the worker computes this node.
    pub fn device(&self) -> &str {
        self.params.get("device").and_then(Value::as_str).unwrap_or(CPU)
    }
}

/// The fields that a node's stage key covers.
pub fn key_fields(stage: &Stage, node: &Node, worker: &WorkerFacts) -> Fields {
    let mut fields = fields_of(stage, &node.key_params, node.device(), worker);
    for input in &node.inputs {
        fields.put(format!("input.{}", input.name), input.digest.to_string());
    }
    fields
}

/// The fields that the identity of a node's trajectory covers.
pub fn trajectory_fields(stage: &Stage, node: &Node, training: &Training, worker: &WorkerFacts) -> Fields {
    let mut fields = fields_of(stage, &training.identity, node.device(), worker);
    fields.put("trajectory", true);
    for input in node.inputs.iter().filter(|input| !training.aside.contains(&input.name)) {
        fields.put(format!("input.{}", input.name), input.digest.to_string());
    }
    fields
}

fn fields_of(stage: &Stage, params: &Value, device: &str, worker: &WorkerFacts) -> Fields {
    let mut fields = Fields::default();
    fields.put("stage", stage.name.as_str());
    fields.put("version", stage.version);
    fields.put_all("param", params);
    if let Way::Worker = stage.way {
        fields.put("worker.libtorch", worker.libtorch.as_str());
        fields.put("worker.device", device);
        fields.put("worker.precision", "f32");
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &str, needs: &[&str]) -> Stage {
        let needs = needs.iter().map(|need| need.parse().unwrap()).collect();
        Stage { name: name.parse().unwrap(), version: 1, needs, each: None, later: false, way: Way::Worker }
    }

    #[test]
    fn a_stage_comes_after_the_stages_it_needs() {
        let names =
            |stages: &[Stage]| order(stages).map(|all| all.iter().map(|s| s.name.to_string()).collect::<Vec<_>>());
        assert_eq!(names(&[stage("c", &["a", "b"]), stage("b", &["a"]), stage("a", &[])]).unwrap(), ["a", "b", "c"]);
        let cycle = [stage("x", &["a"]), stage("a", &["b"]), stage("b", &["a"])];
        assert_eq!(names(&cycle).unwrap_err(), "stages need each other: a -> b -> a");
        assert_eq!(names(&[stage("a", &["z"])]).unwrap_err(), "stage a needs z, which is not a stage");
    }
}
