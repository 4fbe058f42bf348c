//! `pipeline lr-range`: trains with a rising learning rate until the loss diverges.

mod asked;
mod screen;

use std::path::Path;

use asked::Asking;

use crate::args::{LrRangeArgs, STEPS};
use crate::ui::end::trouble;
use crate::ui::format;
use crate::ui::look::Look;
use crate::ui::watch::Terminal;
use crate::{exit, ui};
use engine::stop::Stop as _;
use identity::RunId;
use session::Reader;
use session::Session;
use session::failure::{Failure, FailureKind};
use session::places::Paths;
use session::run::RunOptions;
use view::document::View;
use view::lr_range::{LrRangeView, RangeTest};

/// Runs the range tests of an experiment, unless they are cached, and shows the results.
pub fn lr_range(args: &LrRangeArgs, paths: &Paths, here: &Path) -> Result<(), Failure> {
    let interrupt = exit::interrupt();
    let how = RunOptions { jobs: args.jobs, threads: args.threads, ..RunOptions::default() };
    let mut session = Session { paths, here, interrupt: &interrupt, watch: &mut Terminal };
    let mut tests = Vec::new();
    let (mut executed, mut cached) = (0, 0);
    let mut name = String::new();
    for asked in asked::asked(args, paths, here)? {
        let done = session.compute(&asked.experiment, &how)?;
        trouble(&asked.experiment, &done, interrupt.is_asked(), paths).map_err(|failure| match failure.kind {
            FailureKind::Interrupted => {
                Failure { hint: format!("to resume: {}{}", again(args), paths.flags()), ..failure }
            }
            _ => failure,
        })?;
        (executed, cached) = (executed + done.summary.executed, cached + done.summary.cached);
        let runs: Vec<RunId> = done.rows.iter().map(|row| row.id).collect();
        let mut reader = Reader::open(paths, Terminal)?;
        for (run, asking) in runs.into_iter().zip(&asked.points) {
            let test = RangeTest::read(&mut reader, run, asked.span, i64::from(args.steps), &asking.point)?;
            let command = test.found.suggestion.map(|rate| training(args, asking, rate));
            tests.push(RangeTest { command, ..test });
        }
        name = asked.experiment.name;
    }
    ui::talk(&format!("{name}: {executed} executed, {cached} cached"));
    let view = LrRangeView { tests };
    ui::data(&if args.json { ui::document(View::LrRange(&view)) } else { screen::screen(&view.tests, Look::stdout()) });
    Ok(())
}

/// The command that was typed, for hints.
fn again(args: &LrRangeArgs) -> String {
    let run = format::command(&args.experiment.display().to_string(), &args.set);
    let mut words = run.replacen("pipeline run", "pipeline lr-range", 1);
    for (name, rate) in [("from", args.from), ("to", args.to)] {
        if let Some(rate) = rate {
            words.push_str(&format!(" --{name} {rate:?}"));
        }
    }
    if args.steps != STEPS {
        words.push_str(&format!(" --steps {}", args.steps));
    }
    words
}

/// The command that trains at a rate.
fn training(args: &LrRangeArgs, asking: &Asking, rate: f64) -> String {
    let key = |set: &str| set.split('=').next().unwrap_or("").trim().to_owned();
    let swept = |set: &&String| asking.pins.iter().any(|pin| key(pin) == key(set));
    let own: Vec<String> = args.set.iter().filter(|set| !swept(set)).cloned().collect();
    let sets = [&own[..], &asking.pins, &[format!("train.learning_rate={rate:?}")]].concat();
    format::command(&args.experiment.display().to_string(), &sets)
}

#[cfg(test)]
mod tests {
    use chart::axis::Baseline;
    use identity::TraceRow;
    use serde_json::{Value, json};
    use stages::params;

    use super::*;
    use view::lr_range::{RateSpan, TestedPoint};

    /// A test of 50 steps from 0.01 to 1000 that diverges above the rate `breaks`; a loss above 80 is not finite.
    fn tested(run: RunId, optimizer: &str, breaks: f64) -> RangeTest {
        let table = |stage: &str, own: Value| {
            let keys = params::stage_keys(stage).unwrap().keys;
            let all = keys.iter().filter_map(|key| Some((key.name.to_owned(), key.default_value(1)?)));
            Value::from_iter(all.chain(own.as_object().unwrap().clone()))
        };
        let point = TestedPoint {
            swept: json!({"train.optimizer": optimizer}).as_object().unwrap().clone(),
            train: params::read("train", &table("train", json!({"optimizer": optimizer}))).unwrap(),
            batch: params::read("batch", &table("batch", json!({}))).unwrap(),
        };
        let row = |step: i64| {
            let rate = 0.01 * 1e5f64.powf(step as f64 / 49.0);
            let loss = 9.2 - 4.0 * rate / (1.0 + rate) + (rate - breaks).max(0.0) / 4.0;
            let loss = Some(loss).filter(|loss| *loss < 80.0);
            TraceRow { step, learning_rate: Some(rate), loss, grad_norm: None, clipped: Some(false) }
        };
        let mut rows: Vec<TraceRow> = (0..50).map(row).collect();
        let end = rows.iter().position(|row| row.loss.is_none()).map_or(rows.len(), |at| at + 1);
        rows.truncate(end);
        let found = RangeTest::of(run, &rows, RateSpan { from: 0.01, to: 1000.0 }, 50, &point);
        let baselines =
            vec![Baseline { label: "ln V".into(), value: 9.21 }, Baseline { label: "unigram".into(), value: 6.5 }];
        RangeTest {
            baselines,
            command: Some(format!("pipeline run experiments/x.toml --set train.optimizer={optimizer}")),
            ..found
        }
    }

    #[test]
    fn one_test() {
        let text = screen::screen(&[tested(RunId(7), "sgd", 30.0)], Look::PLAIN);
        insta::assert_snapshot!(text, @"
        run7  sgd, learning rate from 0.01 to 1000 in 50 steps

        loss in nats, by learning rate
             12 ┤                                   ┊     ┊
                │                                   ┊     ┊⢀⣀⣀⣀⣀⣀⣀⣀⣀⣀⡀
                │                                   ┊     ┊⢸
             10 ┤                                   ┊     ┊⢸
                │                                   ┊     ⢰⠚
                │⠉⠉⠉⠉⠉⠉⠉⠉⠓⠒⠒⠲⠤⢤⣀⡀┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┊┄┄┄┄┄⢸┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ ln V 9.21
                │               ⠉⠓⠦⢤                ┊     ⢸
              8 ┤                  ⠈⠙⠲⠤⡄            ┊     ⢸
                │                      ⠉⠧⣄⣀         ┊    ⢠⠼
                │┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄⠘⠲⢤┄┄┄┄┄┄┄┊┄┄┄┄⢸┊┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ unigram 6.50
              6 ┤                           ⠈⠉⠒⠦⣄⣀⣀ ┊    ⢸┊
                │                                 ⠈⠙⠒⠒⠒⠦⠤⠼┊
                │                                   ┊     ┊
              4 ┤                                   ┊     ┊
                └┬──────────┬───────────┬──────────┬▲─────✗────┬─────✗✗───┬─
               0.01        0.1          1         10          100       1000
        ▲ try 12   ◆ lowest, 5.52   ✗ diverges at 37.3   (losses cut off at 11.0)

        The loss fell from 9.16 to 5.52 at a rate of 11.5 (step 30), fastest around 1.1.
        For a mean loss, try 12; for a loss summed over 20 steps, try 0.6

        the loss diverges at a rate of 37.3 (step 35); try 12:
          pipeline run experiments/x.toml --set train.optimizer=sgd
        ");
        let json = serde_json::to_value(tested(RunId(7), "momentum", 30.0)).unwrap();
        assert_eq!(json["outcome"], "broke");
        assert!(json["limit"].as_f64() < json["breaks"]["learning_rate"].as_f64());
        assert_eq!(json["curve"].as_array().unwrap().last().unwrap()["loss"], Value::Null);
    }

    #[test]
    fn several_tests() {
        let mut tests =
            vec![tested(RunId(7), "sgd", 30.0), tested(RunId(8), "momentum", 100.0), tested(RunId(9), "adam", 1e9)];
        tests[2].sliding = true;
        tests[2].found.suggestion = None;
        insta::assert_snapshot!(screen::screen(&tests, Look::PLAIN), @"
           run   point               start  lowest    at  diverges at  step  limit  try
        ●  run7  optimizer=sgd        9.16    5.52  11.5         37.3    35   37.3   12
        ○  run8  optimizer=momentum   9.16    5.30  37.3          121    40   40.2   13
        ×  run9  optimizer=adam       9.16    5.21  1000            –     –      –    –

        loss in nats, by learning rate
             12 ┤
                │
                │                                           ●●●●∗∗∗∗∗∗○
                │                                          ●   │
             10 ┤                                              │
                │∗∗∗∗∗∗┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄│┄┄┄┄┄┄┄┄┄┄┄ ln V 9.21
                │      ∗∗∗∗∗∗∗∗∗∗                              │
                │                ∗∗∗                      ●    │
              8 ┤                   ∗∗∗                        ○
                │                      ∗∗∗                     │
                │┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄∗∗┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄│┄┄┄┄┄┄┄┄┄┄┄ unigram 6.50
              6 ┤                           ∗∗∗∗         ●     │
                │                               ∗∗∗∗∗∗∗∗∗      │
                │                                        ∗∗∗∗∗∗××××××××××××
                │
              4 ┤
                └┬──────────┬───────────┬──────────┬───────────┬─────✗✗✗──┬─
               0.01        0.1          1         10          100       1000
        losses cut off at 11.0; ∗ several runs

        In the sliding layout, each batch is the previous one shifted by one token, so
        the model memorises it. A limit found this way means little, so no rate is
        suggested. First read the text in parallel streams: --set batch.layout=streams

        the lowest suggestion is 12 (run7); to train with it:
          pipeline run experiments/x.toml --set train.optimizer=sgd
        ");
    }
}
