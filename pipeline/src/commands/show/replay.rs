//! A run's training replayed up to one step: from the nearest state that is kept, in a folder that goes when it is done.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::Value;
use stages::params;
use stages::protocol::{Describe, Measured, kind_of};

use crate::args::When;
use crate::commands::reading::Reader;
use crate::commands::run::forks;
use crate::commands::stop::Stop;
use crate::commands::temporary::Temporary;
use crate::failure::{Failure, INTERRUPTED};
use crate::plan::{STAGES, again};
use crate::ui::counter::Counter;
use crate::ui::format::{self, count};
use engine::graph::{CPU, WorkerFacts};
use engine::replay::{Leg, Replayed, replay};
use engine::store::{Health, Store};
use engine::worker::{self, Worker, WorkerError};
use identity::{Digest, Fields, ObjectId};
use record::Record;
use record::rows::Trajectory;
use view::step::Predictions;

/// The stage that is replayed.
const STAGE: &str = "train";

/// A replay that took longer than this, in seconds, when its steps were recorded is made only where it is asked for.
const PATIENCE: f64 = 10.0;

/// The way to a step.
struct Way {
    legs: Vec<Leg>,
    /// What fixed the numbers of each leg, and the hardware that it began on.
    trained: Vec<(Fields, String)>,
}

/// Replays; `Err` of the inner result is why that can't be, in a line.
pub fn found(reader: &mut Reader, run: i64, step: u64, when: When) -> Result<Result<Predictions, String>, Failure> {
    if when == When::Never {
        return Ok(Err("--replay=never".to_owned()));
    }
    let way = match way(reader, run, step)? {
        Ok(way) => way,
        Err(why) => return Ok(Err(why)),
    };
    let from = way.legs.first().map_or(0, |leg| leg.from);
    let place = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let seconds = reader.record.step_seconds(run, place(from), place(step))?;
    if when == When::Auto && seconds > PATIENCE {
        let (steps, seconds) = (count(place(step - from)), format::seconds(seconds));
        let steps = if step - from == 1 { "1 step".to_owned() } else { format!("{steps} steps") };
        return Ok(Err(format!("the nearest state is {steps} before, about {seconds} away: --replay goes there")));
    }
    // A first signal is a request from here on.
    let stop = Stop::listen();
    let folder = match Temporary::new("replay") {
        Ok(folder) => folder,
        Err(failure) => return Ok(Err(failure.message)),
    };
    stop.begin();
    let replayed = compute(&folder, way, (run, step), &stop);
    drop(folder);
    if stop.end() {
        let hint = "nothing is kept of a replay; --replay=never shows the step without one";
        return Err(Failure { code: INTERRUPTED, message: "interrupted".to_owned(), hint: hint.to_owned() });
    }
    let mut found = match replayed {
        Ok((found, losses)) => (found, losses),
        Err(why) => return Ok(Err(why)),
    };
    found.0.parted = parted(reader, run, &found.1)?;
    Ok(Ok(found.0))
}

/// The first step that came out otherwise than it was recorded, where the last did.
fn parted(reader: &mut Reader, run: i64, losses: &[(u64, f64)]) -> Result<Option<u64>, Failure> {
    let same = |recorded: Option<f64>, kind: &str, loss: f64| {
        kind == kind_of(loss) && recorded.is_none_or(|recorded| recorded.to_bits() == loss.to_bits())
    };
    let Some((last, loss)) = losses.last() else { return Ok(None) };
    let recorded = reader.record.step(run, i64::try_from(*last).unwrap_or(i64::MAX))?;
    if recorded.is_some_and(|recorded| same(recorded.loss, &recorded.loss_kind, *loss)) {
        return Ok(None);
    }
    let now: BTreeMap<i64, f64> = losses.iter().map(|(step, loss)| (*step as i64, *loss)).collect();
    let numbers = reader.record.numbers(run)?;
    let differs =
        |row: &&record::read::Numbers| now.get(&row.step).is_some_and(|loss| !same(row.loss, &row.loss_kind, *loss));
    Ok(numbers.iter().find(differs).and_then(|row| u64::try_from(row.step).ok()).or(Some(*last)))
}

fn compute(
    folder: &Temporary,
    way: Way,
    (run, step): (i64, u64),
    stop: &Stop,
) -> Result<(Predictions, Vec<(u64, f64)>), String> {
    let began = Instant::now();
    let words = |error: WorkerError| error.to_string();
    let program = worker::find().map_err(words)?;
    let (mut worker, describe) = Worker::greet(&program, &folder.path().join("log"), &stop.flag()).map_err(words)?;
    worker::check_stages(&program, &describe, STAGES).map_err(words)?;
    let suspicion = check(&way, &describe)?;
    let from = way.legs.first().map_or(0, |leg| leg.from);
    let mut counter = Counter::of_steps(&format!("replaying run{run}"), step + 1 - from);
    let replayed = replay(&mut worker, STAGE, way.legs, folder.path(), |_| {
        counter.advance(1);
        // The worker is ended with its order.
        if stop.is_asked() { Err(WorkerError::failed("interrupted")) } else { Ok(()) }
    });
    let Replayed { losses, rows } = replayed.map_err(words)?;
    let loss = losses.last().map_or(f64::NAN, |(_, loss)| *loss);
    let seconds = began.elapsed().as_secs_f64();
    Ok((Predictions { from, seconds, loss, suspicion, parted: None, rows }, losses))
}

/// Refuses a worker that would compute something else; says what may change bits.
fn check(way: &Way, worker: &Describe) -> Result<Option<String>, String> {
    let facts = WorkerFacts {
        libtorch: worker.libtorch.clone(),
        cpu_capability: worker.cpu_capability.clone(),
        gpu: worker.gpu.clone(),
    };
    let mut suspicion = None;
    for (fields, before) in &way.trained {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let libtorch = text("worker.libtorch");
        if libtorch != worker.libtorch {
            return Err(format!("it was trained with libtorch {libtorch}, and this one is {}", worker.libtorch));
        }
        let device = text("worker.device");
        if device != CPU && worker.gpu.is_none() {
            return Err(format!("it was trained on {device}, and the worker finds no GPU"));
        }
        let now = facts.capability(device);
        if now != *before {
            suspicion = Some(format!("it was trained on {before}, and this is {now}"));
        }
    }
    Ok(suspicion)
}

/// Finds the nearest state at or before a step, in the trajectory that has the step or in one that it was forked from.
fn way(reader: &mut Reader, run: i64, step: u64) -> Result<Result<Way, String>, Failure> {
    let bug = |what: &str| Failure::failed(format!("BUG: run{run} has no {what}"), "");
    let trajectory = reader.record.detail(run)?.trajectory_id.ok_or_else(|| bug("trajectory"))?;
    let holder = reader.record.holder(trajectory, i64::try_from(step + 1).unwrap_or(i64::MAX))?;
    let mut identity = holder.ok_or_else(|| bug("part with that step"))?;
    let store = Store::over(&reader.store);
    let (mut legs, mut trained) = (Vec::<Leg>::new(), Vec::new());
    // Where this leg ends, and the last checkpoint that it could begin with.
    let (mut to, mut latest) = (step + 1, step);
    loop {
        let origin = reader.record.origin(&identity)?.ok_or_else(|| bug("trajectory of that identity"))?;
        let first = u64::try_from(origin.first).unwrap_or(0);
        let fields = Fields::from_json(&origin.fields).ok_or_else(|| bug("fields"))?;
        let ancestor = forks::ancestor(origin)?;
        let found = reader.record.find_trajectory(ancestor.identity)?.ok_or_else(|| bug("trajectory"))?;
        let start = nearest(&store, &mut reader.record, &found, latest);
        if let (Some((n, files)), Some(after)) = (&start, legs.last_mut())
            && *n == latest
        {
            after.start = Some(files.clone());
            break;
        }
        if fields.get("version").and_then(Value::as_u64) != Some(u64::from(params::version(STAGE))) {
            let version = fields.get("version").map_or("none".to_owned(), Value::to_string);
            let now = params::version(STAGE);
            return Ok(Err(format!("it was trained by version {version} of {STAGE}, and this program has {now}")));
        }
        let inputs = match inputs(&store, &mut reader.record, &ancestor.inputs) {
            Ok(inputs) => inputs,
            Err(why) => return Ok(Err(why)),
        };
        let (from, start) = start.map_or((first, None), |(n, files)| (n, Some(files)));
        let mut params = ancestor.params;
        again(&mut params, to);
        params["device"] = fields.get("worker.device").cloned().unwrap_or(Value::from(CPU));
        let parent = params["fork"]["trajectory"].as_str().map(str::to_owned);
        let length = fields.get("param.length").and_then(Value::as_u64).unwrap_or(to).max(to);
        let looks = reader.record.looks(found.row)?.into_iter().map(|(step, loss)| (step, Measured(loss))).collect();
        let begins = start.is_some() || first == 0;
        legs.push(Leg { params, inputs, threads: found.threads, length, from, to, start, looks });
        trained.push((fields, found.cpu_capability));
        if begins {
            break;
        }
        (to, latest) = (first, first);
        identity = parent.ok_or_else(|| bug("parent"))?;
    }
    legs.reverse();
    Ok(Ok(Way { legs, trained }))
}

/// The last checkpoint up to `latest` whose two files are sound. Checkpoint 0 is drawn anew.
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

/// Where the files lie that a training read.
fn inputs(
    store: &Store,
    record: &mut Record,
    digests: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, PathBuf>, String> {
    let place = |(name, digest): (&String, &String)| {
        let id = ObjectId(digest.parse::<Digest>().map_err(|_| format!("BUG: {digest} is no digest"))?);
        match store.check_sized(id, || record.size(id).ok().flatten()) {
            Ok(Health::Sound) => Ok((name.clone(), store.path(id))),
            Ok(Health::Missing) => Err(format!("an object that it read is gone from the store ({name})")),
            Ok(Health::Damaged) => Err(format!("an object that it read was damaged, and is set aside ({name})")),
            Err(error) => Err(format!("{}: {error}", store.path(id).display())),
        }
    };
    digests.iter().map(place).collect()
}
