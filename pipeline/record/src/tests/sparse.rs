//! Trajectories with gaps, and steps that lack some of their values.

use identity::{Bucket, LossKind, RunId};
use serde_json::json;

use crate::Record;
use crate::read::plain;
use crate::sound::{Damage, Told};
use fixture::{EVERY, Fixture};

/// A record with two imported logs; the curves of the longer one are read from blocks.
fn logs() -> (Fixture, Record) {
    let fixture = Fixture::new();
    fixture.sparse_run(11, 200);
    fixture.sparse_run(12, 4000);
    let record = Record::create(&fixture.db).unwrap();
    (fixture, record)
}

#[test]
fn a_summary_shows_what_was_measured() {
    let (_fixture, mut record) = logs();
    let found = record.summaries(Some(&[RunId(11)])).unwrap().remove(0);
    assert_eq!((found.experiment, found.seed, found.verdict), (None, None, None));
    assert_eq!(found.steps, 199 * EVERY + 199 * 31 % 7 + 1);
    // The last line has no loss.
    assert_eq!((found.last_loss, found.last_loss_kind), (Some(2.0 + 1.0 / 199.0), Some(LossKind::Finite)));
    assert_eq!((found.nonfinite_steps, found.first_nonfinite_step), (5, Some(40 * EVERY + 40 * 31 % 7)));
    assert_eq!(found.valid_perplexity, Some(2.5f64.exp()));
    assert_eq!(found.learning_rate, Some(0.05), "the first rate in the log");
    let detail = record.detail(RunId(11)).unwrap();
    assert_eq!((detail.length, detail.experiment_path, detail.overrides), (None, None, None));
    assert_eq!(record.recorded(RunId(11)).unwrap(), None);

    // Now the lines before it have none either.
    let change = "UPDATE steps SET loss = NULL, loss_kind = NULL WHERE trajectory_id = 11 AND step > 9000";
    record.wait(async |c| sqlx::query(change).execute(c).await.map(|_| ())).unwrap();
    let last = record.summaries(Some(&[RunId(11)])).unwrap().remove(0);
    assert_eq!(last.steps, found.steps);
    assert_eq!(last.last_loss, Some(2.0 + 1.0 / 180.0));
}

#[test]
fn every_view_shows_a_log() {
    let (fixture, mut record) = logs();
    assert_eq!(fixture.numbers("SELECT count(*) FROM run_steps WHERE run = 11"), [200]);
    assert_eq!(
        fixture.numbers("SELECT place FROM run_steps WHERE run = 11 AND loss_kind = 'nan' ORDER BY 1"),
        [41, 42, 43, 44, 45]
    );
    assert_eq!(
        fixture.numbers("SELECT count(*) - count(value) FROM run_series WHERE run = 11 AND series = 'grad/noise'"),
        [1]
    );
    assert_eq!(fixture.numbers("SELECT place FROM run_metrics WHERE run = 11 AND name = 'accuracy'"), [12]);
    assert_eq!(fixture.numbers("SELECT bytes FROM run_sources WHERE run = 11"), [4096]);
    assert_eq!(fixture.numbers("SELECT place FROM run_evaluations WHERE run = 11"), [11]);
    assert_eq!(fixture.numbers("SELECT place FROM run_evaluations WHERE source = 'import' ORDER BY run"), [11, 11]);
    let scores = record.evaluations_of(&[RunId(11), RunId(1)]).unwrap();
    assert_eq!(scores[0], record.evaluations(RunId(11)).unwrap());
    assert_eq!((&*scores[0][0].source, scores[0][0].tokens, scores[0][0].seconds), ("import", None, None));
    // A shorter run of the same trajectory shows nothing after its end.
    fixture.change("UPDATE runs SET length = 400 WHERE id = 11", json!([]));
    assert_eq!(fixture.numbers("SELECT count(*) FROM run_steps WHERE run = 11"), [8]);
    assert_eq!(fixture.numbers("SELECT count(*) FROM run_series WHERE run = 11"), [8]);
    assert_eq!(fixture.numbers("SELECT count(*) FROM run_evaluations WHERE run = 11"), [0]);
    let trace = record.trace(RunId(11)).unwrap();
    assert_eq!(trace.len(), 7, "steps without a loss were not measured");
    assert!(trace.iter().any(|row| row.learning_rate.is_none()) && trace.iter().all(|row| row.clipped.is_none()));
    let step = record.step(RunId(11), EVERY * 3 + 3 * 31 % 7).unwrap().unwrap();
    assert_eq!((step.loss_kind, step.epoch, step.tokens), (None, None, None));
}

/// Buckets as SQLite computes them.
fn naive(record: &mut Record, run: RunId, column: &str, width: i64) -> Vec<Bucket> {
    let missing = if column == "loss" { "loss_kind <> 'finite'" } else { "false" };
    let RunId(run) = run;
    let text = format!(
        "SELECT step / {width} * {width} AS first, count(*) AS steps, count({column}) AS finite, min({column}) AS minimum,
                max({column}) AS maximum, coalesce(sum({column}), 0.0) AS sum, min(iif({missing}, step, NULL)) AS first_nonfinite
         FROM run_steps WHERE run = {run} GROUP BY 1 HAVING finite > 0 OR first_nonfinite IS NOT NULL ORDER BY 1"
    );
    record.wait(async |c| sqlx::query_as(sqlx::AssertSqlSafe(text)).fetch_all(c).await.map(plain)).unwrap()
}

#[test]
fn curves_of_sparse_steps_equal_what_sqlite_computes() {
    let (_fixture, mut record) = logs();
    let mut of = Vec::new();
    for (run, summary) in
        [1, 11, 12].into_iter().zip(record.summaries(Some(&[RunId(1), RunId(11), RunId(12)])).unwrap())
    {
        of.push((run, summary.steps));
    }
    let asked: Vec<_> = of.iter().map(|(run, steps)| (Some(*run), *steps)).collect();
    for column in ["loss", "learning_rate", "grad_norm"] {
        for rows in [1, 7, 40, 10_000] {
            let found = record.curves(&asked, column, rows).unwrap();
            for ((run, steps), found) in of.iter().zip(found) {
                let blocks = column == "loss" && *steps >= 128 * 1024;
                let width = (steps / rows).max(1);
                let mut wanted = match blocks {
                    // Whole blocks, and the rest of the last one in buckets of the same width.
                    true => naive(&mut record, RunId(*run), column, 1024),
                    false => naive(&mut record, RunId(*run), column, width),
                };
                assert_eq!(found.len(), wanted.len(), "{column} of {run} in {rows} rows");
                for (wanted, found) in wanted.iter_mut().zip(&found) {
                    assert!((wanted.sum - found.sum).abs() <= 1e-12 * wanted.sum.abs(), "{wanted:?} {found:?}");
                    wanted.sum = found.sum;
                }
                assert_eq!(found, wanted, "{column} of {run} in {rows} rows");
            }
        }
    }
}

#[test]
fn neighbours_and_holes_are_those_of_logged_steps() {
    let (_fixture, mut record) = logs();
    let step = |line: i64| line * EVERY + line * 31 % 7;
    let near = record.steps_near(11, (0, 5000), step(20)).unwrap();
    assert_eq!(near.iter().map(|row| row.step).collect::<Vec<_>>(), [step(19), step(20), step(21)]);
    let near = record.steps_near(11, (0, 5000), step(20) + 1).unwrap();
    assert_eq!(near.iter().map(|row| row.step).collect::<Vec<_>>(), [step(20), step(21)]);
    let near = record.steps_near(1, (0, 50), 30).unwrap();
    assert_eq!(
        near.iter().map(|row| row.step).collect::<Vec<_>>(),
        [0, 10, 20, 29, 30, 31, 40],
        "dense, with its probes"
    );
    let holes = record.holes(RunId(11)).unwrap();
    assert_eq!(holes.iter().map(|hole| (hole.first, hole.last)).collect::<Vec<_>>(), [(step(40), step(44))]);
    // A finite loss splits a hole, and so does another kind.
    let change = "UPDATE steps SET loss = 1.0, loss_kind = 'finite' WHERE trajectory_id = 11 AND place = 43";
    record.wait(async |c| sqlx::query(change).execute(c).await.map(|_| ())).unwrap();
    let change = "UPDATE steps SET loss_kind = 'inf' WHERE trajectory_id = 11 AND place = 45";
    record.wait(async |c| sqlx::query(change).execute(c).await.map(|_| ())).unwrap();
    let holes = record.holes(RunId(11)).unwrap();
    let wanted = [(step(40), step(41)), (step(43), step(43)), (step(44), step(44))];
    assert_eq!(holes.iter().map(|hole| (hole.first, hole.last)).collect::<Vec<_>>(), wanted);
    assert_eq!(record.holes(RunId(3)).unwrap().len(), 2, "480 to 484 are inf, and the rest is NaN");
}

#[test]
fn equal_losses_at_different_steps_make_different_trajectories() {
    let (fixture, mut record) = logs();
    fixture.sparse_run(13, 200);
    let chains = |record: &mut Record, trajectory: i64| -> Vec<Vec<u8>> {
        let query = "SELECT chain FROM step_blocks WHERE trajectory_id = ?1 ORDER BY block";
        record.wait(async |c| sqlx::query_scalar(query).bind(trajectory).fetch_all(c).await).unwrap()
    };
    assert_eq!(chains(&mut record, 11), chains(&mut record, 13));
    assert_eq!(record.first_difference(11, 13, 10_000).unwrap(), None);
    // The same losses, with one of them a step later.
    let moved = "UPDATE steps SET step = step + 1 WHERE trajectory_id = 13 AND place = 120";
    record.wait(async |c| sqlx::query(moved).execute(c).await.map(|_| ())).unwrap();
    fixture.sum_up(13);
    let (a, b) = (chains(&mut record, 11), chains(&mut record, 13));
    let block = (119 * EVERY / 1024) as usize;
    assert_eq!(a[..block], b[..block]);
    assert!(a[block..].iter().zip(&b[block..]).all(|(a, b)| a != b));
    // And a different loss long after a gap.
    let change = "UPDATE steps SET loss = 7.0 WHERE trajectory_id = 13 AND place = 190";
    record.wait(async |c| sqlx::query(change).execute(c).await.map(|_| ())).unwrap();
    let found = record.first_difference(11, 13, 10_000).unwrap().unwrap();
    assert_eq!((found.step, found.loss_b), (189 * EVERY, Some(7.0)));
    let pairs = record.pairs(11, 13, 0, 10_000).unwrap();
    assert!(pairs.len() < 200 && pairs.iter().filter(|pair| pair.a.is_nan()).count() == 5);
}

#[test]
fn gaps_of_a_log_are_not_damage() {
    let (fixture, record) = logs();
    drop(record);
    let mut record = Record::open(&fixture.db).unwrap();
    let told = || Told { pages: Box::new(|_| ()), steps: Box::new(|_, _| ()) };
    let of_steps = |faults: Vec<Damage>| -> Vec<Damage> {
        faults.into_iter().filter(|it| matches!(it, Damage::Steps { .. } | Damage::Block { .. })).collect()
    };
    assert_eq!(of_steps(record.examine(told()).unwrap().faults), []);
    // A whole missing block of a log is not noticed; a missing step whose block is recorded is.
    for statement in [
        "DELETE FROM steps WHERE trajectory_id = 12 AND step / 1024 = 50",
        "DELETE FROM step_blocks WHERE trajectory_id = 12 AND block = 50",
        "DELETE FROM steps WHERE trajectory_id = 11 AND place = 100",
    ] {
        fixture.change(statement, json!([]));
    }
    let faults = of_steps(record.examine(told()).unwrap().faults);
    let words: Vec<String> = faults.iter().map(|fault| format!("{fault:?}")).collect();
    assert!(words.iter().any(|it| it.contains("run11, steps 4096 to") && it.contains("are incomplete")), "{words:?}");
}
