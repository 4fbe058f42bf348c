//! Brings a database to this program's schema.
//!
//! Migrations are only ever appended. `user_version` counts those that were applied; SQLite itself would let two
//! processes race on a fresh file, so the whole is done in one transaction that takes the write lock first.

use super::{Record, RecordError, Result};

/// Each migration, in order; the position is its number.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_first.sql")];

const KNOWN: i64 = MIGRATIONS.len() as i64;

/// Whether migrations are missing.
pub(super) fn is_older(record: &mut Record) -> Result<bool> {
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
            let stamp = format!("PRAGMA user_version = {number}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(stamp)).execute(&mut *connection).await?;
        }
        Ok(())
    })
}

fn version(record: &mut Record) -> Result<i64> {
    record.wait(async |connection| sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await)
}
