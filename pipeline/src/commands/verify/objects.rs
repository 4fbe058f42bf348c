//! The objects' part of `pipeline verify`.

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
    /// Damaged, in a store that can't be written.
    LeftThere,
    Missing,
    /// The record has another size of it, which is wrong: its digest is its name.
    OtherSize(u64),
    /// The system refuses it: in what words, and what could be done.
    Unreadable(String, &'static str),
}

/// What was found.
#[derive(Debug)]
pub struct Report {
    pub objects: usize,
    pub bytes: u64,
    pub wrong: Vec<(ObjectId, Wrong)>,
}

/// What is wrong with the objects, in a few words, and what repairs them.
#[derive(Debug, PartialEq, Eq)]
pub struct Complaint {
    pub message: String,
    pub hint: String,
}

/// Reads every object and compares it with its recorded size and its name. `damaged` says that the record is, and may not
/// answer; `flags` name both places again in hints.
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
    // Asked before the folders are read: what is referred to by now is there by then.
    let references = record.references().or_else(|error| nothing(error, damaged))?;
    let owners = owners(&references);
    let sizes = record.sizes().or_else(|error| nothing(error, damaged))?;
    let sizes = sizes.into_iter().filter_map(|(digest, bytes)| Some((digest.parse().ok()?, bytes.unsigned_abs())));
    let mut report = look(store, &owners, &sizes.collect()).map_err(disk(store))?;
    // What went because a run let go of it meanwhile is not missed.
    let missing: Vec<ObjectId> =
        report.wrong.iter().filter(|(_, wrong)| *wrong == Wrong::Missing).map(|(id, _)| *id).collect();
    let released = record.unreferenced(&missing).or_else(|error| nothing(error, damaged))?;
    report.wrong.retain(|(id, wrong)| *wrong != Wrong::Missing || !released.contains(id));
    store.save_cache();
    Ok(tell(&report, &owners, flags))
}

/// Reads all that is there, and notes what is not.
pub fn look(store: &Store, owners: &Owners<'_>, sizes: &HashMap<ObjectId, u64>) -> io::Result<Report> {
    let objects = store.objects()?;
    // What has another size is not read.
    let read = |id: &ObjectId, bytes: u64| if sizes.get(id).is_none_or(|size| *size == bytes) { bytes } else { 0 };
    let whole: u64 = objects.iter().map(|(id, bytes)| read(id, *bytes)).sum();
    let mut counter = Counter::new("verifying", 0, Some(whole));
    let mut report = Report { objects: objects.len(), bytes: whole, wrong: Vec::new() };
    for (id, bytes) in &objects {
        let wrong = match store.verify(*id, sizes.get(id).copied()) {
            Ok(Health::Sound) => sizes.get(id).filter(|size| *size != bytes).map(|size| Wrong::OtherSize(*size)),
            Ok(Health::Damaged) if store.path(*id).exists() => Some(Wrong::LeftThere),
            Ok(Health::Damaged) => Some(Wrong::SetAside),
            // Nobody's: it was removed since the folders were read.
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

/// The report as data, and what is wrong.
pub fn tell(report: &Report, owners: &Owners<'_>, flags: &str) -> (String, Option<Complaint>) {
    let Report { objects, bytes: whole, wrong } = report;
    if wrong.is_empty() {
        return (format!("{} objects, {}, all sound\n", count(*objects as i64), bytes(*whole)), None);
    }
    let mut text = String::new();
    // Sorted, so that runs come before what only forgets.
    let mut commands = BTreeSet::new();
    for (id, wrong) in wrong {
        let what = match wrong {
            Wrong::SetAside => "damaged, set aside".to_owned(),
            Wrong::LeftThere => "damaged, and can't be set aside".to_owned(),
            Wrong::Missing => "missing".to_owned(),
            Wrong::OtherSize(size) => {
                format!("sound, but recorded with {} bytes", redacted("size", count(*size as i64)))
            }
            Wrong::Unreadable(words, _) => format!("can't be read ({words})"),
        };
        let references = owners.get(id).map_or(&[][..], Vec::as_slice);
        let whose = if references.is_empty() { "nothing refers to it".to_owned() } else { whose(references) };
        text.push_str(&format!("{}  {what}: {whose}\n", redacted("digest", id.to_string())));
        match wrong {
            Wrong::Unreadable(_, advice) => drop(commands.insert((2, (*advice).to_owned()))),
            Wrong::OtherSize(_) => drop(commands.insert((2, "restore a backup of the record".to_owned()))),
            // Any of them makes it again.
            _ => commands.extend(again(references, flags).min()),
        }
    }
    let of = |is: fn(&Wrong) -> bool| wrong.iter().filter(|(_, wrong)| is(wrong)).count();
    let s = |n: usize| if n == 1 { "" } else { "s" };
    let all = count(*objects as i64);
    let parts = [
        (of(|it| matches!(it, Wrong::SetAside | Wrong::LeftThere)), format!(" of {all} objects damaged")),
        (of(|it| matches!(it, Wrong::OtherSize(_))), format!(" of {all} objects recorded with another size")),
        (of(|it| matches!(it, Wrong::Unreadable(..))), format!(" of {all} objects can't be read")),
        (of(|it| *it == Wrong::Missing), format!(" object{} missing", s(of(|it| *it == Wrong::Missing)))),
    ];
    let said = parts.iter().filter(|(n, _)| *n > 0).map(|(n, words)| format!("{}{words}", count(*n as i64)));
    let message = said.collect::<Vec<_>>().join(", ");
    let hint: Vec<String> = commands.into_iter().map(|(_, words)| words).collect();
    (text, Some(Complaint { message, hint: hint.join("; ") }))
}

/// What makes an object good again: the experiment, or forgetting it where no run asks for it. With a rank.
fn again<'a>(references: &'a [&Reference], flags: &'a str) -> impl Iterator<Item = (u8, String)> + 'a {
    references.iter().map(move |reference| match &reference.experiment {
        Some(path) => {
            let overrides: Vec<String> =
                reference.overrides.as_deref().and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default();
            (0, format!("{}{flags} makes it again", format::command(path, &overrides)))
        }
        None => (1, format!("pipeline objects gc{flags} forgets what no run asks for")),
    })
}
