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

/// Something beside the objects that nobody needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Waste {
    /// `scratch`, `damaged` or `log`.
    pub what: &'static str,
    pub path: PathBuf,
    /// What it belonged to, as far as the record knows.
    pub whose: String,
}

/// Removes what nothing in the record refers to.
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
        // Asked again: another may have begun to use the store.
        if let Some((other, noted)) = store.other_databases(&database).pop() {
            return Err(Collecting::Shared(other, noted));
        }
        // Asked under the lock, so that nobody takes one up in between; and the rows go first, since a row without its
        // file would be taken for damage.
        gone = record.unreferenced(&ids)?;
        record.forget_objects(&gone)?;
        Ok(gone.clone())
    });
    let freed = match removed {
        Ok(Some(freed)) => freed,
        Ok(None) => {
            let hint = "nothing was removed; try again when it is done";
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
    ui::data(&format!("{} removed\n", sum(gone.len(), &waste, freed + swept)));
    Ok(())
}

/// The complaint about a store in which another database keeps its objects too.
fn shared(store: &Store, other: &Path, noted: &Path) -> Failure {
    let root = store.root().display();
    if other.exists() {
        let message = format!("{root} is also the store of {}, whose objects would go", other.display());
        return Failure::input(message, "keep a store for each database: --db and --store of another run choose both");
    }
    let message = format!("{root} is also the store of {}, which is not to be found now", other.display());
    Failure::input(message, format!("where it is gone for good: rm {}", noted.display()))
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

/// What is in the store's other folders, read before the record is: whatever begins later is not in here.
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

/// What nobody needs of those folders.
pub fn waste(store: &Store, folders: Folders, traces: &[Trace], owners: &Owners<'_>) -> Vec<Waste> {
    // What the record does not know may be a living process's that is about to record it, or one's with another record.
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

/// Objects of checkpoints that are gone. Where none at all is there, it is another store, and nothing is concluded.
pub fn lost<'a>(owners: &Owners<'a>, there: &BTreeMap<ObjectId, u64>) -> Vec<&'a str> {
    if !owners.keys().any(|id| there.contains_key(id)) {
        return Vec::new();
    }
    let gone = owners.iter().filter(|(id, _)| !there.contains_key(id));
    gone.filter_map(|(_, references)| Some(references.first()?.digest.as_str())).collect()
}

/// What would go.
pub fn screen(objects: &[(ObjectId, u64)], waste: &[Waste], look: Look) -> String {
    let mut table = Table::new(vec![left("what"), right("bytes"), left("name"), left("whose")]);
    for (id, size) in objects {
        table.plain(vec!["object".to_owned(), bytes(*size), redacted("digest", id.to_string()), String::new()]);
    }
    let mut whole: u64 = objects.iter().map(|(_, size)| size).sum();
    for Waste { what, path, whose } in waste {
        let size = size_of(path);
        whole += size;
        // Of a damaged object's name, the part that tells what it was.
        let short = name(path).get(..64).unwrap_or(name(path)).to_owned();
        table.plain(vec![(*what).to_owned(), bytes(size), redacted("name", short), whose.clone()]);
    }
    let sum = sum(objects.len(), waste, whole);
    if objects.is_empty() && waste.is_empty() {
        return "nothing would go\n".to_owned();
    }
    format!("{}{sum} would go\n", table.render(look).0)
}

/// `2 objects, 1 log, 3.4 MB`.
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
