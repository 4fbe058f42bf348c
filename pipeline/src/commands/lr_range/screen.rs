//! The screen of `pipeline lr-range`.

use crate::args::STEPS;
use crate::ui::axis::{Frame, Scale};
use crate::ui::format;
use crate::ui::look::{Ink, Look};
use crate::ui::overlay::{SEVERAL, mark};
use crate::ui::table::{Table, left, right};
use crate::ui::{curve, overlay};
use chart::Baseline;
use identity::Bucket;
use insight::range::{RangeOutcome, RangePoint};
use view::lr_range::{CurveStep, RangeTest};

const TRY: char = '▲';
const LOWEST: char = '◆';
const BREAKS: char = '✗';

/// The maximum number of curves in one plot.
const MOST_CURVES: usize = 12;

/// The whole screen.
pub fn screen(tests: &[RangeTest], look: Look) -> String {
    let parts = match tests {
        [test] => [header(test, look), alone(test, look), String::new(), conclusion(test, look)],
        _ => [table(tests, look), together(tests, look), remarks(tests, look), lowest(tests, look)],
    };
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

fn header(test: &RangeTest, look: Look) -> String {
    let optimizer = format!("{:?}", test.optimizer).to_lowercase();
    let (from, to) = (rate(test.from), rate(test.to));
    let said = format!("{optimizer}, learning rate from {from} to {to} in {} steps", test.steps);
    format!("{}  {said}\n", look.heading(&test.run.to_string()))
}

/// The plot of a single test, with a legend.
fn alone(test: &RangeTest, look: Look) -> String {
    let (runs, cut) = buckets(&[test]);
    let Some(mut frame) = frame(&[test], &runs, curve::ROWS, look) else { return String::new() };
    let found = &test.found;
    let mut legend = Vec::new();
    let mut point = |place: f64, mark: char, ink: Ink, said: String| {
        frame.point_at(place, mark, ink);
        legend.push((format!("{mark} {said}"), ink));
    };
    if let Some(suggestion) = found.suggestion {
        let share = (suggestion / test.from).ln() / (test.to / test.from).ln();
        point(share * (test.steps - 1) as f64, TRY, Ink::Good, format!("try {}", rate(suggestion)));
    }
    if let Some(best) = found.best.filter(|_| found.outcome != RangeOutcome::NeverFell) {
        point(best.step as f64, LOWEST, Ink::Plain, format!("lowest, {}", loss(best.loss)));
    }
    if let Some(breaks) = found.breaks {
        point(breaks.step as f64, BREAKS, Ink::Bad, format!("diverges at {}", rate(breaks.learning_rate)));
    }
    legend.extend(cut.map(|cut| (format!("(losses cut off at {cut:.1})"), Ink::Dim)));
    curve::draw(&mut frame, &runs[0], Ink::Series(0));
    format!("{}{}", frame.render(), beside(&legend, look))
}

/// Legend entries side by side, as many as fit on a line.
fn beside(all: &[(String, Ink)], look: Look) -> String {
    let (mut text, mut used) = (String::new(), 0);
    for (words, ink) in all {
        let width = words.chars().count();
        let gap = match used {
            0 => "",
            _ if used + 3 + width > look.width => "\n",
            _ => "   ",
        };
        used = if gap == "   " { used + 3 + width } else { width };
        text.push_str(&format!("{gap}{}", look.paint(*ink, words)));
    }
    if text.is_empty() { text } else { format!("{text}\n") }
}

/// One plot per span of rates.
fn together(tests: &[RangeTest], look: Look) -> String {
    let spans = |tests: &[RangeTest]| -> Vec<(f64, f64)> {
        let mut spans: Vec<(f64, f64)> = Vec::new();
        tests.iter().map(|test| (test.from, test.to)).for_each(|span| {
            if !spans.contains(&span) {
                spans.push(span);
            }
        });
        spans
    };
    let shown = &tests[..tests.len().min(MOST_CURVES)];
    let mut pictures = Vec::new();
    for span in spans(shown) {
        // A run keeps its mark in every plot. In the plots of other spans it has no steps.
        let here = |test: &&RangeTest| (test.from, test.to) == span;
        let within: Vec<&RangeTest> = shown.iter().filter(here).collect();
        let (drawn, cut) = buckets(&within);
        let Some(frame) = frame(&within, &drawn, overlay::ROWS, look) else { continue };
        let mut drawn = drawn.into_iter();
        let runs: Vec<Vec<Bucket>> =
            shown.iter().map(|test| if here(&test) { drawn.next().unwrap_or_default() } else { Vec::new() }).collect();
        let (mut text, met) = overlay::draw(frame, &runs);
        let cut = cut.map(|cut| format!("losses cut off at {cut:.1}"));
        let met = met.then(|| format!("{SEVERAL} several runs"));
        let notes: Vec<String> = cut.into_iter().chain(met).collect();
        if !notes.is_empty() {
            text.push_str(&format!("{}\n", look.paint(Ink::Dim, &notes.join("; "))));
        }
        pictures.push(text);
    }
    pictures.join("\n")
}

fn frame<'a>(tests: &[&'a RangeTest], runs: &[Vec<Bucket>], rows: usize, look: Look) -> Option<Frame<'a>> {
    let test = tests.first()?;
    let same = tests.iter().all(|other| other.baselines == test.baselines);
    let baselines: &[Baseline] = if same { &test.baselines } else { &[] };
    let scale = Scale::fit(runs.iter().flatten(), baselines)?;
    Some(Frame::new(look, scale, baselines, test.steps, rows).over_rates(test.from, test.to))
}

/// The losses of the tests, one step per bucket, and the value at which they are cut off: diverged losses would flatten
/// the rest of the curve to a line.
fn buckets(tests: &[&RangeTest]) -> (Vec<Vec<Bucket>>, Option<f64>) {
    let heights = tests.iter().flat_map(|test| {
        let best = test.found.best.and_then(|best| best.loss);
        [test.found.start.map(|loss| 1.2 * loss), best.map(|loss| 1.8 * loss)]
    });
    let top = heights.flatten().fold(0.0, f64::max);
    let top = if top > 0.0 { top } else { f64::INFINITY };
    let mut cut = false;
    let mut bucket = |step: &CurveStep| {
        let shown = step.loss.map(|loss| loss.min(top));
        cut |= shown != step.loss;
        Bucket {
            first: step.step,
            steps: 1,
            finite: i64::from(shown.is_some()),
            minimum: shown,
            maximum: shown,
            sum: shown.unwrap_or(0.0),
            first_nonfinite: shown.is_none().then_some(step.step),
        }
    };
    let runs = tests.iter().map(|test| test.curve.iter().map(&mut bucket).collect()).collect();
    (runs, cut.then_some(top))
}

/// Whether there is advice to give. With sliding batches no rate is suggested, but a loss that never fell is reported.
fn has_verdict(test: &RangeTest) -> bool {
    !test.sliding || test.found.outcome == RangeOutcome::NeverFell
}

/// The conclusion of a test in words, ending with what to do.
fn conclusion(test: &RangeTest, look: Look) -> String {
    let mut said = vec![story(test)];
    said.extend(scales(test));
    said.extend(test.sliding.then(|| SLIDING.to_owned()));
    let mut text = wrapped(&said.join(". "), look);
    if !has_verdict(test) {
        return text;
    }
    let (verdict, command) = (verdict(test), test.command.as_deref().unwrap_or(""));
    text.push_str(&format!("\n{}", with_command(&verdict, command, look)));
    text
}

const SLIDING: &str = "In the sliding layout, each batch is the previous one shifted by one token, so the model \
                       memorises it. A limit found this way means little, so no rate is suggested. First read the \
                       text in parallel streams: --set batch.layout=streams";

/// The course of the loss.
fn story(test: &RangeTest) -> String {
    let found = &test.found;
    let at = |point: Option<RangePoint>| {
        point.map_or(String::new(), |it| format!(" at a rate of {} (step {})", rate(it.learning_rate), it.step))
    };
    let (start, best) = (loss(found.start), loss(found.best.and_then(|best| best.loss)));
    match found.outcome {
        RangeOutcome::Broke | RangeOutcome::NeverBroke => {
            let fastest =
                found.steepest.map_or(String::new(), |point| format!(", fastest around {}", rate(point.learning_rate)));
            format!("The loss fell from {start} to {best}{}{fastest}", at(found.best))
        }
        RangeOutcome::BrokeAtOnce => {
            format!("The loss diverged{} without first falling from {start}", at(found.breaks))
        }
        RangeOutcome::NeverFell => {
            format!("The loss neither fell nor diverged: it started at {start}, and the lowest was {best}")
        }
    }
}

/// A test of fewer steps says little about the course of a loss.
const FEW: i64 = 20;

/// The advice, in one line.
fn verdict(test: &RangeTest) -> String {
    let found = &test.found;
    let breaks = found.breaks.zip(found.limit).map_or(String::new(), |(point, limit)| {
        let longer = format!(", and in longer training at about {}", rate(limit));
        let longer = if limit < point.learning_rate { longer } else { String::new() };
        format!("the loss diverges at a rate of {} (step {}){longer}", rate(point.learning_rate), point.step)
    });
    match (found.outcome, found.suggestion) {
        (RangeOutcome::Broke, Some(suggestion)) => format!("{breaks}; try {}", rate(suggestion)),
        (RangeOutcome::NeverBroke, Some(suggestion)) => format!(
            "the loss did not diverge up to a rate of {}; extend the test with --to {}, or try {}",
            rate(test.to),
            rate(1e3 * test.to),
            rate(suggestion)
        ),
        (RangeOutcome::NeverFell | RangeOutcome::BrokeAtOnce, _) if test.steps < FEW => {
            format!("{} steps are too few to judge the loss; use --steps {STEPS} or more", test.steps)
        }
        (RangeOutcome::NeverFell, _) => format!(
            "the loss did not fall up to a rate of {}; try --to {}, or check the data with `pipeline show {} --step 0`",
            rate(test.to),
            rate(1e3 * test.to),
            test.run
        ),
        _ => format!(
            "{breaks}, too early to suggest a rate; start lower with --from {}, or check the data and the initial \
             weights with `pipeline show {} --step 0`",
            rate(test.from / 1e3),
            test.run
        ),
    }
}

/// The suggestion for a mean and for a summed loss, where these differ.
fn scales(test: &RangeTest) -> Option<String> {
    let scale = test.scale?;
    let suggestion = test.found.suggestion?;
    let unroll = scale.unroll as f64;
    let (mean, sum) = if scale.summed { (suggestion * unroll, suggestion) } else { (suggestion, suggestion / unroll) };
    let (mean, sum) = (rate(mean), rate(sum));
    Some(format!("For a mean loss, try {mean}; for a loss summed over {} steps, try {sum}", scale.unroll))
}

/// One row per test.
fn table(tests: &[RangeTest], look: Look) -> String {
    let mut heads =
        vec![left(""), left("run"), left("point"), right("start").spare(2), right("lowest"), right("at").spare(3)];
    heads.extend([right("diverges at"), right("step").spare(1), right("limit"), right("try")]);
    let mut table = Table::new(heads);
    for (place, test) in tests.iter().enumerate() {
        let found = &test.found;
        let of = |point: Option<RangePoint>, say: &dyn Fn(RangePoint) -> String| {
            point.map_or_else(|| (format::NOTHING.to_owned(), Ink::Dim), |point| (say(point), Ink::Plain))
        };
        let sign = if place < MOST_CURVES { mark(place).to_string() } else { String::new() };
        table.row(vec![
            (sign, Ink::Series(place)),
            (test.run.to_string(), Ink::Plain),
            (format::point(&test.point), Ink::Plain),
            (loss(found.start), Ink::Plain),
            of(found.best, &|best| loss(best.loss)),
            of(found.best, &|best| rate(best.learning_rate)),
            of(found.breaks, &|breaks| rate(breaks.learning_rate)),
            of(found.breaks, &|breaks| breaks.step.to_string()),
            found.limit.map_or((format::NOTHING.to_owned(), Ink::Dim), |limit| (rate(limit), Ink::Plain)),
            found.suggestion.map_or((format::NOTHING.to_owned(), Ink::Dim), |found| (rate(found), Ink::Good)),
        ]);
    }
    table.render(look).0
}

/// Remarks on those of several tests that have no clear suggestion.
fn remarks(tests: &[RangeTest], look: Look) -> String {
    let mut text = String::new();
    for test in tests.iter().filter(|test| test.found.outcome != RangeOutcome::Broke && has_verdict(test)) {
        text.push_str(&wrapped(&format!("{}: {}", test.run, verdict(test)), look));
    }
    if tests.iter().any(|test| test.sliding) {
        text.push_str(&wrapped(SLIDING, look));
    }
    text
}

/// The lowest suggestion, with its command.
fn lowest(tests: &[RangeTest], look: Look) -> String {
    let suggestions = tests.iter().filter_map(|test| Some((test, test.found.suggestion?)));
    let Some((test, suggestion)) = suggestions.min_by(|a, b| a.1.total_cmp(&b.1)) else { return String::new() };
    let said = format!("the lowest suggestion is {} ({}); to train with it", rate(suggestion), test.run);
    with_command(&said, test.command.as_deref().unwrap_or(""), look)
}

/// A sentence and a command on one line or, if that is too long, on two: a command is never wrapped.
fn with_command(said: &str, command: &str, look: Look) -> String {
    if command.is_empty() {
        return wrapped(said, look);
    }
    let line = format!("{said}: {command}");
    if line.chars().count() <= look.width {
        format!("{line}\n")
    } else {
        format!("{}  {command}\n", wrapped(&format!("{said}:"), look))
    }
}

fn wrapped(text: &str, look: Look) -> String {
    format::wrap(text, look.width).iter().map(|line| format!("{line}\n")).collect()
}

fn loss(loss: Option<f64>) -> String {
    loss.map_or("not finite".to_owned(), |loss| format!("{loss:.2}"))
}

/// A rate to three digits, as a user would type it.
fn rate(rate: f64) -> String {
    let short: f64 = format!("{rate:.2e}").parse().unwrap_or(rate);
    if (1e-3..1e5).contains(&short) { short.to_string() } else { format!("{short:e}") }
}
