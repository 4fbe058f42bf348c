//! `pipeline show`.

mod log;
pub mod outcomes;
pub mod parts;
mod replay;
mod step;
mod tokens;

use crate::args::ShowArgs;
use crate::ui;
use crate::ui::curve::curve;
use crate::ui::look::{Ink, Look};
use crate::ui::verdict;
use crate::ui::watch::Terminal;
use session::Reader;
use session::failure::Failure;
use session::places::Paths;
use session::selector;
use view::document::View;
use view::run::RunView;
use view::standing;
use view::step::StepView;

/// Shows one run.
pub fn show(args: ShowArgs, paths: &Paths) -> Result<(), Failure> {
    let mut reader = Reader::open(paths, Terminal)?;
    let run = selector::one(&mut reader.record, &args.run)?;
    let look = Look::stdout();
    if args.log {
        return log::log(&mut reader, run);
    }
    if let Some(step) = args.step {
        let mut view = StepView::read(&mut reader, run, step)?;
        view.check_row(args.row)?;
        view.add(replay::found(&mut reader, run, step, args.replay)?);
        ui::data(&if args.json { ui::document(View::Step(&view)) } else { step::screen(&view, args.row, look) });
        return Ok(());
    }
    let view = read(&mut reader, run, look)?;
    ui::data(&if args.json { ui::document(View::Run(&view)) } else { screen(&view, look) });
    Ok(())
}

fn read(reader: &mut Reader, run: i64, look: Look) -> Result<RunView, Failure> {
    // Several rows for each column of dots, so that rows need not end where columns do.
    let view = RunView::read(reader, run, look.width as i64 * 8)?;
    view.ok_or_else(|| Failure::failed("BUG: the run is gone", ""))
}

/// The whole screen.
fn screen(whole: &RunView, look: Look) -> String {
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
fn judged(whole: &RunView, look: Look) -> String {
    let more = format!("  pipeline diagnose {} has the evidence", whole.summary.name());
    let said = verdict::words(whole.summary.run, &whole.judged, &whole.confirmations, look);
    format!("{}\n{said}{}\n", look.heading("verdict"), look.paint(Ink::Dim, &more))
}

fn loss(whole: &RunView, look: Look) -> String {
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
    use serde_json::Value;

    fn whole(fixture: &Fixture, run: i64) -> RunView {
        let mut reader = Reader::open(&Paths { db: fixture.db.clone(), named: true, store: None }, Terminal).unwrap();
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
