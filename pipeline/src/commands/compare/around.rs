//! A table of what two runs measured around an onset or their first difference.

use crate::ui::format::{self, count, indent};
use crate::ui::look::{Ink, Look};
use crate::ui::table::{Table, left, right};
use identity::StepRow;
use record::read::RunSummary;
use view::compare::{Around, Centre};

/// Renders the table, with a legend below it.
pub fn table(around: &Around, runs: &[RunSummary], look: Look) -> String {
    let what = match around.centre {
        Centre::Onset(run) => format!("the onset of {run}"),
        Centre::BeyondNoise => "the first difference beyond noise".to_owned(),
        Centre::FirstDifference => "the first difference".to_owned(),
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
    let said = "norm: gradient norm before clipping; ρ: overshoot ratio, actual over predicted decrease of the loss; \
                logit: largest logit";
    let said: String =
        format::wrap(said, look.width - 2).iter().map(|line| format!("{}\n", look.paint(Ink::Dim, line))).collect();
    let title = look.heading(&format!("around step {}, {what}", count(around.step)));
    format!("{title}\n{}{}", indent(&text), indent(&said))
}

fn loss(row: &StepRow) -> (String, Ink) {
    match row.loss {
        Some(loss) => (format::float(loss), Ink::Plain),
        None => match row.loss_kind {
            Some(kind) => (kind.to_string(), Ink::Bad),
            None => (format::NOTHING.to_owned(), Ink::Dim),
        },
    }
}

/// A measured figure or, if it is not finite, its kind (NaN or Inf), which the record keeps as in `grad_norm:inf`.
fn measured(row: &StepRow, name: &str, value: Option<f64>) -> (String, Ink) {
    if let Some(value) = value {
        return (short(value), Ink::Plain);
    }
    match row.odd(name) {
        Some(kind) => (kind.to_owned(), Ink::Bad),
        None => (format::NOTHING.to_owned(), Ink::Dim),
    }
}

/// A figure in as few characters as are useful.
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
