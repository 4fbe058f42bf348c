//! The cursor: a reader learns what another connection changed, and nothing else.

use serde_json::json;

use crate::rows::{NewTrajectory, RunEnd};
use crate::{Change, Record};
use fixture::Fixture;
use identity::observations::{Measured, Step};
use identity::verdict::{Kind, Verdict};
use identity::{Digest, Fields, RunId, Status, TrajectoryId};

fn step(step: u64, loss: f64) -> Step {
    let probe = None;
    let (update_ratio, overshoot, logit_max, entropy, sharpness) = (probe, probe, probe, probe, probe);
    let (loss, grad_norm) = (Measured(loss), Measured(1.0));
    let (epoch, learning_rate, clipped, tokens, seconds) = (0, 0.1, false, 60, 0.01);
    Step {
        step,
        epoch,
        loss,
        learning_rate,
        grad_norm,
        clipped,
        update_ratio,
        overshoot,
        logit_max,
        entropy,
        sharpness,
        tokens,
        seconds,
    }
}

/// A connection, and the revision at which it last asked.
struct Reader(Record, i64);

impl Reader {
    fn told(&mut self) -> Vec<(String, Option<i64>, Option<i64>)> {
        let changes: Vec<Change> = self.0.changes_since(self.1).unwrap();
        let revision = self.0.revision().unwrap();
        assert!(changes.iter().all(|it| it.revision > self.1 && it.revision <= revision));
        assert_eq!(self.0.changes_since(revision).unwrap(), []);
        self.1 = revision;
        changes.into_iter().map(|it| (it.kind, it.run.map(|run| run.0).or(it.study), it.from_step)).collect()
    }
}

fn of(kind: &str, run: i64) -> (String, Option<i64>, Option<i64>) {
    (kind.to_owned(), Some(run), None)
}

fn replaced(run: i64, from_step: i64) -> (String, Option<i64>, Option<i64>) {
    ("replaced".to_owned(), Some(run), Some(from_step))
}

#[test]
fn a_reader_learns_what_a_writer_changes() {
    let fixture = Fixture::new();
    let mut reader = Reader(Record::open(&fixture.db).unwrap(), 0);
    let mut writer = Record::create(&fixture.db).unwrap();
    let first = reader.told();
    assert!(
        first.contains(&of("run", 1)) && first.contains(&of("study", 2)) && first.contains(&of("trajectory", 4)),
        "{first:?}"
    );

    // Steps of a trajectory that two runs show.
    let (fields, identity) = (Fields::default(), TrajectoryId(Digest::of(b"shown by two")));
    let new = NewTrajectory { identity, fields: &fields, threads: 1, cpu_capability: "", parent: None };
    let row = writer.start_trajectory(&new).unwrap().row;
    fixture.change("UPDATE runs SET trajectory_id = ?1, length = 900, steps = NULL WHERE id IN (2, 4)", json!([row.0]));
    assert_eq!(reader.told(), [of("run", 2), of("run", 4)]);
    let steps: Vec<Step> = (0..5).map(|n| step(n, 2.0)).collect();
    writer.append_steps(row, 0, &steps).unwrap();
    assert_eq!(reader.told(), [of("trajectory", 2), of("trajectory", 4)]);
    assert_eq!(reader.told(), []);

    // A step recomputed with a probe, and then deleted steps.
    writer.append_steps(row, 5, &[Step { entropy: Some(Measured(1.0)), ..step(3, 2.0) }]).unwrap();
    assert_eq!(reader.told(), [replaced(2, 3), replaced(4, 3)]);
    fixture.change("DELETE FROM steps WHERE trajectory_id = ?1 AND step >= 4", json!([row.0]));
    assert_eq!(reader.told(), [replaced(2, 3), replaced(4, 3)], "the smallest step of all changes so far");

    // A fork depends on its parent's steps before it, and not on later ones.
    fixture.change(
        "INSERT INTO trajectories (id, identity, fields, threads, cpu_capability, created_at, parent_id, parent_step) \
         VALUES (50, 'fork', '[]', 1, '', 'T', 2, 500)",
        json!([]),
    );
    fixture.change("UPDATE runs SET trajectory_id = 50, length = 900 WHERE id = 3", json!([]));
    reader.told();
    fixture.change("UPDATE steps SET loss = 1.0 WHERE trajectory_id = 2 AND step = 600", json!([]));
    assert_eq!(reader.told(), []);
    fixture.change("UPDATE steps SET loss = 1.0 WHERE trajectory_id = 2 AND step = 400", json!([]));
    assert_eq!(reader.told(), [replaced(3, 400)]);

    // Verdicts, trials and ends.
    let verdict = Verdict {
        verdict: Kind::Stable,
        cause: None,
        onset: None,
        recovered: None,
        sentence: String::new(),
        advice: None,
        rules: 1,
        seen: String::new(),
        findings: Vec::new(),
        evidence: Vec::new(),
        checks: Vec::new(),
    };
    writer.conclude(&[(RunId(1), verdict.clone()), (RunId(3), verdict)]).unwrap();
    assert_eq!(reader.told(), [of("run", 1), of("run", 3)]);
    let end = RunEnd { run: RunId(4), status: Status::Finished, steps: Some(4), seconds: 1.0, error: None };
    writer.end_runs(&[end], "gone").unwrap();
    assert_eq!(reader.told(), [of("run", 4)]);
    // A shared execution belongs to every run.
    fixture.change("UPDATE executions SET status = 'failed' WHERE stage = 'vocab'", json!([]));
    assert_eq!(reader.told().len(), 4);
    fixture.change(
        "INSERT INTO metrics (execution_id, name, value, value_kind) VALUES (1, 'accuracy', 0.5, 'finite')",
        json!([]),
    );
    assert_eq!(reader.told().len(), 4);
    fixture.study(7, "seven", &[1, 2]);
    assert_eq!(reader.told(), [of("study", 7)]);
    // A transaction that was rolled back changes nothing.
    let undone: crate::Result<()> = writer.transaction(async |c| {
        sqlx::query("UPDATE runs SET seconds = 0").execute(&mut *c).await?;
        Err(sqlx::Error::RowNotFound)
    });
    assert!(undone.is_err());
    assert_eq!(reader.told(), []);
}

#[test]
fn a_copy_is_a_different_record() {
    let fixture = Fixture::new();
    let target = fixture.db.with_extension("copy");
    std::fs::write(&target, "").unwrap();
    let mut record = Record::open(&fixture.db).unwrap();
    record.copy(&target, None, |_, _| true).unwrap();
    let mut copy = Record::open(&target).unwrap();
    assert_ne!(copy.uid().unwrap(), record.uid().unwrap());
    assert_eq!(copy.revision().unwrap(), record.revision().unwrap());
    // The copy has the triggers too.
    let before = copy.revision().unwrap();
    drop(copy);
    let mut copy = Record::create(&target).unwrap();
    copy.transaction(async |c| sqlx::query("UPDATE runs SET seconds = 0 WHERE id = 1").execute(c).await.map(|_| ()))
        .unwrap();
    assert_eq!(copy.changes_since(before).unwrap().len(), 1);
}

#[test]
fn only_changed_rows_are_read() {
    let mut record = Record::imagine().unwrap();
    let plan: Vec<(i64, i64, i64, String)> = record
        .wait(async |c| {
            let query = concat!("EXPLAIN QUERY PLAN ", include_str!("../sql/changes_since.sql"));
            sqlx::query_as(query).bind(0).fetch_all(c).await
        })
        .unwrap();
    let scanned: Vec<&String> = plan.iter().map(|row| &row.3).filter(|line| line.starts_with("SCAN ")).collect();
    // The view's own rows, of which there are few.
    assert_eq!(scanned, ["SCAN record_changes"], "{plan:?}");
}
