//! `pipeline verify`: checks the record and the store.

pub mod objects;

use std::collections::BTreeSet;

use crate::args::VerifyArgs;
use crate::ui;
use crate::ui::counter::Counter;
use crate::ui::format::{self, count};
use crate::ui::watch::Terminal;
use engine::lock::is_anyone_alive;
use engine::store::Store;
use record::sound::{Damage, Examined, MOST_PAGES, Told};
use record::{Record, RecordError};
use session::failure::{Failure, FailureKind};
use session::places::Paths;
use session::updated;
use system::quoted;

/// Checks the record and the store, and prints the faults.
pub fn verify(args: &VerifyArgs, paths: &Paths) -> Result<(), Failure> {
    if args.repair {
        check_idle(paths)?;
    }
    let open = || {
        let mut record = updated(Record::open(&paths.db)?, &mut Terminal);
        let bytes = paths.db.metadata().map_or(0, |meta| meta.len());
        let mut examined = record.examine(told(bytes))?;
        if args.repair && examined.is_repairable() {
            drop(record);
            examined = Record::create(&paths.db)?.repair(told(bytes))?;
            record = Record::open(&paths.db)?;
        }
        Ok((record, examined))
    };
    // A database too damaged to open gets the same hint as one with damaged rows.
    let (mut record, examined) = open().map_err(|error: RecordError| match error {
        error @ RecordError::Damaged { .. } => {
            Failure { hint: restore(paths), kind: FailureKind::Failed, ..error.into() }
        }
        error => error.into(),
    })?;
    ui::data(&screen(&examined, paths));
    let of_record = complaint(&examined, paths);
    let damaged = of_record.is_some();
    let store =
        paths.store(record.store_path().or_else(|error| if damaged { Ok(None) } else { Err(error) })?.as_deref());
    let store = Store::over(&store);
    let of_objects = if store.root().is_dir() {
        let (text, complaint) = objects::verify(&store, &mut record, damaged, &paths.flags())?;
        ui::data(&text);
        complaint
    } else {
        absent(&store, &mut record, of_record.as_ref())?
    };
    let all: Vec<objects::Complaint> = of_record.into_iter().chain(of_objects).collect();
    if all.is_empty() {
        return Ok(());
    }
    let join = |of: fn(&objects::Complaint) -> &str| {
        all.iter().map(of).filter(|it| !it.is_empty()).collect::<Vec<_>>().join("; ")
    };
    Err(Failure::failed(join(|it| &it.message), join(|it| &it.hint)))
}

/// Refuses a repair while a run is in progress: a repair reads the whole record before it writes, and would block the
/// run's writes for too long.
fn check_idle(paths: &Paths) -> Result<(), Failure> {
    let store = Record::open(&paths.db).and_then(|mut record| record.store_path());
    // If the record can't be read, the check itself reports why.
    let Ok(store) = store else { return Ok(()) };
    match is_anyone_alive(&paths.store(store.as_deref()), None) {
        true => Err(Failure::input(
            "a run is in progress, and a repair would block its writes",
            "wait until no run is running (check with: pipeline runs), or omit --repair",
        )),
        false => Ok(()),
    }
}

/// The complaint about a store that does not exist; none if the record refers to no object.
fn absent(
    store: &Store,
    record: &mut Record,
    damaged: Option<&objects::Complaint>,
) -> Result<Option<objects::Complaint>, Failure> {
    let objects = match record.references() {
        Ok(references) => references.into_iter().filter(|it| it.needed).map(|it| it.digest).collect(),
        Err(_) if damaged.is_some() => BTreeSet::new(),
        Err(error) => return Err(error.into()),
    };
    let what = if store.root().exists() { "not a folder" } else { "no such store" };
    let message = match objects.len() {
        0 => return Ok(None),
        1 => format!("{}: {what}, but the record refers to 1 object in it", store.root().display()),
        n => format!("{}: {what}, but the record refers to {} objects in it", store.root().display(), count(n as i64)),
    };
    let hint = "pass the folder of the store with --store".to_owned();
    match damaged {
        Some(_) => Ok(Some(objects::Complaint { message, hint })),
        None => Err(Failure::input(message, hint)),
    }
}

/// Progress of an examination.
fn told(bytes: u64) -> Told {
    let mut pages = Counter::new("checking pages", 0, Some(bytes));
    let mut steps = None;
    Told {
        pages: Box::new(move |more| pages.advance(more)),
        steps: Box::new(move |more, whole| {
            let begin = || Counter::of_steps("checking steps against their summaries", whole);
            steps.get_or_insert_with(begin).advance(more);
        }),
    }
}

/// The record's part of the screen.
fn screen(examined: &Examined, paths: &Paths) -> String {
    let db = paths.db.display();
    let mut text = String::new();
    for line in &examined.repaired {
        text.push_str(&format!("{line}: recomputed\n"));
    }
    for fault in &examined.faults {
        text.push_str(&format!("{}\n", format::line(&words(fault))));
    }
    let pages = examined.faults.iter().filter(|fault| matches!(fault, Damage::Page(_))).count();
    if pages >= MOST_PAGES {
        text.push_str(&format!("only the first {MOST_PAGES} faults found by SQLite are listed\n"));
    }
    if examined.faults.is_empty() {
        let (runs, steps) = (count(examined.runs), count(examined.steps as i64));
        let s = if examined.runs == 1 { "" } else { "s" };
        text.push_str(&format!("{db}: {runs} run{s}, {steps} steps, no damage found\n"));
    }
    text
}

fn words(fault: &Damage) -> String {
    match fault {
        Damage::Page(what) => format!("found by SQLite: {what}"),
        Damage::Row(what) => what.clone(),
        Damage::Steps { of, what, .. } => format!("{of} {what}"),
        Damage::Block { of, what, .. } => {
            format!("{of}: the steps are intact, but their stored summary is wrong ({what})")
        }
        Damage::Verdict { run } => format!("{run}: part of its verdict is missing or invalid"),
    }
}

fn complaint(examined: &Examined, paths: &Paths) -> Option<objects::Complaint> {
    let faults = &examined.faults;
    if faults.is_empty() {
        return None;
    }
    let s = if faults.len() == 1 { "" } else { "s" };
    let message = format!("{}: {} fault{s} in the record", paths.db.display(), count(faults.len() as i64));
    let run = faults.iter().find_map(|fault| match fault {
        Damage::Steps { run, .. } => *run,
        _ => None,
    });
    let lost = faults.iter().any(|fault| matches!(fault, Damage::Page(_) | Damage::Row(_)));
    let hint = match (lost, run) {
        _ if examined.is_repairable() => "to recompute summaries and verdicts: pipeline verify --repair".to_owned(),
        (false, Some(run)) => format!("to recompute the run: pipeline reproduce {run}; {}", restore(paths)),
        _ => restore(paths),
    };
    Some(objects::Complaint { message, hint })
}

/// How to restore lost rows. The damaged database's log is removed, or SQLite would replay it into the backup.
fn restore(paths: &Paths) -> String {
    let [db, wal, shm] = ["", "-wal", "-shm"].map(|ending| quoted(&format!("{}{ending}", paths.db.display())));
    format!(
        "to restore a backup: rm -f {wal} {shm}; cp BACKUP {db}; without a backup, rerun the experiments with \
         --db NEW.db"
    )
}
