//! Brings a database to this program's schema.
//!
//! Migrations are only ever appended. `user_version` counts those that were applied; SQLite itself would let two
//! processes race on a fresh file, so the whole is done in one transaction that takes the write lock first.

use std::path::PathBuf;

use super::aside::{self, Aside};
use super::{Record, RecordError, Result, sql};

/// Each migration, in order; the position is its number.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_forks.sql"),
    include_str!("migrations/0003_probes.sql"),
    include_str!("migrations/0004_baselines.sql"),
    include_str!("migrations/0005_verdicts.sql"),
    include_str!("migrations/0006_own_ends.sql"),
    include_str!("migrations/0007_last_block.sql"),
    include_str!("migrations/0008_sources.sql"),
];

pub(super) const KNOWN: i64 = MIGRATIONS.len() as i64;

/// That a database was brought to this program's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The schema that it had.
    pub from: i64,
    /// The one that it has.
    pub to: i64,
    /// The database as it was.
    pub copy: PathBuf,
}

/// What `file` and SQLite call an application's own format: "plrc".
pub(super) const APPLICATION: i64 = 0x706c_7263;

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

/// Applies the migrations that are missing, to a database that has rows after it was copied aside.
pub(super) fn bring_up(record: &mut Record) -> Result<Option<Migrated>> {
    if !is_older(record)? {
        return Ok(None);
    }
    // Tables are rebuilt under another name: meanwhile nothing refers to what is dropped, and what a user's own view asks for
    // is not looked up. SQLite heeds the first only outside of a transaction.
    run(record, "PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON; PRAGMA synchronous = FULL")?;
    let done = in_one_transaction(record);
    run(record, "PRAGMA synchronous = NORMAL; PRAGMA legacy_alter_table = OFF; PRAGMA foreign_keys = ON")?;
    match done {
        Err(error @ (RecordError::Statement { .. } | RecordError::Altered { .. })) => {
            let path = record.path().to_owned();
            let found = version(record)?;
            let version = look_alike(record)?.filter(|version| *version != found);
            let message = match error {
                // The tables are those of its version: some of their rows can't be.
                RecordError::Statement { error, .. } if version.is_none() => {
                    format!("it can't be updated from schema {found} to {KNOWN}: {error}")
                }
                _ => format!("user_version is {found}, and its tables are of another version"),
            };
            Err(RecordError::Altered { path, message, version })
        }
        other => other,
    }
}

/// The migrations, their stamp and the name of the copy, or nothing of them.
fn in_one_transaction(record: &mut Record) -> Result<Option<Migrated>> {
    run(record, "BEGIN IMMEDIATE")?;
    let done = apply(record);
    let committed = done.as_ref().map_or(Ok(()), |_| run(record, "COMMIT"));
    if done.is_err() || committed.is_err() {
        // A COMMIT that failed may have rolled back already.
        let _ = run(record, "ROLLBACK");
    }
    if let (Ok(Some(migrated)), Err(_)) = (&done, &committed) {
        aside::remove(&migrated.copy);
    }
    committed.and(done)
}

fn apply(record: &mut Record) -> Result<Option<Migrated>> {
    // Read again under the lock: another process may have been first.
    let found = version(record)?;
    let has_rows = (1..KNOWN).contains(&found);
    let aside = if has_rows { Some(Aside::write(record.path())?) } else { None };
    let broken = if has_rows { broken_references(record)? } else { Vec::new() };
    for (number, migration) in (1i64..).zip(MIGRATIONS).filter(|(number, _)| *number > found) {
        run(record, migration)?;
        let stamp = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {number}");
        record.wait(async |c| sqlx::raw_sql(sqlx::AssertSqlSafe(stamp)).execute(c).await.map(|_| ()))?;
    }
    let Some(aside) = aside else { return Ok(None) };
    // One that was broken before is for `pipeline verify` to name, which must be able to open the database.
    if broken_references(record)? != broken {
        let message = "BUG: references were lost while its schema was updated".to_owned();
        return Err(RecordError::Damaged { path: record.path().to_owned(), message });
    }
    Ok(Some(Migrated { from: found, to: KNOWN, copy: aside.name(found)? }))
}

/// How many rows of which table refer to rows of which other that are missing.
fn broken_references(record: &mut Record) -> Result<Vec<(String, String, i64)>> {
    record.wait(async |c| sqlx::query_as(sql!("sound_references")).fetch_all(c).await)
}

fn run(record: &mut Record, text: &'static str) -> Result<()> {
    record.wait(async |c| sqlx::raw_sql(text).execute(c).await.map(|_| ()))
}

/// The latest version whose tables, indexes and views are all there, word for word.
fn look_alike(record: &mut Record) -> Result<Option<i64>> {
    type Rows = Vec<(String, String)>;
    const SCHEMA: &str = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL";
    let there: Rows = record.wait(async |c| sqlx::query_as(SCHEMA).fetch_all(c).await)?;
    let mut blank = Record::blank()?;
    let mut found = None;
    for (number, migration) in (1i64..).zip(MIGRATIONS) {
        blank.wait(async |c| sqlx::raw_sql(*migration).execute(c).await.map(|_| ()))?;
        let wanted: Rows = blank.wait(async |c| sqlx::query_as(SCHEMA).fetch_all(c).await)?;
        if wanted.iter().all(|object| there.contains(object)) {
            found = Some(number);
        }
    }
    Ok(found)
}

/// What of the schema is missing or not as this program made it, in words.
pub(super) fn altered(record: &mut Record) -> Result<Vec<String>> {
    type Rows = Vec<(String, String, String)>;
    const SCHEMA: &str = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name";
    let there: Rows = record.wait(async |c| sqlx::query_as(SCHEMA).fetch_all(c).await)?;
    let wanted: Rows = Record::imagine()?.wait(async |c| sqlx::query_as(SCHEMA).fetch_all(c).await)?;
    let altered = wanted.iter().filter(|object| !there.contains(object));
    Ok(altered.map(|(kind, name, _)| format!("the {kind} {name} is missing, or is not this program's")).collect())
}

/// How many migrations were applied.
pub(super) fn version(record: &mut Record) -> Result<i64> {
    pragma(record, "PRAGMA user_version")
}

fn pragma(record: &mut Record, text: &'static str) -> Result<i64> {
    record.wait(async |connection| sqlx::query_scalar(text).fetch_one(connection).await)
}

#[cfg(test)]
mod tests {
    use identity::RunId;

    use super::*;
    use crate::options;

    /// A training of 3 steps with its run, as the first form of the record had it.
    const FIRST: &str = "
        INSERT INTO experiments VALUES (1, 'e', 'e.toml', '', '[]', 'T');
        INSERT INTO trajectories VALUES (1, 'one', '[]', 2, 'AVX2', 'T');
        INSERT INTO runs (id, uid, run_key, experiment_id, status, point, seed, trajectory_id, length, created_at, host,
                          program_version)
        VALUES (1, 'u', 'k', 1, 'interrupted', '{}', 1, 1, 9, 'T', 'h', '0');
        INSERT INTO steps (trajectory_id, step, epoch, loss, loss_kind, learning_rate, clipped, tokens, seconds)
        VALUES (1, 0, 0, 3.0, 'finite', 0.1, 0, 1, 0.0), (1, 1, 0, 2.0, 'finite', 0.1, 0, 1, 0.0),
               (1, 2, 0, 1.0, 'finite', 0.1, 0, 1, 0.0);
    ";

    #[test]
    fn a_version_that_was_set_back_is_told_by_the_tables() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("experiments.db");
        drop(Record::create(&path).unwrap());
        for version in [0, 3, -1] {
            let mut record = Record::create(&path).unwrap();
            let set = format!("PRAGMA user_version = {version}");
            record.wait(async |c| sqlx::raw_sql(sqlx::AssertSqlSafe(set)).execute(c).await.map(|_| ())).unwrap();
            drop(record);
            let error = Record::open(&path).unwrap_err();
            assert!(matches!(error, RecordError::Altered { version: Some(KNOWN), .. }), "{error}");
            assert!(error.to_string().contains(&format!("user_version is {version}, ")), "{error}");
            let mut record = Record::connect(&path, options(&path)).unwrap();
            let back = format!("PRAGMA user_version = {KNOWN}");
            record.wait(async |c| sqlx::raw_sql(sqlx::AssertSqlSafe(back)).execute(c).await.map(|_| ())).unwrap();
            drop(record);
            drop(Record::open(&path).unwrap());
        }
    }

    #[test]
    fn every_migration_keeps_what_was_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("experiments.db");
        let mut record = Record::connect(&path, options(&path).create_if_missing(true)).unwrap();
        record
            .wait(async |c| {
                sqlx::raw_sql(MIGRATIONS[0]).execute(&mut *c).await?;
                sqlx::raw_sql(FIRST).execute(&mut *c).await?;
                let stamp = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = 1");
                sqlx::raw_sql(sqlx::AssertSqlSafe(stamp)).execute(c).await.map(|_| ())
            })
            .unwrap();
        drop(record);
        let mut record = Record::open(&path).unwrap();
        let summary = record.summaries(None).unwrap().remove(0);
        assert_eq!((summary.steps, summary.last_loss, summary.best_loss), (3, Some(1.0), Some(1.0)));
        assert_eq!(record.step(RunId(1), 1).unwrap().unwrap().loss, Some(2.0));
        assert_eq!(record.forks(RunId(1)).unwrap(), []);
        assert_eq!(record.ngrams(RunId(1)).unwrap(), []);
        assert_eq!(record.holder(1, 3).unwrap().as_deref(), Some("one"));
    }
}
