//! `pipeline objects`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::args::{ObjectsArgs, ObjectsCommand};
use crate::engine::digest::ObjectId;
use crate::engine::store::{Health, Store};
use crate::failure::{FAILED, Failure};
use crate::places::Paths;
use crate::record::objects::Reference;
use crate::record::{Record, RecordError};
use crate::ui;
use crate::ui::counter::Counter;
use crate::ui::format::{bytes, count};

/// Looks after the store.
pub fn objects(args: &ObjectsArgs, paths: &Paths) -> Result<(), Failure> {
    let mut record = match args.command {
        ObjectsCommand::Gc { dry_run: false } => Record::create(&existing(paths)?)?,
        _ => Record::open(&paths.db)?,
    };
    let root = paths.store(record.store_path()?.as_deref());
    let store = Store::over(&root);
    let references = record.references()?;
    match args.command {
        ObjectsCommand::Verify => verify(&store, &references),
        ObjectsCommand::Size => size(&store, &references),
        ObjectsCommand::Gc { dry_run } => gc(&store, &mut record, &references, dry_run),
    }
}

/// Collecting in a database that is not there would make one.
fn existing(paths: &Paths) -> Result<std::path::PathBuf, Failure> {
    if paths.db.exists() { Ok(paths.db.clone()) } else { Err(RecordError::Missing(paths.db.clone()).into()) }
}

fn disk(root: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::failed(format!("{}: {error}", root.display()), "")
}

/// References by object.
fn by_object(references: &[Reference]) -> BTreeMap<&str, Vec<&Reference>> {
    let mut found: BTreeMap<&str, Vec<&Reference>> = BTreeMap::new();
    for reference in references {
        found.entry(&reference.digest).or_default().push(reference);
    }
    found
}

/// `train weights@100 of run1, run2`.
fn whose(references: Option<&Vec<&Reference>>) -> String {
    let Some(references) = references else { return "nobody's".to_owned() };
    let what = references.first().map_or(String::new(), |first| format!("{} {}", first.stage, first.name));
    let runs: BTreeSet<i64> = references.iter().filter_map(|reference| reference.run).collect();
    let runs: Vec<String> = runs.iter().map(|run| format!("run{run}")).collect();
    if runs.is_empty() { what } else { format!("{what} of {}", runs.join(", ")) }
}

fn verify(store: &Store, references: &[Reference]) -> Result<(), Failure> {
    let owners = by_object(references);
    let objects = store.objects().map_err(disk(store.root()))?;
    let whole: u64 = objects.iter().map(|(_, bytes)| bytes).sum();
    let mut counter = Counter::new("verifying", 0, Some(whole));
    let mut wrong = Vec::new();
    let mut sound = 0;
    for (id, bytes) in &objects {
        match store.verify(*id).map_err(disk(store.root()))? {
            Health::Sound => sound += 1,
            _ => wrong.push((id.to_string(), "damaged, and set aside")),
        }
        counter.advance(*bytes);
    }
    drop(counter);
    let there: BTreeSet<String> = objects.iter().map(|(id, _)| id.to_string()).collect();
    wrong.extend(owners.keys().filter(|digest| !there.contains(**digest)).map(|d| ((*d).to_owned(), "missing")));
    for (digest, what) in &wrong {
        ui::data(&format!("{digest}  {what}: {}\n", whose(owners.get(digest.as_str()))));
    }
    if wrong.is_empty() {
        ui::data(&format!("{} objects, {}: all sound\n", count(sound), bytes(whole)));
        return Ok(());
    }
    let experiments: BTreeSet<&str> = wrong
        .iter()
        .filter_map(|(digest, _)| owners.get(digest.as_str()))
        .flatten()
        .filter_map(|reference| reference.experiment.as_deref())
        .collect();
    let again: Vec<String> = experiments.iter().map(|path| format!("pipeline run {path}")).collect();
    let hint = if again.is_empty() { String::new() } else { format!("{} makes them again", again.join("; ")) };
    let message = format!("{} of {} objects are damaged or missing", wrong.len(), objects.len().max(wrong.len()));
    Err(Failure { code: FAILED, message, hint })
}

fn size(store: &Store, references: &[Reference]) -> Result<(), Failure> {
    let owners = by_object(references);
    let mut by_stage: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut by_run: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut whole = (0, 0);
    let add = |map: &mut BTreeMap<String, (u64, u64)>, name: String, size: u64| {
        let entry = map.entry(name).or_default();
        *entry = (entry.0 + 1, entry.1 + size);
    };
    for (id, size) in store.objects().map_err(disk(store.root()))? {
        let mine = owners.get(id.to_string().as_str());
        let stage = mine.and_then(|all| all.first()).map_or("(unreferenced)".to_owned(), |reference| {
            let kind = if reference.name.starts_with("state@") { " states" } else { "" };
            format!("{}{kind}", reference.stage)
        });
        let runs: BTreeSet<i64> = mine.into_iter().flatten().filter_map(|reference| reference.run).collect();
        let run = match runs.len() {
            0 => "(no run)".to_owned(),
            1 => runs.first().map_or(String::new(), |run| format!("run{run}")),
            _ => "(shared)".to_owned(),
        };
        add(&mut by_stage, stage, size);
        add(&mut by_run, run, size);
        whole = (whole.0 + 1, whole.1 + size);
    }
    let mut text = String::new();
    let mut rows = |map: &BTreeMap<String, (u64, u64)>| {
        for (name, (objects, size)) in map {
            text.push_str(&format!("{name:<20} {:>8} objects {:>10}\n", count(*objects as i64), bytes(*size)));
        }
        text.push('\n');
    };
    rows(&by_stage);
    rows(&by_run);
    text.push_str(&format!("{:<20} {:>8} objects {:>10}\n", "all", count(whole.0 as i64), bytes(whole.1)));
    ui::data(&text);
    Ok(())
}

fn gc(store: &Store, record: &mut Record, references: &[Reference], dry_run: bool) -> Result<(), Failure> {
    let owners = by_object(references);
    let objects = store.objects().map_err(disk(store.root()))?;
    let unneeded: Vec<(ObjectId, u64)> =
        objects.into_iter().filter(|(id, _)| !owners.contains_key(id.to_string().as_str())).collect();
    let total: u64 = unneeded.iter().map(|(_, size)| size).sum();
    let ids: Vec<ObjectId> = unneeded.iter().map(|(id, _)| *id).collect();
    if dry_run {
        for (id, size) in &unneeded {
            ui::data(&format!("{id}  {:>10}  {}\n", bytes(*size), whose(None)));
        }
        ui::data(&format!("{} objects would go, {}\n", count(ids.len() as i64), bytes(total)));
        return Ok(());
    }
    let removed = store.remove(|| -> Result<_, Collecting> {
        // Asked again under the lock: a run may have taken one up since.
        let gone = record.unreferenced(&ids).map_err(Collecting::Record)?;
        record.forget_objects(&gone).map_err(Collecting::Record)?;
        Ok(gone)
    });
    match removed {
        Ok(Some(freed)) => {
            ui::data(&format!("{} objects removed, {}\n", count(ids.len() as i64), bytes(freed)));
            Ok(())
        }
        Ok(None) => Err(Failure::failed("another process is adding objects", "try again when it is done")),
        Err(Collecting::Record(error)) => Err(error.into()),
        Err(Collecting::Disk(error)) => Err(disk(store.root())(error)),
    }
}

/// What can go wrong while objects are removed.
enum Collecting {
    Record(RecordError),
    Disk(std::io::Error),
}

impl From<std::io::Error> for Collecting {
    fn from(error: std::io::Error) -> Self {
        Self::Disk(error)
    }
}
