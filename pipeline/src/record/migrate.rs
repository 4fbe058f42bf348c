//! Brings a database to this program's schema.
//!
//! Migrations are only ever appended. `user_version` counts those that were applied; SQLite itself would let two
//! processes race on a fresh file, so the whole is done in one transaction that takes the write lock first.

use super::{Record, RecordError, Result};

/// Each migration, in order; the position is its number.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_first.sql")];

const KNOWN: i64 = MIGRATIONS.len() as i64;

/// What `file` and SQLite call an application's own format: "plrc".
const APPLICATION: i64 = 0x706c_7263;

/// Whether migrations are missing. A database of somebody else is refused, and left as it is.
pub(super) fn is_older(record: &mut Record) -> Result<bool> {
    let application = pragma(record, "PRAGMA application_id")?;
    if application != APPLICATION {
        let tables = pragma(record, "SELECT count(*) FROM sqlite_master")?;
        if application != 0 || tables > 0 {
            return Err(RecordError::Foreign(record.path().to_owned()));
        }
    }
    let found = version(record)?;
    if found > KNOWN {
        return Err(RecordError::Newer { path: record.path().to_owned(), found, known: KNOWN });
    }
    Ok(found < KNOWN)
}

/// Applies the migrations that are missing.
pub(super) fn bring_up(record: &mut Record) -> Result<()> {
    if !is_older(record)? {
        return Ok(());
    }
    record.durable(async |connection| {
        // Read again under the lock: another process may have been first.
        let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
        for (number, migration) in (1i64..).zip(MIGRATIONS).filter(|(number, _)| *number > found) {
            sqlx::raw_sql(*migration).execute(&mut *connection).await?;
            let stamp = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {number}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(stamp)).execute(&mut *connection).await?;
        }
        Ok(())
    })
}

fn version(record: &mut Record) -> Result<i64> {
    pragma(record, "PRAGMA user_version")
}

fn pragma(record: &mut Record, text: &'static str) -> Result<i64> {
    record.wait(async |connection| sqlx::query_scalar(text).fetch_one(connection).await)
}
