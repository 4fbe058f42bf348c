//! `pipeline diagnose`: what is wrong with a run, from what that is concluded, and what was not looked at.

use serde::Serialize;

use crate::args::DiagnoseArgs;
use crate::commands::judging;
use crate::commands::reading::{Reader, baselines};
use crate::commands::show::parts::indent;
use crate::commands::verdict::{self, verdict_ink};
use crate::failure::Failure;
use crate::places::Paths;
use crate::ui;
use crate::ui::curve::{ONSET, with_onset};
use crate::ui::format::{self, count};
use crate::ui::look::{Ink, Look};
use crate::ui::table::{Table, left, right};
use chart::Baseline;
use identity::Bucket;
use insight::verdict::signals::Signals;
use insight::verdict::signals_of;
use record::Record;
use record::read::{NgramLoss, StageRow, StepRow, Summary};
use record::verdicts::{Confirmation, Verdict};

/// Steps that are shown around an onset, on either side.
const AROUND: i64 = 5;

/// Rows of all curves together, beside the fewest of one.
const ROWS: i64 = 64_000;
const FEWEST: i64 = 40;

/// What is known of what is wrong with a run.
#[derive(Debug, Serialize)]
struct Diagnosis {
    #[serde(flatten)]
    summary: Summary,
    judged: Verdict,
    confirmations: Vec<Confirmation>,
    /// What the rules looked at: for JSON, where there are several runs, since that takes longer than all else.
    signals: Option<Signals>,
    /// The steps around the onset.
    around: Vec<StepRow>,
    #[serde(skip)]
    curve: Vec<Bucket>,
    #[serde(skip)]
    baselines: Vec<Baseline>,
}

/// Diagnoses runs.
pub fn diagnose(args: &DiagnoseArgs, paths: &Paths) -> Result<(), Failure> {
    let mut reader = Reader::open(paths)?;
    let runs = reader.named(&args.selectors)?;
    let look = Look::stdout();
    let all = read(&mut reader, &runs, args.json, look)?;
    ui::data(&match (args.json, &all[..]) {
        (true, [one]) => ui::json(one),
        (true, all) => ui::json(&all),
        (false, all) => all.iter().map(|it| screen(it, look)).collect::<Vec<_>>().join("\n"),
    });
    Ok(())
}

fn read(reader: &mut Reader, runs: &[i64], json: bool, look: Look) -> Result<Vec<Diagnosis>, Failure> {
    let details = reader.record.details(runs)?;
    // The more curves, the fewer rows has each.
    let rows = (ROWS / runs.len().max(1) as i64).min(look.width as i64 * 8).max(FEWEST);
    let of: Vec<(Option<i64>, i64)> = details.iter().map(|run| (run.trajectory_id, run.steps)).collect();
    let side = |record: &mut Record| {
        Ok((record.curves(&of, "loss", rows)?, record.ngrams_of(runs)?, record.confirmations_of(runs)?))
    };
    let own = |reader: &mut Reader| {
        let mut judged: Vec<(Verdict, Option<Signals>)> = Vec::with_capacity(runs.len());
        if json || runs.len() == 1 {
            judging::each_anew(reader, runs, |verdict, facts| judged.push((verdict, Some(signals_of(facts)))))?;
        } else {
            judged.extend(judging::verdicts(reader, runs)?.into_iter().map(|verdict| (verdict, None)));
        }
        Ok((judged, reader.summaries(Some(runs))?, reader.stages_of(runs, &["vocab"])?))
    };
    let ((judged, summaries, stages), (curves, ngrams, confirmations)) = reader.beside(runs.len(), side, own)?;
    // A run shows its trajectory up to its own length.
    let span = |((verdict, _), run): (&(Verdict, Option<Signals>), &Summary)| {
        let onset = verdict.began()?;
        Some((run.run, (onset - AROUND).max(0), (onset + AROUND).min(run.steps - 1)))
    };
    let spans: Vec<_> = judged.iter().zip(&summaries).filter_map(span).collect();
    let mut around = reader.record.steps_around(&spans)?;
    let parts = summaries.into_iter().zip(judged).zip(stages.iter().zip(&ngrams)).zip(curves).zip(confirmations);
    let one = |((((summary, (judged, signals)), (stages, ngrams)), curve), confirmations): Parts<'_>| {
        let baselines = baselines(stages, ngrams);
        let around = around.remove(&summary.run).unwrap_or_default();
        Diagnosis { summary, judged, confirmations, signals, around, curve, baselines }
    };
    Ok(parts.map(one).collect())
}

/// What is read of one run.
type Parts<'a> = (
    (((Summary, (Verdict, Option<Signals>)), (&'a Vec<StageRow>, &'a Vec<NgramLoss>)), Vec<Bucket>),
    Vec<Confirmation>,
);

fn screen(it: &Diagnosis, look: Look) -> String {
    let point = format::point(&it.summary.swept());
    let mut head = vec![look.paint(Ink::Bold, &it.summary.name()), it.summary.experiment.clone()];
    head.extend((!point.is_empty()).then_some(point));
    head.push(format!("{}, {} steps", it.summary.standing(), count(it.summary.steps)));
    let failed = it.summary.error.as_ref().map_or_else(String::new, |error| {
        let said = format!("{error}; pipeline show {} --log has all that its worker said", it.summary.name());
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

/// The curve, with the onset pointed at.
fn drawn(it: &Diagnosis, look: Look) -> String {
    let onset = it.judged.onset.filter(|_| !it.around.is_empty());
    let plot = with_onset(look, it.summary.steps, &it.curve, &it.baselines, onset);
    match onset {
        Some(step) if !plot.is_empty() => {
            let said = format!("{ONSET} the onset, step {}", count(step));
            format!("{plot}{}\n", look.paint(Ink::Dim, &said))
        }
        _ => plot,
    }
}

/// What was measured where it began.
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
            format::loss(row.loss, Some(&row.loss_kind)),
            figure("grad_norm", row.grad_norm),
            if row.clipped { "clipped".to_owned() } else { String::new() },
            figure("overshoot", row.overshoot),
            figure("logit_max", row.logit_max),
            figure("entropy", row.entropy),
        ];
        table.row(cells.into_iter().map(|cell| (cell, ink)).collect());
    }
    let title = look.heading(&format!("around step {}", count(onset)));
    format!("{title}\n{}", indent(&table.render(Look { width: look.width - 2, ..look }).0))
}
