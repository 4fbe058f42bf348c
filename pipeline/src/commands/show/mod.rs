//! `pipeline show`.

mod log;
pub mod outcomes;
pub mod parts;
mod replay;
mod row;
mod step;
mod tokens;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::args::ShowArgs;
use crate::commands::defaults::Defaults;
use crate::commands::reading::{Reader, baselines};
use crate::commands::{judging, standing, verdict};
use crate::failure::Failure;
use crate::places::Paths;
use crate::ui::curve::curve;
use crate::ui::look::{Ink, Look};
use crate::{selector, ui};
use chart::Baseline;
use identity::Bucket;
use insight::standing::Standing;
use record::read::{Detail, Evaluation, Event, Forked, NgramLoss, Param, Sample, StageRow, Summary};
use record::verdicts::{Confirmation, Verdict};

/// Everything that is known of one run.
#[derive(Debug, Serialize)]
struct Whole {
    #[serde(flatten)]
    summary: Summary,
    #[serde(flatten)]
    detail: Detail,
    /// What it was forked from, the nearest first.
    forks: Vec<Forked>,
    params: Map<String, Value>,
    stages: Vec<StageRow>,
    /// The lines of the curve.
    baselines: Vec<Baseline>,
    /// Models that count, on each split.
    ngrams: Vec<NgramLoss>,
    /// Where the last valid loss stands among them.
    standing: Option<Standing>,
    judged: Verdict,
    /// What came of trying the verdict's cause.
    confirmations: Vec<Confirmation>,
    /// The loss of neighbouring steps; `run_steps` in SQL has every one.
    curve: Vec<Bucket>,
    evaluations: Vec<Evaluation>,
    samples: Vec<Sample>,
    events: Vec<Event>,
    #[serde(skip)]
    listed: Vec<Param>,
}

/// Shows one run.
pub fn show(args: ShowArgs, paths: &Paths) -> Result<(), Failure> {
    let mut reader = Reader::open(paths)?;
    let run = selector::one(&mut reader.record, &args.run)?;
    let look = Look::stdout();
    if args.log {
        return log::log(&mut reader, run);
    }
    if let Some(step) = args.step {
        let mut batch = step::read(&mut reader, run, step)?;
        batch.check_row(args.row)?;
        batch.replay(&mut reader, args.replay)?;
        ui::data(&if args.json { ui::json(&batch) } else { step::screen(&batch, args.row, look) });
        return Ok(());
    }
    let whole = read(&mut reader, run, look)?;
    ui::data(&if args.json { ui::json(&whole) } else { screen(&whole, look) });
    Ok(())
}

fn read(reader: &mut Reader, run: i64, look: Look) -> Result<Whole, Failure> {
    let summary = reader.summaries(Some(&[run]))?.pop().ok_or_else(|| Failure::failed("BUG: the run is gone", ""))?;
    let stages = reader.stages(run)?;
    let judged = judging::verdicts(reader, &[run])?.remove(0);
    let record = &mut reader.record;
    let detail = record.detail(run)?;
    let listed = record.params(&[run])?;
    let defaults = Defaults::of(summary.seed);
    let (evaluations, ngrams) = (record.evaluations(run)?, record.ngrams(run)?);
    let curve = match detail.trajectory_id {
        // Several rows for each column of dots, so that rows need not end where columns do.
        Some(trajectory) => record.losses(trajectory, summary.steps, look.width as i64 * 8)?,
        None => Vec::new(),
    };
    Ok(Whole {
        params: listed.iter().map(|param| (param.name.clone(), defaults.typed(&param.name, &param.value))).collect(),
        baselines: baselines(&stages, &ngrams),
        standing: standing::of(&evaluations, &ngrams),
        judged,
        curve,
        evaluations,
        ngrams,
        samples: record.samples(run)?,
        events: record.events(run)?,
        confirmations: record.confirmations(run)?,
        forks: record.forks(run)?,
        summary,
        detail,
        stages,
        listed,
    })
}

/// The whole screen.
fn screen(whole: &Whole, look: Look) -> String {
    let parts = [
        parts::header(&whole.summary, &whole.detail, &whole.forks, look),
        judged(whole, look),
        parts::params(&whole.listed, &whole.summary, look),
        parts::stages(&whole.stages, whole.summary.run, look),
        loss(whole, look),
        outcomes::evaluations(&whole.evaluations, look),
        outcomes::baselines(
            &whole.ngrams,
            whole.standing.as_ref(),
            standing::unit(&whole.listed, whole.summary.run),
            look,
        ),
        outcomes::samples(&whole.samples, look),
        outcomes::events(&whole.events, look),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The verdict, and where the rest of it is.
fn judged(whole: &Whole, look: Look) -> String {
    let more = format!("  pipeline diagnose {} has the evidence", whole.summary.name());
    let said = verdict::words(whole.summary.run, &whole.judged, &whole.confirmations, look);
    format!("{}\n{said}{}\n", look.heading("verdict"), look.paint(Ink::Dim, &more))
}

fn loss(whole: &Whole, look: Look) -> String {
    let plot = curve(look, whole.summary.steps, &whole.curve, &whole.baselines);
    let lines = if plot.is_empty() { String::new() } else { parts::baselines(&whole.baselines, &whole.ngrams, look) };
    format!("{plot}{lines}{}", parts::losses(&whole.summary, look))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::screen_is;
    use identity::Bucket;
    use record::Record;
    use record::fixture::{Fixture, SPIKE, long_run};

    fn whole(fixture: &Fixture, run: i64) -> Whole {
        let mut reader = Reader::open(&Paths { db: fixture.db.clone(), named: true, store: None }).unwrap();
        read(&mut reader, run, Look::PLAIN).unwrap()
    }

    #[test]
    fn a_stable_run() {
        let text = screen(&whole(&Fixture::new(), 1), Look::PLAIN);
        screen_is("show_run1", &text);
    }

    #[test]
    fn a_diverged_run() {
        let fixture = Fixture::new();
        let run = whole(&fixture, 3);
        let text = screen(&run, Look::PLAIN);
        screen_is("show_run3", &text);
        let json = serde_json::to_value(&run).unwrap();
        assert_eq!(json["last_loss_kind"], "nan");
        assert_eq!(json["params"]["train.optimizer"], "sgd");
        assert_eq!(json["evaluations"][1]["loss"], Value::Null);
        assert_eq!(json["evaluations"][1]["loss_kind"], "nan");
    }

    #[test]
    fn a_run_whose_process_died_is_interrupted() {
        let fixture = Fixture::new();
        let text = screen(&whole(&fixture, 4), Look::PLAIN);
        assert!(text.starts_with("run4  tiny  interrupted"), "{text}");
    }

    #[test]
    fn a_single_spike_in_a_million_steps_is_seen() {
        let fixture = Fixture::new();
        long_run(&mut Record::create(&fixture.db).unwrap(), 5, 1_000_000);
        let run = whole(&fixture, 5);
        let highest = |bucket: &&Bucket| bucket.maximum == Some(60.0);
        let spike: Vec<&Bucket> = run.curve.iter().filter(highest).collect();
        assert_eq!(spike.len(), 1);
        assert!((spike[0].first..spike[0].first + spike[0].steps).contains(&SPIKE));
        let text = curve(Look::PLAIN, run.summary.steps, &run.curve, &[]);
        let top = text.lines().find(|line| line.contains("50 ┤") || line.contains("60 ┤")).unwrap();
        assert!(top.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "{text}");
    }
}
