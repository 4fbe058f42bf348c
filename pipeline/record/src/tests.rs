//! The record's statements, and databases that are refused.

use serde_json::json;

use super::*;
use fixture::Fixture;
use identity::{Digest, ObjectId, RunId};

mod aged;
mod changes;
mod older;
mod realisations;
mod sparse;

#[test]
fn every_statement_fits_the_migrations() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = Record::create(&folder.path().join("experiments.db")).unwrap();
    // Some statements read the attached source of a copy.
    record.wait(async |c| sqlx::query("ATTACH ':memory:' AS source").execute(c).await.map(|_| ())).unwrap();
    let mut checked = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/sql")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        // The rows of this statement are appended when it is used.
        let texts = match path.ends_with("insert_steps.sql") {
            true => vec![step_rows::statement(3, true), step_rows::statement(3, false)],
            false => vec![text],
        };
        for text in texts {
            record
                .wait(async |connection| {
                    use sqlx::{Executor as _, SqlSafeStr as _};
                    connection.prepare(sqlx::AssertSqlSafe(text).into_sql_str()).await.map(|_| ())
                })
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        checked += 1;
    }
    assert!(checked > 0, "no statement was found");
}

#[test]
fn another_programs_database_is_left_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.db");
    let mut theirs = Record::connect(&path, options(&path).create_if_missing(true)).unwrap();
    theirs.wait(async |connection| sqlx::query("CREATE TABLE runs (a)").execute(connection).await.map(|_| ())).unwrap();
    drop(theirs);
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(Record::open(&path), Err(RecordError::Foreign(_))));
    assert!(matches!(Record::create(&path), Err(RecordError::Foreign(_))));
    assert!(std::fs::read(&path).unwrap() == before);
    std::fs::write(&path, "").unwrap();
    assert!(matches!(Record::open(&path), Err(RecordError::Empty(_))));
    assert_eq!(path.metadata().unwrap().len(), 0);
    drop(Record::create(&path).unwrap());
    drop(Record::open(&path).unwrap());
}

#[test]
fn a_runs_summary_reads_that_run_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = Record::create(&folder.path().join("experiments.db")).unwrap();
    let plan = |statement: &'static str, record: &mut Record| -> Vec<String> {
        let rows: Vec<(i64, i64, i64, String)> = record
            .wait(async |connection| {
                let query = format!("EXPLAIN QUERY PLAN {statement}");
                sqlx::query_as(sqlx::AssertSqlSafe(query)).fetch_all(connection).await
            })
            .unwrap();
        rows.into_iter().map(|row| row.3).collect()
    };
    // The table of runs may be scanned; tables that grow with every step and evaluation may not.
    for statement in [
        "SELECT * FROM run_summary WHERE run = 7",
        sql!("read_runs"),
        sql!("object_is_used"),
        sql!("read_stages"),
        sql!("read_evaluations_of"),
        sql!("read_events_of"),
        sql!("read_samples"),
        sql!("read_ngrams"),
        sql!("read_outputs"),
        sql!("read_curves"),
        sql!("read_steps_around"),
    ] {
        let statement: &'static str = statement;
        let found = plan(statement, &mut record);
        let scanned = |line: &&String| {
            ["SCAN rs", "SCAN v", "SCAN e", "SCAN s", "SCAN b", "SCAN checkpoints", "AUTOMATIC"]
                .iter()
                .any(|bad| line.starts_with(bad))
                || line.contains("AUTOMATIC")
        };
        let bad: Vec<&String> = found.iter().filter(scanned).collect();
        assert!(bad.is_empty(), "{statement}\n{}", found.join("\n"));
    }
}

#[test]
fn a_newer_database_and_a_damaged_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("experiments.db");
    drop(Record::create(&path).unwrap());
    let mut record = Record::create(&path).unwrap();
    record
        .wait(async |connection| sqlx::query("PRAGMA user_version = 999").execute(connection).await.map(|_| ()))
        .unwrap();
    drop(record);
    assert!(matches!(Record::create(&path), Err(RecordError::Newer { found: 999, .. })));
    assert!(matches!(Record::open(&path), Err(RecordError::Newer { .. })));
    std::fs::write(&path, "this is not a database, and long enough to be sure.".repeat(100)).unwrap();
    assert!(matches!(Record::create(&path), Err(RecordError::Damaged { .. })));
    assert!(matches!(Record::open(&folder.path().join("none.db")), Err(RecordError::Missing(_))));
    assert!(matches!(Record::open(folder.path()), Err(RecordError::NotRegular { .. })));
}

#[test]
fn a_run_that_has_ended_keeps_its_steps_while_others_train() {
    let fixture = Fixture::new();
    fixture.change("UPDATE runs SET status = 'interrupted', steps = 7 WHERE id = 1", json!([]));
    fixture.change("UPDATE runs SET status = 'running', steps = 7 WHERE id = 2", json!([]));
    let mut record = Record::create(&fixture.db).unwrap();
    let trained = |record: &mut Record, run: RunId| -> Option<i64> {
        record
            .wait(async |c| {
                let statement = "SELECT trajectory_id FROM runs WHERE id = ?";
                let trajectory: i64 = sqlx::query_scalar(statement).bind(run.0).fetch_one(&mut *c).await?;
                sqlx::query(sql!("train_on")).bind(run.0).bind(trajectory).execute(&mut *c).await?;
                sqlx::query_scalar("SELECT steps FROM runs WHERE id = ?").bind(run.0).fetch_one(c).await
            })
            .unwrap()
    };
    assert_eq!(trained(&mut record, RunId(1)), Some(7));
    assert_eq!(trained(&mut record, RunId(2)), None, "a running run shows its trajectory as it grows");
}

#[test]
fn an_objects_size_is_the_one_recorded_last() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = Record::create(&folder.path().join("experiments.db")).unwrap();
    let digest = ObjectId(Digest::of(b"object"));
    for bytes in [5, 6] {
        let put = sqlx::query(sql!("insert_object")).bind(digest.to_string()).bind(bytes).bind("T");
        record.wait(async |c| put.execute(c).await.map(|_| ())).unwrap();
    }
    assert_eq!(record.size(digest).unwrap(), Some(6));
}

#[test]
fn finished_runs_consist_of_their_outputs_and_checkpoints() {
    let fixture = Fixture::new();
    let mut record = Record::open(&fixture.db).unwrap();
    let held = |record: &mut Record, runs: &[RunId], stages| record.held(runs, stages).unwrap();
    let (one, both) =
        (held(&mut record, &[RunId(1)], 7).unwrap(), held(&mut record, &[RunId(1), RunId(2)], 7).unwrap());
    // The two runs share their text stages.
    assert!(one.executions < both.executions && both.executions < 2 * one.executions);
    let digest = Digest::of(b"a state").to_string();
    fixture.change("INSERT INTO objects VALUES (?1, 9, 'T')", json!([digest]));
    let at = "INSERT INTO checkpoints SELECT trajectory_id, ?2, ?1, NULL, (SELECT max(id) FROM executions) FROM runs WHERE id = 1";
    fixture.change(at, json!([digest, 3]));
    let more = held(&mut record, &[RunId(1)], 7).unwrap().objects;
    assert_eq!(more.len(), one.objects.len() + 1);
    assert!(more.contains(&digest.parse().unwrap()));
    assert_eq!(held(&mut record, &[RunId(1)], 6), None);
    assert_eq!(held(&mut record, &[RunId(1), RunId(99)], 7), None);
    assert_eq!(held(&mut record, &[RunId(4)], 7), None, "its process died before it was trained");
}
