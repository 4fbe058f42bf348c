//! Replays a run's training up to one step, starting from the nearest checkpoint, in a temporary folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use stages::params::{self, Device, Train};
use stages::protocol::Describe;

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::plan::{again, built_in, training};
use crate::run::forks;
use crate::run::worker::facts;
use crate::temporary::Temporary;
use crate::watch::Watch;
use engine::graph::CPU;
use engine::replay::{Leg, Replayed, replay};
use engine::stop::Stop as _;
use engine::store::{Health, Store};
use engine::worker::{self, Worker, WorkerError};
use identity::observations::Measured;
use identity::{Digest, Fields, ObjectId, RunId};
use record::Record;
use record::rows::Trajectory;

/// The stage that is replayed.
const STAGE: &str = "train";

/// How to replay up to a step.
pub struct ReplayPlan {
    run: RunId,
    step: u64,
    legs: Vec<Leg>,
    /// For each leg: the fields of its trajectory, and the hardware on which the trajectory began.
    trained: Vec<(Fields, String)>,
}

/// The result of a replay.
#[derive(Debug)]
pub struct Found {
    /// The step of the checkpoint that the replay began with.
    pub from: u64,
    /// The total time, including the start of the worker.
    pub seconds: f64,
    /// Why the losses might differ from the recorded ones, if a reason is known.
    pub suspicion: Option<String>,
    /// The losses of the replayed steps, and the predictions of the last one.
    pub replayed: Replayed,
}

impl ReplayPlan {
    /// Finds the nearest checkpoint at or before a step, in the trajectory that has the step or in one that it was
    /// forked from. The inner `Err` is one line that says why the step can't be replayed.
    ///
    /// # Errors
    /// When the record fails.
    pub fn to(record: &mut Record, store: &Path, run: RunId, step: u64) -> Result<Result<Self, String>, Failure> {
        let bug = |what: &str| Failure::failed(format!("BUG: {run} has no {what}"), "");
        let trajectory = record.detail(run)?.trajectory_id.ok_or_else(|| bug("trajectory"))?;
        let holder = record.holder(trajectory, i64::try_from(step + 1).unwrap_or(i64::MAX))?;
        let mut identity = holder.ok_or_else(|| bug("part with that step"))?;
        let store = Store::over(store);
        let (mut legs, mut trained) = (Vec::<Leg>::new(), Vec::new());
        // The end of this leg, and the last checkpoint that it can start from.
        let (mut to, mut latest) = (step + 1, step);
        loop {
            let origin = record.origin(&identity)?.ok_or_else(|| bug("trajectory of that identity"))?;
            let first = u64::try_from(origin.first).unwrap_or(0);
            let fields = Fields::from_json(&origin.fields).ok_or_else(|| bug("fields"))?;
            let ancestor = forks::ancestor(origin)?;
            let found = record.find_trajectory(ancestor.identity)?.ok_or_else(|| bug("trajectory"))?;
            let start = nearest(&store, record, &found, latest);
            if let (Some((n, files)), Some(after)) = (&start, legs.last_mut())
                && *n == latest
            {
                after.start = Some(files.clone());
                break;
            }
            if fields.get("version").and_then(Value::as_u64) != Some(u64::from(params::version(STAGE))) {
                let version = fields.get("version").map_or("none".to_owned(), Value::to_string);
                let now = params::version(STAGE);
                return Ok(Err(format!(
                    "the run was trained with version {version} of the stage `{STAGE}`, but this program has version \
                     {now}"
                )));
            }
            let inputs = match inputs(&store, record, &ancestor.inputs) {
                Ok(inputs) => inputs,
                Err(why) => return Ok(Err(why)),
            };
            let (from, start) = start.map_or((first, None), |(n, files)| (n, Some(files)));
            let train: Train = params::read(STAGE, &ancestor.params)?;
            let parent = train.fork.as_ref().map(|fork| fork.trajectory.clone());
            let is_on_cpu = fields.get("worker.device").is_none_or(|device| device.as_str() == Some(CPU));
            let train = Train { device: if is_on_cpu { Device::Cpu } else { Device::Cuda }, ..again(&train, to) };
            let length = fields.get("param.length").and_then(Value::as_u64).unwrap_or(to).max(to);
            let looks = record.looks(found.row)?.into_iter().map(|(step, loss)| (step, Measured(loss))).collect();
            let begins = start.is_some() || first == 0;
            legs.push(Leg { params: json!(train), inputs, threads: found.threads, length, from, to, start, looks });
            trained.push((fields, found.cpu_capability));
            if begins {
                break;
            }
            (to, latest) = (first, first);
            identity = parent.ok_or_else(|| bug("parent"))?;
        }
        legs.reverse();
        Ok(Ok(Self { run, step, legs, trained }))
    }

    /// The step of the checkpoint that the replay begins with.
    pub fn from(&self) -> u64 {
        self.legs.first().map_or(0, |leg| leg.from)
    }

    /// Replays the steps. The inner `Err` is one line that says why that failed.
    ///
    /// # Errors
    /// When a signal asked to stop.
    pub fn go(self, interrupt: &Interrupt, watch: &mut dyn Watch) -> Result<Result<Found, String>, Failure> {
        let folder = match Temporary::new("replay") {
            Ok(folder) => folder,
            Err(failure) => return Ok(Err(failure.message)),
        };
        // From here on, the first signal is a request to stop.
        interrupt.listen();
        let found = self.compute(&folder, interrupt, watch);
        drop(folder);
        if interrupt.release() {
            let hint = "no partial result was kept; to show the step without predictions: --replay=never";
            return Err(Failure::interrupted("interrupted", hint));
        }
        Ok(found)
    }

    fn compute(self, folder: &Temporary, interrupt: &Interrupt, watch: &mut dyn Watch) -> Result<Found, String> {
        let began = Instant::now();
        let words = |error: WorkerError| error.to_string();
        let program = worker::find().map_err(words)?;
        let log = folder.path().join("log");
        let (mut worker, describe) = Worker::greet(&program, &log, Arc::new(interrupt.clone())).map_err(words)?;
        worker::check_stages(&program, &describe, &built_in()).map_err(words)?;
        let suspicion = self.check(&describe)?;
        let from = self.from();
        let mut told = watch.replay(self.run, self.step + 1 - from);
        let replayed = replay(&mut worker, &training(), self.legs, folder.path(), |_| {
            told();
            // An error ends the replay and the worker.
            if interrupt.is_asked() { Err(WorkerError::failed("interrupted")) } else { Ok(()) }
        });
        let replayed = replayed.map_err(words)?;
        Ok(Found { from, seconds: began.elapsed().as_secs_f64(), suspicion, replayed })
    }

    /// Refuses a worker that would compute different numbers. If the hardware differs, which can change the last bits,
    /// returns what differs.
    fn check(&self, worker: &Describe) -> Result<Option<String>, String> {
        let facts = facts(worker);
        let mut suspicion = None;
        for (fields, before) in &self.trained {
            let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
            let libtorch = text("worker.libtorch");
            if libtorch != worker.libtorch {
                let now = &worker.libtorch;
                return Err(format!("the run was trained with libtorch {libtorch}, but the worker has libtorch {now}"));
            }
            let device = text("worker.device");
            if device != CPU && worker.gpu.is_none() {
                return Err(format!("the run was trained on {device}, but the worker finds no GPU"));
            }
            let now = facts.capability(device);
            if now != *before {
                suspicion = Some(format!("the run was trained on {before}, but this machine has {now}"));
            }
        }
        Ok(suspicion)
    }
}

/// The last checkpoint up to `latest` whose two files are intact. Checkpoint 0 is never returned, because it is not
/// kept: its weights are drawn again.
fn nearest(
    store: &Store,
    record: &mut Record,
    trajectory: &Trajectory,
    latest: u64,
) -> Option<(u64, (PathBuf, PathBuf))> {
    let mut sound = |id| {
        matches!(store.check_sized(id, || record.size(id).ok().flatten()), Ok(Health::Sound)).then(|| store.path(id))
    };
    let kept = trajectory.checkpoints.range(1..=latest.max(1)).rev().filter(|(step, _)| **step <= latest);
    kept.filter_map(|(step, (weights, state))| Some((*step, (sound(*weights)?, sound((*state)?)?)))).next()
}

/// The paths of the training inputs in the store.
fn inputs(
    store: &Store,
    record: &mut Record,
    digests: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, PathBuf>, String> {
    let place = |(name, digest): (&String, &String)| {
        let id = ObjectId(digest.parse::<Digest>().map_err(|_| format!("BUG: not a digest: {digest}"))?);
        match store.check_sized(id, || record.size(id).ok().flatten()) {
            Ok(Health::Sound) => Ok((name.clone(), store.path(id))),
            Ok(Health::Missing) => Err(format!("the training input `{name}` is missing from the store")),
            Ok(Health::Damaged) => Err(format!("the training input `{name}` was damaged and has been set aside")),
            Err(error) => Err(format!("{}: {error}", store.path(id).display())),
        }
    };
    digests.iter().map(place).collect()
}
