//! Opens the SQLite databases of other programs, to read them and to leave no trace.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};

use crate::ReadError;

/// What every database begins with (<https://www.sqlite.org/fileformat.html#the_database_header>).
pub const MAGIC: &[u8] = b"SQLite format 3\0";

/// A database that was opened.
pub struct Opened {
    /// It can't be written to.
    pub connection: Connection,
    /// The newest rows may be missing: they lie in a log beside the database, in a folder where nothing can be
    /// written.
    pub stale: bool,
}

/// A run of a database that holds many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRun {
    /// What [`read`](crate::mlflow_db::read) and its like take.
    pub id: String,
    /// The experiment or project, where the database tells.
    pub experiment: Option<String>,
    /// What people call it.
    pub name: Option<String>,
}

/// Opens a database.
///
/// A database in WAL mode is opened for readers with two files beside it, made if they aren't there. If there is no
/// log to read, nobody has the database open, and it is read as one that doesn't change, without those files. So is
/// one whose folder can't be written to.
///
/// # Errors
/// What the system refuses, or that it is no such database.
pub fn open(path: &Path) -> Result<Opened, ReadError> {
    let mut header = [0; 20];
    let read = File::open(path)?.read_exact(&mut header);
    if read.is_err() || !header.starts_with(MAGIC) {
        return Err(ReadError::Format("it is no SQLite database".into()));
    }
    let has_log = || {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
    };
    let in_wal_mode = header[18] == 2;
    if in_wal_mode && !has_log() {
        return Ok(Opened { connection: connect(path, "immutable=1")?, stale: false });
    }
    match connect(path, "mode=ro") {
        Ok(connection) => Ok(Opened { connection, stale: false }),
        Err(error) => match connect(path, "immutable=1") {
            Ok(connection) => Ok(Opened { connection, stale: true }),
            Err(_) => Err(error),
        },
    }
}

/// Connects, and reads something: only then does SQLite look at the file.
fn connect(path: &Path, how: &str) -> Result<Connection, ReadError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri(path, how), flags).map_err(refused)?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(refused)?;
    Ok(connection)
}

/// A path as SQLite's URIs have it (<https://www.sqlite.org/uri.html>).
fn uri(path: &Path, how: &str) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri.push('?');
    uri.push_str(how);
    uri
}

/// That SQLite refuses.
pub fn refused(error: rusqlite::Error) -> ReadError {
    ReadError::Format(format!("SQLite can't read it: {error}"))
}

/// The names of a table's columns; none if there is no such table.
pub fn columns(connection: &Connection, table: &str) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let mut rows = statement.query([table])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(row.get(0)?);
    }
    Ok(all)
}

/// Whether a table has all these columns.
pub fn has(connection: &Connection, table: &str, needed: &[&str]) -> bool {
    columns(connection, table).is_ok_and(|all| needed.iter().all(|it| all.iter().any(|column| column == it)))
}

/// A text, also one that was stored as bytes.
pub fn text(value: ValueRef<'_>) -> Option<&str> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// A column's text, if it has one.
pub fn owned(row: &Row<'_>, column: usize) -> Result<Option<String>, rusqlite::Error> {
    Ok(text(row.get_ref(column)?).filter(|text| !text.is_empty()).map(str::to_owned))
}

/// A number, whatever SQLite made of the column's type.
pub fn number(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Real(number) => Some(number),
        ValueRef::Text(text) => crate::columns::number(text),
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let mut all: Vec<String> =
            folder.read_dir().unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    }

    #[test]
    fn reading_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b%?#é.db");
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        // A writer is at work: what it committed is seen.
        let opened = open(&path).unwrap();
        assert_eq!(opened.connection.query_row("SELECT x FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
        assert!(opened.connection.execute("INSERT INTO t VALUES (2)", []).is_err());
        drop(opened);
        drop(writer);
        assert_eq!(files(folder.path()), ["a b%?#é.db"]);
        let opened = open(&path).unwrap();
        assert!(!opened.stale);
        assert!(has(&opened.connection, "t", &["x"]) && !has(&opened.connection, "t", &["y"]));
        assert!(!has(&opened.connection, "u", &["x"]));
        assert_eq!(files(folder.path()), ["a b%?#é.db"]);
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        assert!(matches!(open(&path), Err(ReadError::Io(_))));
        for bytes in [&b""[..], MAGIC, b"SQLite format 3\0 and then something else that is long enough for a header"] {
            std::fs::write(&path, bytes).unwrap();
            assert!(matches!(open(&path), Err(ReadError::Format(_))));
        }
    }
}
