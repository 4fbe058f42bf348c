//! Inserts steps into the table `steps`, many in one statement.

use identity::TrajectoryRow;
use identity::observations::{Measured, Step};
use sqlx::sqlite::SqliteConnection;

use super::sql;

/// The most rows inserted by one statement; more would not be faster. A batch is split into powers of two up to this
/// number, so batches of any length use the same few statements, which the driver keeps prepared.
const ROWS: usize = 256;

/// The placeholders for a row's columns after the trajectory, if all its numbers are finite, which is nearly always so:
/// a literal costs less than a bound value. The final 1 is the window, the number of steps that the loss is a mean of.
const FINITE: &str = "?, ?, ?, 'finite', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, 1)";
/// The placeholders for any row's columns after the trajectory.
const ANY: &str = "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)";

/// The statement that inserts `rows` rows. Their trajectory is the last value, referred to by number, so that it is
/// bound only once.
pub(super) fn statement(rows: usize, all_finite: bool) -> String {
    let row = if all_finite { FINITE } else { ANY };
    let last = rows * row.matches('?').count() + 1;
    let mut text = format!("{}VALUES {}", sql!("insert_steps"), format!("(${last}, {row}, ").repeat(rows));
    text.truncate(text.len() - 2);
    text
}

/// Inserts steps that are not recorded yet.
pub(super) async fn insert(c: &mut SqliteConnection, trajectory: TrajectoryRow, steps: &[Step]) -> sqlx::Result<()> {
    let mut rest = steps;
    while !rest.is_empty() {
        let rows;
        (rows, rest) = rest.split_at(ROWS.min(1 << rest.len().ilog2()));
        insert_at_once(c, trajectory, rows).await?;
    }
    Ok(())
}

async fn insert_at_once(c: &mut SqliteConnection, trajectory: TrajectoryRow, rows: &[Step]) -> sqlx::Result<()> {
    let all_finite = rows.iter().all(|step| step.loss.0.is_finite() && nonfinite(step).is_none());
    let mut query = sqlx::query(sqlx::AssertSqlSafe(statement(rows.len(), all_finite)));
    for step in rows {
        let measured = |x: Option<Measured>| x.and_then(Measured::finite);
        query = query.bind(step.step as i64).bind(step.epoch as i64).bind(step.loss.finite());
        if !all_finite {
            query = query.bind(step.loss.kind().as_str());
        }
        query = query
            .bind(step.learning_rate)
            .bind(step.grad_norm.finite())
            .bind(i64::from(step.clipped))
            .bind(measured(step.update_ratio))
            .bind(measured(step.overshoot))
            .bind(measured(step.logit_max))
            .bind(measured(step.entropy))
            .bind(measured(step.sharpness))
            .bind(step.tokens as i64)
            .bind(step.seconds);
        if !all_finite {
            query = query.bind(nonfinite(step));
        }
    }
    query.bind(trajectory.0).execute(c).await.map(|_| ())
}

/// The measured columns that are not finite, as the record names them: `grad_norm:inf`.
pub(super) fn nonfinite(step: &Step) -> Option<String> {
    let measured = [
        ("grad_norm", Some(step.grad_norm)),
        ("update_ratio", step.update_ratio),
        ("overshoot", step.overshoot),
        ("logit_max", step.logit_max),
        ("entropy", step.entropy),
        ("sharpness", step.sharpness),
    ];
    if measured.iter().all(|(_, value)| value.is_none_or(|Measured(x)| x.is_finite())) {
        return None;
    }
    let named: Vec<String> = measured
        .iter()
        .filter_map(|(name, value)| Some((name, value.filter(|it| !it.0.is_finite())?)))
        .map(|(name, value)| format!("{name}:{}", value.kind()))
        .collect();
    Some(named.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Record;
    use crate::rows::NewTrajectory;
    use identity::{Digest, Fields, TrajectoryId};

    fn step(n: u64, loss: f64, norm: f64) -> Step {
        let probe = n.is_multiple_of(3).then_some(Measured(n as f64));
        Step {
            step: n,
            epoch: n / 100,
            loss: Measured(loss),
            learning_rate: 0.5,
            grad_norm: Measured(norm),
            clipped: n.is_multiple_of(2),
            update_ratio: probe,
            overshoot: probe,
            logit_max: None,
            entropy: probe,
            sharpness: None,
            tokens: 400 + n,
            seconds: n as f64 / 64.0,
        }
    }

    type Row = (i64, i64, Option<f64>, String, Option<f64>, i64, Option<f64>, Option<f64>, i64, f64, Option<String>);

    #[test]
    fn batches_of_every_length_and_losses_of_every_kind_are_read_back() {
        let mut record = Record::imagine().unwrap();
        let (fields, identity) = (Fields::default(), TrajectoryId(Digest::of(b"rows")));
        let new = NewTrajectory { identity, fields: &fields, threads: 1, cpu_capability: "", parent: None };
        let row = record.start_trajectory(&new).unwrap().row;
        // 0 + 1 + 2 + … steps, then more than one statement holds; the last of them are not finite.
        let (mut from, mut all) = (0, Vec::new());
        for length in (0..20).chain([700]) {
            let loss = |n: u64| if from + n > 800 { f64::NEG_INFINITY } else { (from + n) as f64 };
            let norm = |n: u64| if from + n == 777 { f64::NAN } else { 1.0 };
            let steps: Vec<Step> = (0..length).map(|n| step(from + n, loss(n), norm(n))).collect();
            record.append_steps(row, from, &steps).unwrap();
            from += length;
            all.extend(steps);
        }
        let query = "SELECT step, epoch, loss, loss_kind, grad_norm, clipped, update_ratio, overshoot, tokens, seconds, \
                     nonfinite FROM steps ORDER BY step";
        let rows: Vec<Row> = record.wait(async |c| sqlx::query_as(query).fetch_all(c).await).unwrap();
        assert_eq!(rows.len(), all.len());
        for (row, step) in rows.into_iter().zip(all) {
            let probe = step.entropy.map(|Measured(x)| x);
            let expected: Row = (
                step.step as i64,
                step.epoch as i64,
                step.loss.finite(),
                step.loss.kind().to_string(),
                step.grad_norm.finite(),
                i64::from(step.clipped),
                probe,
                probe,
                step.tokens as i64,
                step.seconds,
                (step.step == 777).then(|| "grad_norm:nan".to_owned()),
            );
            assert_eq!(row, expected);
        }
    }

    #[test]
    fn probes_are_filled_in_only_if_a_step_comes_out_the_same() {
        let mut record = Record::imagine().unwrap();
        let (fields, identity) = (Fields::default(), TrajectoryId(Digest::of(b"probes")));
        let new = NewTrajectory { identity, fields: &fields, threads: 1, cpu_capability: "", parent: None };
        let row = record.start_trajectory(&new).unwrap().row;
        let bare =
            |n: u64, norm: f64| Step { update_ratio: None, overshoot: None, entropy: None, ..step(n, 2.0, norm) };
        let probed = |n: u64, loss: f64, norm: f64| {
            let one = Some(Measured(0.5));
            Step { update_ratio: one, overshoot: one, entropy: one, sharpness: one, ..step(n, loss, norm) }
        };
        // As written by a version without overshoot; the last step's norm was infinite.
        let older = Step { update_ratio: Some(Measured(0.5)), entropy: Some(Measured(0.5)), ..bare(1, 1.0) };
        record.append_steps(row, 0, &[bare(0, 1.0), older, bare(2, 1.0), bare(3, f64::INFINITY)]).unwrap();
        let again = [probed(0, 2.0, 1.0), probed(1, 2.0, 1.0), probed(2, 2.5, 1.0), probed(3, 2.0, 1.0)];
        assert_eq!(record.append_steps(row, 4, &again).unwrap().unwrap().step, 2);
        let query = "SELECT entropy, overshoot, sharpness, nonfinite FROM steps ORDER BY step";
        type Row = (Option<f64>, Option<f64>, Option<f64>, Option<String>);
        let rows: Vec<Row> = record.wait(async |c| sqlx::query_as(query).fetch_all(c).await).unwrap();
        let filled: Row = (Some(0.5), Some(0.5), Some(0.5), None);
        let inf = Some("grad_norm:inf".to_owned());
        assert_eq!(rows, [filled.clone(), filled, (None, None, None, None), (None, None, None, inf)]);
    }
}
