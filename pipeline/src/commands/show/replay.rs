//! Replays a step, if that is quick or requested, and compares the losses with the record.

use std::collections::BTreeMap;

use crate::args::When;
use crate::exit;
use crate::ui::format::{self, count};
use crate::ui::watch::Terminal;
use engine::replay::Replayed;
use identity::{Loss, LossKind, RunId};
use session::Reader;
use session::failure::Failure;
use session::replay::ReplayPlan;
use view::step::Predictions;

/// If the recorded steps took more seconds than this, they are replayed only with `--replay`.
const PATIENCE: f64 = 10.0;

/// Replays up to `step`. The inner `Err` is one line that says why there is no replay.
pub fn found(reader: &mut Reader, run: RunId, step: u64, when: When) -> Result<Result<Predictions, String>, Failure> {
    if when == When::Never {
        return Ok(Err("--replay=never".to_owned()));
    }
    let way = match ReplayPlan::to(&mut reader.record, &reader.store, run, step)? {
        Ok(way) => way,
        Err(why) => return Ok(Err(why)),
    };
    let from = way.from();
    let place = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let seconds = reader.record.step_seconds(run, place(from), place(step))?;
    if when == When::Auto && seconds > PATIENCE {
        let (steps, seconds) = (count(place(step - from)), format::seconds(seconds));
        let steps = if step - from == 1 { "1 step".to_owned() } else { format!("{steps} steps") };
        return Ok(Err(format!("replaying {steps} takes about {seconds}; pass --replay")));
    }
    let went = match way.go(&exit::interrupt(), &mut Terminal)? {
        Ok(went) => went,
        Err(why) => return Ok(Err(why)),
    };
    let Replayed { losses, rows } = went.replayed;
    let loss = losses.last().map_or(f64::NAN, |(_, loss)| *loss);
    let parted = parted(reader, run, &losses)?;
    Ok(Ok(Predictions { from, seconds: went.seconds, loss, suspicion: went.suspicion, parted, rows }))
}

/// The first replayed step whose loss differs from the record, if the loss of the last replayed step differs.
fn parted(reader: &mut Reader, run: RunId, losses: &[(u64, f64)]) -> Result<Option<u64>, Failure> {
    let same = |recorded: Option<f64>, kind: Option<LossKind>, loss: f64| {
        kind == Some(Loss(loss).kind()) && recorded.is_none_or(|recorded| recorded.to_bits() == loss.to_bits())
    };
    let Some((last, loss)) = losses.last() else { return Ok(None) };
    let recorded = reader.record.step(run, i64::try_from(*last).unwrap_or(i64::MAX))?;
    if recorded.is_some_and(|recorded| same(recorded.loss, recorded.loss_kind, *loss)) {
        return Ok(None);
    }
    let now: BTreeMap<i64, f64> = losses.iter().map(|(step, loss)| (*step as i64, *loss)).collect();
    let numbers = reader.record.numbers(run)?;
    let differs = |row: &&record::read::Numbers| {
        now.get(&row.step).is_some_and(|loss| !same(row.loss, Some(row.loss_kind), *loss))
    };
    Ok(numbers.iter().find(differs).and_then(|row| u64::try_from(row.step).ok()).or(Some(*last)))
}
