//! Queries of `pipeline sql`.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::PathBuf;

use fixture::Fixture;
use record::Record;

use crate::text;

/// A record, opened as `pipeline sql` opens it, and its file's bytes.
struct Asked {
    fixture: Fixture,
    record: Record,
    before: Vec<(PathBuf, Vec<u8>)>,
}

/// Every file of a record's folder.
fn files(fixture: &Fixture) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = fixture.db.parent().unwrap();
    // The index of the log is memory that connections share: whoever reads marks what it reads there.
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.is_file() && !path.to_string_lossy().ends_with("-shm"));
    let mut files: Vec<(PathBuf, Vec<u8>)> = paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    files.sort();
    files
}

/// Statements that may take for ever, or more memory than there is, though they only ask: these are only compiled.
fn is_long(query: &str) -> bool {
    let query = query.to_lowercase();
    [
        "with",
        "blob",
        "printf",
        "format",
        "replace",
        "quote",
        "hex",
        "like",
        "glob",
        "join",
        "group_concat",
        "string_agg",
        "pad",
    ]
    .iter()
    .any(|word| query.contains(word))
        || query.matches([',', '(']).count() > 12
        || query.matches("from").count() > 2
}

/// Whatever is asked, nothing panics, no file changes, and the record answers as before.
pub fn sql(bytes: &[u8]) {
    thread_local! {
        static ASKED: RefCell<Asked> = {
            let fixture = Fixture::new();
            let record = Record::open(&fixture.db).unwrap();
            let before = files(&fixture);
            RefCell::new(Asked { fixture, record, before })
        };
    }
    let Some(query) = text(bytes) else { return };
    let compiled = if is_long(query) { format!("EXPLAIN {query}") } else { query.to_owned() };
    ASKED.with_borrow_mut(|Asked { fixture, record, before }| {
        let mut columns = None;
        let mut rows = 0;
        // Both visitors look at the number of columns, and never run at once.
        let width = std::cell::Cell::new(0);
        let answer = record.ask(
            &compiled,
            &mut |names| {
                width.set(names.len());
                columns = Some(names.len());
            },
            &mut |row| {
                assert_eq!(row.len(), width.get(), "a row has other columns than were said");
                row.iter().for_each(|cell| drop((cell.text(), serde_json::to_string(cell).unwrap())));
                rows += 1;
                if rows < 1000 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            },
        );
        match answer.unwrap_or_else(|error| panic!("{query:?} passes for a fault of the record's: {error}")) {
            Ok(()) => assert!(columns.is_some()),
            Err(refusal) => {
                let words = refusal.to_string();
                assert!(!words.is_empty() && words.lines().count() == 1, "{query:?}: {words:?}");
            }
        }
        assert!(files(fixture) == *before, "{query:?} changed a file");
        // What the corpus would write if it could.
        assert!(!std::path::Path::new("never.db").exists(), "{query:?} wrote a file");
        let mut runs = Vec::new();
        let asked = record.ask("SELECT count(*) FROM runs", &mut |_| {}, &mut |row| {
            runs.push(row[0].text());
            ControlFlow::Continue(())
        });
        assert_eq!((asked.unwrap(), runs), (Ok(()), vec!["4".to_owned()]), "after {query:?}");
    });
}
