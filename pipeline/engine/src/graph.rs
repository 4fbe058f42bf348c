//! What there is to compute: stages in a directed acyclic graph, and for each point the nodes that a stage expands to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use stages::looks::{self, EarlyStopping};
use stages::params::Checkpoints;
use stages::{Context, StageError, StageOutcome};

use identity::observations::Looks;
use identity::{Digest, Fields, ObjectId, OutputName, StageName, TrajectoryId};

/// A stage: a row of the plan.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Its name.
    pub name: StageName,
    /// Raised whenever its output for the same input changes.
    pub version: u32,
    /// The stages whose outputs it reads.
    pub needs: Vec<StageName>,
    /// In words, what it is executed for when not just once: `each kept checkpoint`.
    pub each: Option<Cow<'static, str>>,
    /// Whether it was added when runs without it were already out there. A run that was finished before answers all the
    /// same: what it lacks is computed for it when it is asked for again.
    pub later: bool,
    /// How it is run.
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

/// One execution that a point asks of a stage.
#[derive(Debug, Clone)]
pub struct Node {
    /// Tells the executions of one stage apart: empty, `100`, `100 valid`.
    pub item: String,
    /// The checkpoint that it reads, where it reads one.
    pub step: Option<u64>,
    /// What the stage is handed.
    pub params: Value,
    /// The same without what is no part of the key.
    pub key_params: Value,
    /// What it reads.
    pub inputs: Vec<Input>,
    /// For a stage whose outputs accumulate along steps.
    pub training: Option<Training>,
}

/// A file that a node reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The name that the stage knows it by.
    pub name: String,
    /// Its content.
    pub digest: Digest,
    /// Where it is, when it is not an object of the store.
    pub file: Option<PathBuf>,
}

/// How a node computes a trajectory.
#[derive(Debug, Clone)]
pub struct Training {
    /// The parameters that fix its numbers; `length` among them where its rates depend on it.
    pub identity: Value,
    /// Steps in all.
    pub length: u64,
    /// The length that its rates are computed for: another than `length` where only a part of it is made again.
    pub horizon: u64,
    /// Which checkpoints are kept.
    pub checkpoints: Checkpoints,
    /// Steps between probes; 0 is off.
    pub probes: u64,
    /// It ends after this many steps in a row with a loss that is not finite.
    pub stop_after: Option<u64>,
    /// It ends when its valid loss has stopped falling.
    pub early_stopping: Option<EarlyStopping>,
    /// Inputs that it reads and that change none of its numbers.
    pub aside: Vec<String>,
    /// Whether the last checkpoint is wanted with its state: a fork begins there.
    pub whole: bool,
    /// What it was forked from; none where it begins with initial weights.
    pub parent: Option<Parent>,
}

/// A checkpoint of another trajectory, from which one begins.
#[derive(Debug, Clone)]
pub struct Parent {
    /// That trajectory.
    pub identity: TrajectoryId,
    /// The checkpoint, and the first step of the fork.
    pub step: u64,
    /// Computes the parent up to there, for where its state was let go.
    pub node: Box<Node>,
}

impl Training {
    /// The first step that is its own.
    pub fn origin(&self) -> u64 {
        self.parent.as_ref().map_or(0, |parent| parent.step)
    }

    /// The checkpoints that it keeps when it ends after `reached` steps, ascending: those before a fork are its parent's.
    /// Where the best is kept, those that `looks` says nothing of may yet be it.
    pub fn kept_until(&self, reached: u64, looks: &Looks) -> Vec<u64> {
        let mut kept = self.checkpoints.kept_until(self.length, reached);
        kept.retain(|step| *step >= self.origin());
        if self.checkpoints.keep_the_best() {
            let best = self.best_until(reached, looks);
            kept.retain(|step| Some(*step) == best || *step == reached || !looks.contains_key(step));
        }
        kept
    }

    /// The checkpoint with the lowest valid loss, where that one is kept.
    pub fn best_until(&self, reached: u64, looks: &Looks) -> Option<u64> {
        let made = self.checkpoints.kept_until(self.length, reached);
        let made: Vec<u64> = made.into_iter().filter(|step| *step >= self.origin()).collect();
        looks::best(looks, &made).filter(|_| self.checkpoints.keep_the_best())
    }

    /// Whether it looks at its valid loss for a rule of its own.
    pub fn looks(&self) -> bool {
        self.early_stopping.is_some() || self.checkpoints.keep_the_best()
    }

    /// Where it ends: at a loss that stayed non-finite as long as `lost` says, at a valid loss that has stopped falling,
    /// or at its length.
    pub fn end(&self, lost: Option<u64>, looks: &Looks) -> u64 {
        let early = self.early_stopping.and_then(|rule| rule.end(looks));
        [lost, early].into_iter().flatten().fold(self.length, u64::min)
    }

    /// The first look that its rules want of the first `computed` steps, which `end` as said, and that was not taken.
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

/// What the stages before made, for one point.
#[derive(Debug, Default)]
pub struct Upstream {
    made: BTreeMap<StageName, Products>,
}

/// What one stage made.
#[derive(Debug, Clone, Default)]
pub struct Products {
    /// Output objects by name.
    pub outputs: BTreeMap<OutputName, ObjectId>,
    /// Small facts.
    pub report: Value,
    /// For a trajectory: the step after the last.
    pub reached: Option<u64>,
}

impl Upstream {
    /// Adds what a stage made.
    pub fn put(&mut self, stage: StageName, made: Products) {
        self.made.insert(stage, made);
    }

    /// What a stage made.
    ///
    /// # Errors
    /// When the plan asks for a stage that it did not say it needs.
    pub fn of(&self, stage: &str) -> Result<&Products, StageError> {
        self.made.get(stage).ok_or_else(|| StageError::Bug(format!("the plan reads {stage} without needing it")))
    }

    /// The output `name` of a stage, as an input called `called`.
    ///
    /// # Errors
    /// As [`Self::of`], or when there is no such output.
    pub fn input(&self, stage: &str, name: &str, called: &str) -> Result<Input, StageError> {
        let id = self.of(stage)?.outputs.get(name);
        let id = id.ok_or_else(|| StageError::Bug(format!("{stage} has no output {name}")))?;
        Ok(Input { name: called.to_owned(), digest: id.0, file: None })
    }
}

/// What a point asks of each stage.
pub trait Plan {
    /// The nodes of a stage, once all stages that it needs are done.
    ///
    /// # Errors
    /// When the outputs so far rule the point out.
    fn nodes(&self, stage: &StageName, upstream: &Upstream) -> Result<Vec<Node>, StageError>;
}

/// Checks that every need is a stage and that no stage needs itself, and gives the stages in an order in which each
/// comes after what it needs.
///
/// # Errors
/// One line: the unknown name, or the cycle as a path `a -> b -> a`.
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
            .ok_or_else(|| format!("stage {} needs {need}, which is no stage", stage.name))?;
        place(need, stages, placed, path)?;
    }
    path.pop();
    placed.push(stage.clone());
    Ok(())
}

/// The facts of the worker that change its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerFacts {
    /// libtorch's version, a field of every key.
    pub libtorch: String,
    /// The vector extensions of the CPU that libtorch uses.
    pub cpu_capability: String,
    /// The name of the GPU.
    pub gpu: Option<String>,
}

impl WorkerFacts {
    /// What computes on `device`: other hardware than this may compute other bits, which no key covers.
    pub fn capability(&self, device: &str) -> String {
        let gpu = self.gpu.iter().filter(|_| device != CPU).map(String::as_str);
        std::iter::once(self.cpu_capability.as_str()).chain(gpu).collect::<Vec<_>>().join(", ")
    }
}

/// Where the worker computes unless an order says otherwise.
pub const CPU: &str = "cpu";

impl Node {
    /// Where the worker is to compute it.
    pub fn device(&self) -> &str {
        self.params.get("device").and_then(Value::as_str).unwrap_or(CPU)
    }
}

/// What the key of a node covers.
pub fn key_fields(stage: &Stage, node: &Node, worker: &WorkerFacts) -> Fields {
    let mut fields = fields_of(stage, &node.key_params, node.device(), worker);
    for input in &node.inputs {
        fields.put(format!("input.{}", input.name), input.digest.to_string());
    }
    fields
}

/// What the identity of a node's trajectory covers.
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
    fn a_stage_comes_after_what_it_needs() {
        let names =
            |stages: &[Stage]| order(stages).map(|all| all.iter().map(|s| s.name.to_string()).collect::<Vec<_>>());
        assert_eq!(names(&[stage("c", &["a", "b"]), stage("b", &["a"]), stage("a", &[])]).unwrap(), ["a", "b", "c"]);
        let cycle = [stage("x", &["a"]), stage("a", &["b"]), stage("b", &["a"])];
        assert_eq!(names(&cycle).unwrap_err(), "stages need each other: a -> b -> a");
        assert_eq!(names(&[stage("a", &["z"])]).unwrap_err(), "stage a needs z, which is no stage");
    }
}
