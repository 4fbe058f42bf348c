//! Trajectories that were recomputed with different results.

use crate::Record;
use crate::rows::NewTrajectory;
use identity::observations::{Measured, Step};
use identity::{Digest, ExecutionId, Fields, ObjectId, RunId, TrajectoryId, TrajectoryRow};

fn steps(range: std::ops::Range<u64>, loss: f64) -> Vec<Step> {
    let step = |step| Step {
        step,
        epoch: 0,
        loss: Measured(loss + step as f64),
        learning_rate: 0.1,
        grad_norm: Measured(1.0),
        clipped: false,
        update_ratio: None,
        overshoot: None,
        logit_max: None,
        entropy: None,
        sharpness: None,
        tokens: 60,
        seconds: 0.01,
    };
    range.map(step).collect()
}

/// A record with a trajectory of 40 steps, and checkpoints at 10, 20 and 30.
fn record(identity: TrajectoryId, parent: Option<(TrajectoryId, u64)>, record: &mut Record) -> TrajectoryRow {
    let fields = Fields::default();
    let new = NewTrajectory { identity, fields: &fields, threads: 3, cpu_capability: "AVX2", parent };
    let found = record.start_trajectory(&new).unwrap();
    record.append_steps(found.row, found.steps, &steps(found.steps..40, 1.0)).unwrap();
    record
        .wait(async |c| {
            let statement = "INSERT OR IGNORE INTO executions (id, uid, stage, stage_key, fields, status, started_at) \
                             VALUES (1, 'x', 'train', 'k', '[]', 'finished', 'T')";
            sqlx::query(statement).execute(c).await.map(|_| ())
        })
        .unwrap();
    for step in [10, 20, 30].into_iter().filter(|step| *step > found.steps) {
        checkpoint(record, found.row, step, b"first");
    }
    found.row
}

fn checkpoint(record: &mut Record, row: TrajectoryRow, step: u64, of: &[u8]) {
    let object = (ObjectId(Digest::of(of)), 1);
    record.add_checkpoint(row, ExecutionId(1), step, object, object).unwrap();
}

/// The losses that a trajectory shows.
fn losses(record: &mut Record, row: TrajectoryRow) -> Vec<f64> {
    let query = "SELECT loss FROM trajectory_steps WHERE trajectory_id = ?1 ORDER BY step";
    record.wait(async |c| sqlx::query_scalar(query).bind(row.0).fetch_all(c).await).unwrap()
}

fn expected(parts: &[(std::ops::Range<u64>, f64)]) -> Vec<f64> {
    parts.iter().flat_map(|(range, loss)| range.clone().map(move |step| loss + step as f64)).collect()
}

#[test]
fn a_realisation_begins_at_a_checkpoint_of_another() {
    let mut r = Record::imagine().unwrap();
    let identity = TrajectoryId(Digest::of(b"twice"));
    let first = record(identity, None, &mut r);
    let second = r.begin_realisation(identity, 20).unwrap();
    assert_ne!(second.row, first);
    assert_eq!((second.steps, second.threads, &*second.cpu_capability), (20, 3, "AVX2"));
    assert_eq!(second.checkpoints.keys().copied().collect::<Vec<_>>(), [10, 20]);
    r.append_steps(second.row, 20, &steps(20..35, 2.0)).unwrap();
    checkpoint(&mut r, second.row, 30, b"second");
    // The identity names the newest realisation; the first keeps its own steps.
    let found = r.find_trajectory(identity).unwrap().unwrap();
    assert_eq!((found.row, found.steps), (second.row, 35));
    assert_eq!(found.checkpoints.keys().copied().collect::<Vec<_>>(), [10, 20, 30]);
    assert_eq!(found.checkpoints[&30].0, ObjectId(Digest::of(b"second")));
    assert_eq!(losses(&mut r, first), expected(&[(0..40, 1.0)]));
    assert_eq!(losses(&mut r, second.row), expected(&[(0..20, 1.0), (20..35, 2.0)]));
    // Starting the trajectory again finds the newest realisation.
    let fields = Fields::default();
    let new = NewTrajectory { identity, fields: &fields, threads: 9, cpu_capability: "", parent: None };
    assert_eq!(r.begin_trajectory(&new).unwrap().threads, 3);
    assert_eq!(r.start_trajectory(&new).unwrap().row, second.row);

    // A realisation from before the start of the second has the first as its parent, which computed that checkpoint.
    let third = r.begin_realisation(identity, 10).unwrap();
    r.append_steps(third.row, 10, &steps(10..15, 3.0)).unwrap();
    assert_eq!(losses(&mut r, third.row), expected(&[(0..10, 1.0), (10..15, 3.0)]));
    let fourth = r.begin_realisation(identity, 0).unwrap();
    assert_eq!((fourth.steps, fourth.checkpoints.len()), (0, 0));
    let rows: Vec<(i64, i64, Option<i64>, Option<i64>)> = r
        .wait(async |c| {
            let query = "SELECT id, realisation, parent_id, parent_step FROM trajectories ORDER BY realisation";
            sqlx::query_as(query).fetch_all(c).await
        })
        .unwrap();
    let row = |it: TrajectoryRow| it.0;
    let parents = [(first, None), (second.row, Some((first, 20))), (third.row, Some((first, 10))), (fourth.row, None)];
    let wanted =
        (0..).zip(parents).map(|(n, (id, parent))| (row(id), n, parent.map(|it| row(it.0)), parent.map(|it| it.1)));
    assert_eq!(rows, wanted.collect::<Vec<_>>());
    // A checkpoint at which another realisation begins is kept.
    r.thin_checkpoints(first, &[20, 30], &[10, 30]).unwrap();
    let left = r.wait(async |c| {
        let query = "SELECT step FROM checkpoints WHERE trajectory_id = ?1 AND state IS NOT NULL ORDER BY step";
        sqlx::query_scalar::<_, i64>(query).bind(first.0).fetch_all(c).await
    });
    assert_eq!(left.unwrap(), [10, 20]);
}

#[test]
fn a_realisation_is_not_a_fork() {
    let mut r = Record::imagine().unwrap();
    let [parent, child] = [b"parent", b"child "].map(|name| TrajectoryId(Digest::of(name)));
    record(parent, None, &mut r);
    record(child, Some((parent, 20)), &mut r);
    let again = r.begin_realisation(child, 30).unwrap();
    r.append_steps(again.row, 30, &steps(30..40, 2.0)).unwrap();
    assert!(r.begin_realisation(child, 10).is_err(), "step 10 belongs to the parent");
    assert!(r.begin_realisation(TrajectoryId(Digest::of(b"nobody")), 0).is_err());
    r.wait(async |c| {
        let statement = "INSERT INTO runs (id, uid, run_key, status, point, trajectory_id, created_at, host, program_version) \
                         VALUES (1, 'u', 'k', 'finished', '{}', ?1, 'T', 'h', '0')";
        sqlx::query(statement).bind(again.row.0).execute(c).await.map(|_| ())
    })
    .unwrap();
    let forks: Vec<i64> = r.forks(RunId(1)).unwrap().into_iter().map(|fork| fork.step).collect();
    assert_eq!(forks, [20]);
    let origin = r.origin(&child.to_string()).unwrap().unwrap();
    assert_eq!((origin.first, origin.steps, origin.run), (20, 40, RunId(1)));
    assert_eq!(r.holder(again.row.0, 25).unwrap(), Some(child.to_string()));
    assert_eq!(r.holder(again.row.0, 20).unwrap(), Some(parent.to_string()));
    // A realisation from the fork's own beginning has the fork's parent.
    let anew = r.begin_realisation(child, 20).unwrap();
    assert_eq!(losses(&mut r, anew.row), expected(&[(0..20, 1.0)]));
}
