//! What two runs measured around the step that matters.

use std::collections::BTreeMap;

use serde::Serialize;

use super::parting::{Pair, Parting};
use crate::commands::reading::Reader;
use crate::commands::show::parts::indent;
use crate::failure::Failure;
use crate::ui::format::{self, count};
use crate::ui::look::{Ink, Look};
use crate::ui::table::{Table, left, right};
use record::read::{Cell, Param, StepRow, Summary};
use record::verdicts::Verdict;

/// Steps with probes on either side.
const EITHER_SIDE: usize = 3;

/// The furthest that probes are sought.
const FURTHEST: i64 = 3 * 1024;

/// Steps around one.
#[derive(Debug, Serialize)]
pub struct Around {
    pub step: i64,
    pub centre: Centre,
    pub steps: Vec<Near>,
}

/// What that step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Centre {
    /// The onset of this run's verdict.
    Onset(i64),
    BeyondNoise,
    FirstDifference,
}

/// One step of both.
#[derive(Debug, Serialize)]
pub struct Near {
    pub step: i64,
    pub runs: [Option<StepRow>; 2],
}

/// Reads what was measured around the earlier onset; without one, around the step from which the runs are apart.
pub fn read(
    reader: &mut Reader,
    pair: &Pair,
    parting: &Parting,
    verdicts: &[Verdict],
    params: &[Param],
) -> Result<Option<Around>, Failure> {
    let onsets =
        pair.runs.iter().zip(verdicts).filter_map(|(run, verdict)| Some((verdict.began()?, Centre::Onset(*run))));
    let onset = onsets.min_by_key(|(step, _)| *step);
    let noise = parting.beyond_noise.map(|beyond| (beyond.step, Centre::BeyondNoise));
    let bits = parting.first.as_ref().map(|first| (first.step, Centre::FirstDifference));
    let Some((centre, what)) = onset.or(noise).or(bits) else { return Ok(None) };
    let every = params.iter().filter(|param| param.name == "train.probes").filter_map(|param| match param.value {
        Cell::Integer(every) => Some(every),
        _ => None,
    });
    let reach = every.max().unwrap_or(0).saturating_mul(EITHER_SIDE as i64).clamp(EITHER_SIDE as i64, FURTHEST);
    let mut found: BTreeMap<i64, [Option<StepRow>; 2]> = BTreeMap::new();
    for (place, trajectory) in pair.trajectories.iter().enumerate() {
        let Some(trajectory) = trajectory else { continue };
        // A run shows its trajectory up to its own length.
        let range = (centre.saturating_sub(reach).max(0), centre.saturating_add(reach + 1).min(pair.lengths[place]));
        for row in reader.record.steps_near(*trajectory, range, centre)? {
            let at = row.step;
            found.entry(at).or_default()[place] = Some(row);
        }
    }
    let mut steps: Vec<Near> = found.into_iter().map(|(step, runs)| Near { step, runs }).collect();
    let before = steps.partition_point(|near| near.step < centre.saturating_sub(1));
    steps.drain(..before.saturating_sub(EITHER_SIDE));
    let behind = steps.partition_point(|near| near.step <= centre.saturating_add(1));
    steps.truncate(behind + EITHER_SIDE);
    Ok(Some(Around { step: centre, centre: what, steps }))
}

/// The table.
pub fn table(around: &Around, runs: &[Summary], look: Look) -> String {
    let what = match around.centre {
        Centre::Onset(run) => format!("the onset of run{run}"),
        Centre::BeyondNoise => "where they part beyond the noise".to_owned(),
        Centre::FirstDifference => "where they part".to_owned(),
    };
    let mut heads = vec![right("step")];
    for run in runs {
        heads.extend([right(&format!("{} loss", run.name())), right("norm"), right("ρ"), right("logit")]);
    }
    heads.push(left(""));
    let mut table = Table::new(heads);
    for near in &around.steps {
        let here = near.step == around.step;
        let mut cells = vec![(count(near.step), if here { Ink::Bold } else { Ink::Plain })];
        for row in &near.runs {
            match row {
                Some(row) => cells.extend([
                    loss(row),
                    measured(row, "grad_norm", row.grad_norm),
                    measured(row, "overshoot", row.overshoot),
                    measured(row, "logit_max", row.logit_max),
                ]),
                None => cells.extend([(); 4].map(|()| (format::NOTHING.to_owned(), Ink::Dim))),
            }
        }
        cells.push((if here { "←" } else { "" }.to_owned(), Ink::Bold));
        table.row(cells);
    }
    let (text, _) = table.render(Look { width: look.width - 2, ..look });
    let said = "norm: the gradient's, before clipping; ρ: what a step gained, over what its gradient promised; logit: the \
                largest";
    let said: String =
        format::wrap(said, look.width - 2).iter().map(|line| format!("{}\n", look.paint(Ink::Dim, line))).collect();
    let title = look.heading(&format!("around step {}, {what}", count(around.step)));
    format!("{title}\n{}{}", indent(&text), indent(&said))
}

fn loss(row: &StepRow) -> (String, Ink) {
    match row.loss {
        Some(loss) => (format::float(loss), Ink::Plain),
        None => (row.loss_kind.clone(), Ink::Bad),
    }
}

/// A measured figure, or what it was in place of a number: the record names each, as in `grad_norm:inf`.
fn measured(row: &StepRow, name: &str, value: Option<f64>) -> (String, Ink) {
    if let Some(value) = value {
        return (short(value), Ink::Plain);
    }
    match row.odd(name) {
        Some(kind) => (kind.to_owned(), Ink::Bad),
        None => (format::NOTHING.to_owned(), Ink::Dim),
    }
}

/// In as few columns as tell something.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(0.001..1e5).contains(&size) => format!("{value:.0e}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
