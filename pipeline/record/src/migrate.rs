//! Updates a database to this program's schema.
//!
//! Migrations are only ever appended, and `user_version` counts those applied. They run in a single transaction that
//! takes the write lock first, because two processes could otherwise race on a new file.

use std::path::PathBuf;

use super::aside::{self, Aside};
use super::{Record, RecordError, Result, sql};

/// The migrations in order, numbered from 1.
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

/// An update of a database to this program's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The schema before.
    pub from: i64,
    /// The schema after.
    pub to: i64,
    /// A copy of the database from before the update.
    pub copy: PathBuf,
}

/// The application id in the file's header, which `file` and SQLite show: "plrc".
pub(super) const APPLICATION: i64 = 0x706c_7263;

/// Whether the database lacks migrations. Another program's database is refused and left unchanged.
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

/// Applies the missing migrations; a database with rows is copied aside first.
pub(super) fn bring_up(record: &mut Record) -> Result<Option<Migrated>> {
    if !is_older(record)? {
        return Ok(None);
    }
    // Tables are rebuilt under another name. Meanwhile references to dropped tables must not be enforced, and the
    // tables that a user's own views name must not be looked up. SQLite accepts the first setting only outside a
    // transaction.
    run(record, "PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON; PRAGMA synchronous = FULL")?;
    let done = in_one_transaction(record);
    run(record, "PRAGMA synchronous = NORMAL; PRAGMA legacy_alter_table = OFF; PRAGMA foreign_keys = ON")?;
    match done {
        Err(error @ (RecordError::Statement { .. } | RecordError::Altered { .. })) => {
            let path = record.path().to_owned();
            let found = version(record)?;
            let version = look_alike(record)?.filter(|version| *version != found);
            let message = match error {
                // The tables are those of its version, so some rows must have prevented the update.
                RecordError::Statement { error, .. } if version.is_none() => {
                    format!("can't update schema {found} to {KNOWN}: {error}")
                }
                _ => format!("user_version is {found}, but the tables are not those of that version"),
            };
            Err(RecordError::Altered { path, message, version })
        }
        other => other,
    }
}

/// Applies the migrations, stamps the version and names the copy: all of it or nothing.
fn in_one_transaction(record: &mut Record) -> Result<Option<Migrated>> {
    run(record, "BEGIN IMMEDIATE")?;
    let done = apply(record);
    let committed = done.as_ref().map_or(Ok(()), |_| run(record, "COMMIT"));
    if done.is_err() || committed.is_err() {
        // A failed COMMIT may have rolled back already.
        let _ = run(record, "ROLLBACK");
    }
    if let (Ok(Some(migrated)), Err(_)) = (&done, &committed) {
        aside::remove(&migrated.copy);
    }
    committed.and(done)
}

fn apply(record: &mut Record) -> Result<Option<Migrated>> {
    // Read again under the lock: another process may have been faster.
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
    // References that were broken before the update are reported by `pipeline verify`, which must be able to open the
    // database.
    if broken_references(record)? != broken {
        let message = "BUG: the schema update lost references".to_owned();
        return Err(RecordError::Damaged { path: record.path().to_owned(), message });
    }
    Ok(Some(Migrated { from: found, to: KNOWN, copy: aside.name(found)? }))
}

/// For each table and parent table, the number of rows that refer to a missing row.
fn broken_references(record: &mut Record) -> Result<Vec<(String, String, i64)>> {
    record.wait(async |c| sqlx::query_as(sql!("sound_references")).fetch_all(c).await)
}

fn run(record: &mut Record, text: &'static str) -> Result<()> {
    record.wait(async |c| sqlx::raw_sql(text).execute(c).await.map(|_| ()))
}

/// The latest schema version whose tables, indexes and views are all present, with exactly the same SQL.
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

/// One message for each part of the schema that is missing or was altered.
pub(super) fn altered(record: &mut Record) -> Result<Vec<String>> {
    type Rows = Vec<(String, String, String)>;
    const SCHEMA: &str = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name";
    let there: Rows = record.wait(async |c| sqlx::query_as(SCHEMA).fetch_all(c).await)?;
    let wanted: Rows = Record::imagine()?.wait(async |c| sqlx::query_as(SCHEMA).fetch_all(c).await)?;
    let altered = wanted.iter().filter(|object| !there.contains(object));
    Ok(altered.map(|(kind, name, _)| format!("{kind} {name} is missing or was altered")).collect())
}

/// The number of migrations applied.
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

    /// A trajectory of 3 steps and its run, as rows of the first schema.
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
    fn a_version_that_was_changed_is_recognised_by_the_tables() {
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
