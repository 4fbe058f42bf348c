//! `pipeline diagnose`: the verdict on a run, its evidence, and the checks that were and were not made.

use crate::args::DiagnoseArgs;
use crate::ui;
use crate::ui::curve::{ONSET, with_onset};
use crate::ui::format::{self, count, indent};
use crate::ui::look::{Ink, Look};
use crate::ui::table::{Table, left, right};
use crate::ui::verdict::{self, verdict_ink};
use crate::ui::watch::Terminal;
use session::Reader;
use session::failure::Failure;
use session::places::Paths;
use view::diagnose::{DiagnoseView, Diagnosis};
use view::document::View;

/// Diagnoses runs.
pub fn diagnose(args: &DiagnoseArgs, paths: &Paths) -> Result<(), Failure> {
    let mut reader = Reader::open(paths, Terminal)?;
    let runs = reader.named(&args.selectors)?;
    let look = Look::stdout();
    // For several runs, reading the signals takes longer than everything else, and only JSON shows them.
    let signals = args.json || runs.len() == 1;
    let all = DiagnoseView::read(&mut reader, &runs, signals, look.width as i64 * 8)?;
    ui::data(&match args.json {
        true => ui::document(View::Diagnose(&all)),
        false => all.runs.iter().map(|it| screen(it, look)).collect::<Vec<_>>().join("\n"),
    });
    Ok(())
}

fn screen(it: &Diagnosis, look: Look) -> String {
    let point = format::point(&it.summary.swept());
    let mut head =
        vec![look.paint(Ink::Bold, &it.summary.name()), it.summary.origin().unwrap_or(format::NOTHING).to_owned()];
    head.extend((!point.is_empty()).then_some(point));
    head.push(format!("{}, {} steps", it.summary.standing(), count(it.summary.steps)));
    let failed = it.summary.error.as_ref().map_or_else(String::new, |error| {
        let said = format!("{error}; to see the worker's output: pipeline show {} --log", it.summary.name());
        let lines = format::wrap(&said, look.width - 4);
        lines.iter().map(|line| format!("    {}\n", look.paint(Ink::Bad, line))).collect()
    });
    let parts = [
        format!("{}\n{failed}{}", head.join("  "), verdict::words(it.summary.run, &it.judged, &it.confirmations, look)),
        verdict::evidence(&it.judged, look),
        verdict::findings(&it.judged, look),
        drawn(it, look),
        around(it, look),
        verdict::checks(&it.judged, look),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The curve with the onset marked.
fn drawn(it: &Diagnosis, look: Look) -> String {
    let onset = it.judged.onset.filter(|_| !it.around.is_empty());
    let plot = with_onset(look, it.summary.steps, &it.curve, &it.baselines, onset);
    match onset {
        Some(step) if !plot.is_empty() => {
            let said = format!("{ONSET} onset at step {}", count(step));
            format!("{plot}{}\n", look.paint(Ink::Dim, &said))
        }
        _ => plot,
    }
}

/// A table of what was measured around the onset.
fn around(it: &Diagnosis, look: Look) -> String {
    let Some(onset) = it.judged.onset.filter(|_| !it.around.is_empty()) else { return String::new() };
    let heads = ["step", "loss", "grad norm", "clipped", "overshoot", "logit", "entropy"];
    let mut table =
        Table::new(heads.iter().map(|head| if *head == "clipped" { left(head) } else { right(head) }).collect());
    for row in &it.around {
        let ink = if row.step == onset { verdict_ink(it.judged.verdict) } else { Ink::Plain };
        let figure = |column: &str, value: Option<f64>| match value {
            Some(value) => format::float(value),
            None => row.odd(column).unwrap_or_default().to_owned(),
        };
        let cells = [
            count(row.step),
            format::loss(row.loss, row.loss_kind),
            figure("grad_norm", row.grad_norm),
            if row.clipped == Some(true) { "clipped".to_owned() } else { String::new() },
            figure("overshoot", row.overshoot),
            figure("logit_max", row.logit_max),
            figure("entropy", row.entropy),
        ];
        table.row(cells.into_iter().map(|cell| (cell, ink)).collect());
    }
    let title = look.heading(&format!("around step {}", count(onset)));
    format!("{title}\n{}", indent(&table.render(Look { width: look.width - 2, ..look }).0))
}
