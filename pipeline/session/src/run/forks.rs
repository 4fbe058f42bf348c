//! Checks that a fork changes nothing that its checkpoint fixes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use stages::params::{self, Fork, KEPT_BY_FORKS};

use crate::failure::Failure;
use crate::plan::{Ancestor, FileAtHand, reads};
use experiment::{Experiment, Point};
use identity::Fields;
use identity::{RunId, TrajectoryId};
use record::Record;
use record::read::ForkOrigin;
use stages::schema::flatten;

/// The stages before training, all of which a fork keeps.
const KEPT_STAGES: [&str; 3] = ["tokenize", "vocab", "batch"];

/// The trajectories that a point is forked from, the nearest first; empty if the point is not a fork.
pub(super) fn ancestors(
    record: &mut Record,
    experiment: &Experiment,
    point: &Point,
    sources: &[FileAtHand],
) -> Result<Vec<Ancestor>, Failure> {
    let Some(fork) = &point.stages.train.read.fork else { return Ok(Vec::new()) };
    let Some(origin) = record.origin(&fork.trajectory)? else {
        let message = format!("this record has no trajectory {} to fork", short(&fork.trajectory));
        return Err(experiment
            .complain("train.fork", &message, "to fork a recorded run: pipeline fork run42 --at 300")
            .into());
    };
    check_step(fork, &origin).map_err(|(message, hint)| experiment.complain("train.fork", &message, &hint))?;
    check_kept(experiment, point, &origin)?;
    check_corpus(record, experiment, sources, origin.run)?;
    let mut found = vec![ancestor(origin)?];
    while let Some(identity) = found.last().and_then(|last| last.params["fork"]["trajectory"].as_str()) {
        match record.origin(identity)? {
            Some(origin) => found.push(ancestor(origin)?),
            None => return Err(Failure::failed(format!("BUG: the parent {} is not recorded", short(identity)), "")),
        }
    }
    Ok(found)
}

/// The parameters and inputs of a recorded trajectory.
pub(crate) fn ancestor(origin: ForkOrigin) -> Result<Ancestor, Failure> {
    let bug = |what: &str| Failure::failed(format!("BUG: the training of {} has no {what}", origin.run), "");
    let identity: TrajectoryId = origin.identity.parse().map_err(|_| bug("identity"))?;
    let fields = Fields::from_json(&origin.fields).ok_or_else(|| bug("fields"))?;
    let mut inputs = BTreeMap::new();
    fields.walk(|name, value| {
        if let (Some(name), Some(digest)) = (name.strip_prefix("input."), value.as_str()) {
            inputs.insert(name.to_owned(), digest.to_owned());
        }
    });
    Ok(Ancestor { identity, params: table(&origin.params(), "train"), inputs, run: origin.run.to_string() })
}

/// Refuses a checkpoint that is not one of the trajectory's own.
fn check_step(fork: &Fork, origin: &ForkOrigin) -> Result<(), (String, String)> {
    let ForkOrigin { run, first, steps, .. } = origin;
    let step = i64::try_from(fork.step).unwrap_or(i64::MAX);
    if step > *steps {
        return Err((
            format!("{run} has no checkpoint {step}; allowed: {} to {steps}", first + 1),
            format!("to fork from the last checkpoint: pipeline fork {run} --at {steps}"),
        ));
    }
    if step <= *first {
        let message = format!("{run} is itself a fork, and its own steps begin at step {first}");
        return Err((message, format!("to fork from the run that has this step: pipeline fork {run} --at {step}")));
    }
    Ok(())
}

/// Refuses changes to parameters that the checkpoint fixes.
fn check_kept(experiment: &Experiment, point: &Point, origin: &ForkOrigin) -> Result<(), Failure> {
    let recorded = origin.params();
    for stage in KEPT_STAGES.into_iter().chain(["train"]) {
        let mut before = table(&recorded, stage);
        // The record keeps the split under corpus, as the experiment does.
        let split = table(&recorded, "corpus.split");
        if stage == "tokenize" && split.as_object().is_some_and(|split| !split.is_empty()) {
            before["split"] = split;
        }
        let (before, now) = (flat(stage, &before), flat(stage, &point.stages[stage]));
        let differs = before.keys().chain(now.keys()).find(|name| before.get(*name) != now.get(*name));
        let Some(name) = differs else { continue };
        let key = name.replace("tokenize.split", "corpus.split");
        // A parameter that has its default value can be missing.
        let default = || {
            params::stage_keys(stage).and_then(|keys| keys.keys.iter().find(|it| key == format!("{stage}.{}", it.name)))
        };
        let default =
            || default().and_then(|it| it.default_value(0)).map_or("not set".to_owned(), |value| value.to_string());
        let words = |value: Option<&Value>| value.map_or_else(default, Value::to_string);
        let message =
            format!("{key} is {}, but {} in the parent {}", words(now.get(name)), words(before.get(name)), origin.run);
        return Err(experiment.complain(&key, &message, hint(&key)).into());
    }
    Ok(())
}

/// The hint for a change to a key that the checkpoint fixes.
fn hint(key: &str) -> &'static str {
    let inside = |table: &str| key == table || key.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'));
    match key {
        _ if inside("train.init") || inside("train.forget_bias") => {
            "a fork starts from the checkpoint's weights; to initialise new ones, use `pipeline run`"
        }
        "batch.seed" => "to change the seed of dropout alone: --set train.seed=…",
        "train.optimizer" => "the checkpoint holds that optimizer's moments; for another optimizer, use `pipeline run`",
        _ => {
            "a fork can change baselines, evaluate, sample, and all of train except the model's shape, init, \
             optimizer, accumulate and precision"
        }
    }
}

/// The parameters that a stage reads, by dotted name; of `train`, only those that a fork must keep.
fn flat(stage: &str, params: &Value) -> BTreeMap<String, Value> {
    let mut all = Vec::new();
    let kept = |name: &str| stage != "train" || KEPT_BY_FORKS.contains(&name);
    if let Value::Object(entries) = reads(stage, params, &[]) {
        for (name, value) in entries.iter().filter(|(name, _)| kept(name)) {
            flatten(&format!("{stage}.{name}"), value, &mut all);
        }
    }
    all.into_iter().collect()
}

/// The table of a stage, rebuilt from parameters with dotted names.
fn table(params: &Map<String, Value>, stage: &str) -> Value {
    let mut table = Value::from(Map::new());
    for (name, value) in params {
        let Some(path) = name.strip_prefix(stage).and_then(|rest| rest.strip_prefix('.')) else { continue };
        let place = path.split('.').fold(&mut table, |table, part| &mut table[part]);
        *place = value.clone();
    }
    table
}

/// Refuses a corpus other than the one that the parent was trained on.
fn check_corpus(
    record: &mut Record,
    experiment: &Experiment,
    sources: &[FileAtHand],
    run: RunId,
) -> Result<(), Failure> {
    let before: BTreeMap<String, String> = record.inputs(run, "tokenize")?.into_iter().collect();
    for (name, digest, path) in sources {
        if before.get(name).is_some_and(|before| *before != digest.to_string()) {
            let message = format!("{} is not the text that the parent {run} was trained on", path.display());
            let hint = "restore the original file, or train from the start with `pipeline run`";
            return Err(experiment.complain(&format!("corpus.{name}"), &message, hint).into());
        }
    }
    Ok(())
}

/// The first digits of an identity.
fn short(identity: &str) -> &str {
    identity.get(..12).unwrap_or(identity)
}
