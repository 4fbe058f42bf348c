//! `pipeline objects gc`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::commands::owners::{Owners, disk, entries, owners, size_of, whose};
use crate::ui;
use crate::ui::format::{bytes, count, redacted};
use crate::ui::look::Look;
use crate::ui::table::{Table, left, right};
use engine::lock;
use engine::store::Store;
use identity::ObjectId;
use record::objects::Trace;
use record::{Record, RecordError};
use session::failure::Failure;

/// A leftover in the store that is not an object.
#[derive(Debug, PartialEq, Eq)]
pub struct Waste {
    /// The kind of leftover: `scratch`, `damaged` or `log`.
    pub what: &'static str,
    pub path: PathBuf,
    /// The stage and run it belonged to, if the record knows.
    pub whose: String,
}

/// Removes everything that the record does not refer to.
pub fn gc(store: &Store, record: &mut Record, dry_run: bool) -> Result<(), Failure> {
    if let Some((other, noted)) = store.other_databases(record.path()).first() {
        return Err(shared(store, other, noted));
    }
    let folders = Folders::read(store);
    let references = record.references()?;
    let owners = owners(&references);
    let waste = waste(store, folders, &record.traces()?, &owners);
    let objects = store.objects().map_err(disk(store))?;
    let sizes: BTreeMap<ObjectId, u64> = objects.iter().copied().collect();
    let ids: Vec<ObjectId> = sizes.keys().copied().collect();
    if dry_run {
        let gone: Vec<(ObjectId, u64)> = record.unreferenced(&ids)?.into_iter().map(|id| (id, sizes[&id])).collect();
        ui::data(&screen(&gone, &waste, Look::stdout()));
        return Ok(());
    }
    let mut gone = Vec::new();
    let database = record.path().to_owned();
    let removed = store.remove(|| -> Result<_, Collecting> {
        // Checked again: another database may have started using the store.
        if let Some((other, noted)) = store.other_databases(&database).pop() {
            return Err(Collecting::Shared(other, noted));
        }
        // Queried under the lock, so that no process starts using an object in between. Rows are deleted first, because
        // a row without its file would count as damage.
        gone = record.unreferenced(&ids)?;
        record.forget_objects(&gone)?;
        Ok(gone.clone())
    });
    let freed = match removed {
        Ok(Some(freed)) => freed,
        Ok(None) => {
            let hint = "nothing was removed; try again when that process has finished";
            return Err(Failure::failed("another process is adding objects to the store", hint));
        }
        Err(Collecting::Record(error)) => return Err(error.into()),
        Err(Collecting::Disk(error)) => return Err(disk(store)(error)),
        Err(Collecting::Shared(other, noted)) => return Err(shared(store, &other, &noted)),
    };
    record.forget_checkpoints(&lost(&owners, &sizes))?;
    let mut swept = 0;
    for waste in &waste {
        let size = size_of(&waste.path);
        let removed =
            if waste.path.is_dir() { std::fs::remove_dir_all(&waste.path) } else { std::fs::remove_file(&waste.path) };
        match removed {
            Ok(()) => swept += size,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::failed(format!("{}: {error}", waste.path.display()), "")),
        }
    }
    store.save_cache();
    ui::data(&format!("removed {}\n", sum(gone.len(), &waste, freed + swept)));
    Ok(())
}

/// The error for a store that another database uses too.
fn shared(store: &Store, other: &Path, noted: &Path) -> Failure {
    let root = store.root().display();
    if other.exists() {
        let message = format!("{root} is also the store of {}, whose objects would be removed", other.display());
        return Failure::input(message, "use a separate store for each database, with --db and --store");
    }
    let message = format!("{root} is also the store of {}, which does not exist", other.display());
    Failure::input(message, format!("if that database is gone for good: rm {}", noted.display()))
}

/// Why objects could not be removed.
enum Collecting {
    Shared(PathBuf, PathBuf),
    Record(RecordError),
    Disk(std::io::Error),
}

impl From<RecordError> for Collecting {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl From<std::io::Error> for Collecting {
    fn from(error: std::io::Error) -> Self {
        Self::Disk(error)
    }
}

/// The contents of the store's other folders, read before the record so that nothing newer is included.
pub struct Folders {
    scratch: Vec<PathBuf>,
    damaged: Vec<PathBuf>,
    logs: Vec<PathBuf>,
}

impl Folders {
    pub fn read(store: &Store) -> Self {
        let of = |folder: &str| entries(&store.root().join(folder));
        Self { scratch: of("tmp"), damaged: of("damaged"), logs: of("logs") }
    }
}

/// The leftovers in those folders.
pub fn waste(store: &Store, folders: Folders, traces: &[Trace], owners: &Owners<'_>) -> Vec<Waste> {
    // A file unknown to the record may belong to a live process that is about to record it or that uses another record.
    let anyone = lock::is_anyone_alive(store.root(), None);
    let by_uid: BTreeMap<&str, &Trace> = traces.iter().map(|trace| (trace.uid.as_str(), trace)).collect();
    let logs: BTreeSet<&str> = traces.iter().filter_map(|trace| trace.log.as_deref()).collect();
    let mut found = Vec::new();
    for path in folders.scratch {
        let trace = by_uid.get(name(&path));
        let alive = |trace: &&Trace| trace.process.as_ref().is_some_and(|p| lock::is_alive(store.root(), p));
        if trace.map_or(anyone, alive) {
            continue;
        }
        let run = |trace: &&Trace| trace.run.map_or(String::new(), |run| format!(" of {run}"));
        let whose = trace.map_or(String::new(), |trace| format!("{}{}", trace.stage, run(trace)));
        found.push(Waste { what: "scratch", path, whose });
    }
    for path in folders.damaged {
        let id = name(&path).get(..64).and_then(|id| id.parse::<ObjectId>().ok());
        let whose = id.and_then(|id| owners.get(&id)).map_or(String::new(), |references| whose(references));
        found.push(Waste { what: "damaged", path, whose });
    }
    let unknown = |path: &PathBuf| !anyone && !logs.contains(name(path));
    let logs = folders.logs.into_iter().filter(unknown);
    found.extend(logs.map(|path| Waste { what: "log", path, whose: String::new() }));
    found
}

fn name(path: &std::path::Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or("")
}

/// Referenced objects that are missing. If all are missing, this is probably a different store, and none is reported.
pub fn lost<'a>(owners: &Owners<'a>, there: &BTreeMap<ObjectId, u64>) -> Vec<&'a str> {
    if !owners.keys().any(|id| there.contains_key(id)) {
        return Vec::new();
    }
    let gone = owners.iter().filter(|(id, _)| !there.contains_key(id));
    gone.filter_map(|(_, references)| Some(references.first()?.digest.as_str())).collect()
}

/// The screen of a dry run.
pub fn screen(objects: &[(ObjectId, u64)], waste: &[Waste], look: Look) -> String {
    let mut table = Table::new(vec![left("what"), right("bytes"), left("name"), left("belongs to")]);
    for (id, size) in objects {
        table.plain(vec!["object".to_owned(), bytes(*size), redacted("digest", id.to_string()), String::new()]);
    }
    let mut whole: u64 = objects.iter().map(|(_, size)| size).sum();
    for Waste { what, path, whose } in waste {
        let size = size_of(path);
        whole += size;
        // The part of a damaged file's name that identifies the object.
        let short = name(path).get(..64).unwrap_or(name(path)).to_owned();
        table.plain(vec![(*what).to_owned(), bytes(size), redacted("name", short), whose.clone()]);
    }
    let sum = sum(objects.len(), waste, whole);
    if objects.is_empty() && waste.is_empty() {
        return "nothing to remove\n".to_owned();
    }
    format!("{}would remove {sum}\n", table.render(look).0)
}

/// The number of objects and of leftovers, and their size: `2 objects, 1 log, 3.4 MB`.
fn sum(objects: usize, waste: &[Waste], whole: u64) -> String {
    let of = |what: &str| waste.iter().filter(|waste| waste.what == what).count();
    let parts = [
        (objects, "object", "objects"),
        (of("damaged"), "damaged file", "damaged files"),
        (of("scratch"), "scratch folder", "scratch folders"),
        (of("log"), "log", "logs"),
    ];
    let said = parts.iter().filter(|(n, one, _)| *n > 0 || *one == "object");
    let said = said.map(|(n, one, many)| format!("{} {}", count(*n as i64), if *n == 1 { one } else { many }));
    format!("{}, {}", said.collect::<Vec<_>>().join(", "), bytes(whole))
}
