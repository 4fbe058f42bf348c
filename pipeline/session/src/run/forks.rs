//! What a fork begins from, held against what it asks for: whatever the checkpoint fixes can't be another value.

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

/// The stages before the training, all of which a fork keeps.
const KEPT_STAGES: [&str; 3] = ["tokenize", "vocab", "batch"];

/// The trajectories that a point's training was forked from, the nearest first; none where it is no fork.
pub(super) fn ancestors(
    record: &mut Record,
    experiment: &Experiment,
    point: &Point,
    sources: &[FileAtHand],
) -> Result<Vec<Ancestor>, Failure> {
    let Some(fork) = &point.stages.train.read.fork else { return Ok(Vec::new()) };
    let Some(origin) = record.origin(&fork.trajectory)? else {
        let message = format!("there is no training {} here to fork", short(&fork.trajectory));
        return Err(experiment
            .complain("train.fork", &message, "pipeline fork run42 --at 300 names one that is here")
            .into());
    };
    check_step(fork, &origin).map_err(|(message, hint)| experiment.complain("train.fork", &message, &hint))?;
    check_kept(experiment, point, &origin)?;
    check_corpus(record, experiment, sources, origin.run)?;
    let mut found = vec![ancestor(origin)?];
    while let Some(identity) = found.last().and_then(|last| last.params["fork"]["trajectory"].as_str()) {
        match record.origin(identity)? {
            Some(origin) => found.push(ancestor(origin)?),
            None => return Err(Failure::failed(format!("BUG: a parent {} is gone", short(identity)), "")),
        }
    }
    Ok(found)
}

/// What a trajectory was computed from.
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

/// The checkpoint must be one of the trajectory's own.
fn check_step(fork: &Fork, origin: &ForkOrigin) -> Result<(), (String, String)> {
    let ForkOrigin { run, first, steps, .. } = origin;
    let step = i64::try_from(fork.step).unwrap_or(i64::MAX);
    if step > *steps {
        return Err((
            format!("the training of {run} has no checkpoint {step}; allowed: {} to {steps}", first + 1),
            format!("pipeline fork {run} --at {steps}"),
        ));
    }
    if step <= *first {
        let message = format!("the training of {run} is a fork itself, and its own steps begin at {first}");
        return Err((message, format!("pipeline fork {run} --at {step} names the training that has that step")));
    }
    Ok(())
}

/// What the checkpoint fixes must be as it was.
fn check_kept(experiment: &Experiment, point: &Point, origin: &ForkOrigin) -> Result<(), Failure> {
    let recorded = origin.params();
    for stage in KEPT_STAGES.into_iter().chain(["train"]) {
        let mut before = table(&recorded, stage);
        // The record has the split where the experiment has it.
        let split = table(&recorded, "corpus.split");
        if stage == "tokenize" && split.as_object().is_some_and(|split| !split.is_empty()) {
            before["split"] = split;
        }
        let (before, now) = (flat(stage, &before), flat(stage, &point.stages[stage]));
        let differs = before.keys().chain(now.keys()).find(|name| before.get(*name) != now.get(*name));
        let Some(name) = differs else { continue };
        let key = name.replace("tokenize.split", "corpus.split");
        // What stands at its default may be left out.
        let default = || {
            params::stage_keys(stage).and_then(|keys| keys.keys.iter().find(|it| key == format!("{stage}.{}", it.name)))
        };
        let default =
            || default().and_then(|it| it.default_value(0)).map_or("not set".to_owned(), |value| value.to_string());
        let words = |value: Option<&Value>| value.map_or_else(default, Value::to_string);
        let message = format!(
            "{key} is {}, and was {} in {}, from which this forks",
            words(now.get(name)),
            words(before.get(name)),
            origin.run
        );
        return Err(experiment.complain(&key, &message, hint(&key)).into());
    }
    Ok(())
}

/// What may be changed in place of a key that may not.
fn hint(key: &str) -> &'static str {
    let inside = |table: &str| key == table || key.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'));
    match key {
        _ if inside("train.init") || inside("train.forget_bias") => {
            "a fork starts from the checkpoint's weights; pipeline run draws new ones"
        }
        "batch.seed" => "--set train.seed=… changes the seed of dropout alone",
        "train.optimizer" => "the checkpoint has that optimizer's moments; pipeline run begins with another",
        _ => {
            "a fork may change baselines, evaluate, sample, and of train all but shape, init, optimizer, accumulate and \
             precision"
        }
    }
}

/// What a stage reads, or the part of it that a fork keeps, by dotted names.
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

/// The table of a stage, of parameters by their dotted names.
fn table(params: &Map<String, Value>, stage: &str) -> Value {
    let mut table = Value::from(Map::new());
    for (name, value) in params {
        let Some(path) = name.strip_prefix(stage).and_then(|rest| rest.strip_prefix('.')) else { continue };
        let place = path.split('.').fold(&mut table, |table, part| &mut table[part]);
        *place = value.clone();
    }
    table
}

/// The corpus must be the one that the parent was trained on.
fn check_corpus(
    record: &mut Record,
    experiment: &Experiment,
    sources: &[FileAtHand],
    run: RunId,
) -> Result<(), Failure> {
    let before: BTreeMap<String, String> = record.inputs(run, "tokenize")?.into_iter().collect();
    for (name, digest, path) in sources {
        if before.get(name).is_some_and(|before| *before != digest.to_string()) {
            let message =
                format!("{} is not the text that {run} was trained on, from which this forks", path.display());
            return Err(experiment
                .complain(&format!("corpus.{name}"), &message, "bring that text back, or run afresh")
                .into());
        }
    }
    Ok(())
}

/// The first digits of an identity.
fn short(identity: &str) -> &str {
    identity.get(..12).unwrap_or(identity)
}
