//! The part of `pipeline verify` that checks the objects in the store.

use std::collections::{BTreeSet, HashMap};
use std::io;

use crate::commands::owners::{Owners, disk, owners, whose};
use crate::ui::counter::Counter;
use crate::ui::format::{self, bytes, count, redacted};
use engine::store::{Health, Store, advice};
use identity::ObjectId;
use record::objects::Reference;
use record::{Record, RecordError};
use session::failure::Failure;

/// What is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    SetAside,
    /// Damaged, in a read-only store.
    LeftInPlace,
    Missing,
    /// The recorded size is wrong: the object matches its digest.
    OtherSize(u64),
    /// The system's error, and advice.
    Unreadable(String, &'static str),
}

/// The result of a check.
#[derive(Debug)]
pub struct Report {
    pub objects: usize,
    pub bytes: u64,
    pub wrong: Vec<(ObjectId, Wrong)>,
}

/// A summary of the faults, and how to repair them.
#[derive(Debug, PartialEq, Eq)]
pub struct Complaint {
    pub message: String,
    pub hint: String,
}

/// Reads every object and compares it with its recorded size and its digest. `damaged` says that the record is damaged,
/// so queries may fail; `flags` repeat --db and --store in hints.
pub fn verify(
    store: &Store,
    record: &mut Record,
    damaged: bool,
    flags: &str,
) -> Result<(String, Option<Complaint>), Failure> {
    fn nothing<T>(error: RecordError, damaged: bool) -> Result<Vec<T>, Failure> {
        match error {
            RecordError::Damaged { .. } | RecordError::Statement { .. } if damaged => Ok(Vec::new()),
            error => Err(error.into()),
        }
    }
    // Queried before the folders are read, so that every referenced object has already been written.
    let references = record.references().or_else(|error| nothing(error, damaged))?;
    let owners = owners(&references);
    let sizes = record.sizes().or_else(|error| nothing(error, damaged))?;
    let sizes = sizes.into_iter().filter_map(|(digest, bytes)| Some((digest.parse().ok()?, bytes.unsigned_abs())));
    let mut report = look(store, &owners, &sizes.collect()).map_err(disk(store))?;
    // An object that a run pruned meanwhile is not missing.
    let missing: Vec<ObjectId> =
        report.wrong.iter().filter(|(_, wrong)| *wrong == Wrong::Missing).map(|(id, _)| *id).collect();
    let released = record.unreferenced(&missing).or_else(|error| nothing(error, damaged))?;
    report.wrong.retain(|(id, wrong)| *wrong != Wrong::Missing || !released.contains(id));
    store.save_cache();
    Ok(tell(&report, &owners, flags))
}

/// Reads every object in the store, and notes missing ones.
pub fn look(store: &Store, owners: &Owners<'_>, sizes: &HashMap<ObjectId, u64>) -> io::Result<Report> {
    let objects = store.objects()?;
    // An object of the wrong size is not read.
    let read = |id: &ObjectId, bytes: u64| if sizes.get(id).is_none_or(|size| *size == bytes) { bytes } else { 0 };
    let whole: u64 = objects.iter().map(|(id, bytes)| read(id, *bytes)).sum();
    let mut counter = Counter::new("checking objects", 0, Some(whole));
    let mut report = Report { objects: objects.len(), bytes: whole, wrong: Vec::new() };
    for (id, bytes) in &objects {
        let wrong = match store.verify(*id, sizes.get(id).copied()) {
            Ok(Health::Sound) => sizes.get(id).filter(|size| *size != bytes).map(|size| Wrong::OtherSize(*size)),
            Ok(Health::Damaged) if store.path(*id).exists() => Some(Wrong::LeftInPlace),
            Ok(Health::Damaged) => Some(Wrong::SetAside),
            // Without an owner, the object was removed since the folders were read.
            Ok(Health::Missing) => owners.contains_key(id).then_some(Wrong::Missing),
            Err(error) => Some(Wrong::Unreadable(error.to_string(), advice(&error))),
        };
        report.wrong.extend(wrong.map(|wrong| (*id, wrong)));
        counter.advance(read(id, *bytes));
    }
    let there: BTreeSet<ObjectId> = objects.iter().map(|(id, _)| *id).collect();
    let needed = owners.iter().filter(|(_, references)| references.iter().any(|reference| reference.needed));
    let gone = needed.map(|(id, _)| *id).filter(|id| !there.contains(id));
    report.wrong.extend(gone.map(|id| (id, Wrong::Missing)));
    report.wrong.sort_by_key(|(id, _)| *id);
    Ok(report)
}

/// The report as data, and the complaint if there are faults.
pub fn tell(report: &Report, owners: &Owners<'_>, flags: &str) -> (String, Option<Complaint>) {
    let Report { objects, bytes: whole, wrong } = report;
    if wrong.is_empty() {
        return (format!("{} objects, {}, no damage found\n", count(*objects as i64), bytes(*whole)), None);
    }
    let mut text = String::new();
    // Sorted, so that commands that recompute come before those that only clean up.
    let mut commands = BTreeSet::new();
    for (id, wrong) in wrong {
        let what = match wrong {
            Wrong::SetAside => "damaged, set aside".to_owned(),
            Wrong::LeftInPlace => "damaged, but can't be set aside".to_owned(),
            Wrong::Missing => "missing".to_owned(),
            Wrong::OtherSize(size) => {
                format!("intact, but recorded as {} bytes", redacted("size", count(*size as i64)))
            }
            Wrong::Unreadable(words, _) => format!("can't be read ({words})"),
        };
        let references = owners.get(id).map_or(&[][..], Vec::as_slice);
        let whose = if references.is_empty() { "unreferenced".to_owned() } else { whose(references) };
        text.push_str(&format!("{}  {what}: {whose}\n", redacted("digest", id.to_string())));
        match wrong {
            Wrong::Unreadable(_, advice) => drop(commands.insert((2, (*advice).to_owned()))),
            Wrong::OtherSize(_) => drop(commands.insert((2, "restore a backup of the record".to_owned()))),
            // One command is enough, because each of them repairs the object.
            _ => commands.extend(again(references, flags).min()),
        }
    }
    let of = |is: fn(&Wrong) -> bool| wrong.iter().filter(|(_, wrong)| is(wrong)).count();
    let s = |n: usize| if n == 1 { "" } else { "s" };
    let all = count(*objects as i64);
    let parts = [
        (of(|it| matches!(it, Wrong::SetAside | Wrong::LeftInPlace)), format!(" of {all} objects damaged")),
        (of(|it| matches!(it, Wrong::OtherSize(_))), format!(" of {all} objects recorded with the wrong size")),
        (of(|it| matches!(it, Wrong::Unreadable(..))), format!(" of {all} objects can't be read")),
        (of(|it| *it == Wrong::Missing), format!(" object{} missing", s(of(|it| *it == Wrong::Missing)))),
    ];
    let said = parts.iter().filter(|(n, _)| *n > 0).map(|(n, words)| format!("{}{words}", count(*n as i64)));
    let message = said.collect::<Vec<_>>().join(", ");
    let hint: Vec<String> = commands.into_iter().map(|(_, words)| words).collect();
    (text, Some(Complaint { message, hint: hint.join("; ") }))
}

/// The commands that repair an object, each with its rank: first those that rerun an experiment, then the one that
/// removes what no run needs.
fn again<'a>(references: &'a [&Reference], flags: &'a str) -> impl Iterator<Item = (u8, String)> + 'a {
    references.iter().map(move |reference| match &reference.experiment {
        Some(path) => {
            let overrides: Vec<String> =
                reference.overrides.as_deref().and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default();
            (0, format!("to recompute: {}{flags}", format::command(path, &overrides)))
        }
        None => (1, format!("to remove what no run needs: pipeline objects gc{flags}")),
    })
}
