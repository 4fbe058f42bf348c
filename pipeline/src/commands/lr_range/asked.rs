//! The experiments of a range test: the user's own, with a rate that rises.
//!
//! All of it is overrides, so that a test is a run like any other, and its command can be typed.

use std::path::Path;

use stages::params::Optimizer;

use crate::args::LrRangeArgs;
use experiment::{Experiment, Point, Stages};
use session::failure::Failure;
use session::places::Paths;
use view::lr_range::{RateSpan, TestedPoint};

/// Tests over the same rates: the points of one study.
#[derive(Debug)]
pub struct TestPlan {
    pub experiment: Experiment,
    pub span: RateSpan,
    pub points: Vec<Asking>,
}

/// The point that a test is of.
#[derive(Debug)]
pub struct Asking {
    /// The overrides that tell it from the others.
    pub pins: Vec<String>,
    pub point: TestedPoint,
}

/// Keys that the test sets, and what sets them instead.
const OWN: &[(&str, &str)] = &[
    ("train.learning_rate", "--from and --to choose the rates"),
    ("train.schedule", "--from and --to choose the rates"),
    ("train.warmup", "--from chooses the first rate"),
    ("train.steps", "--steps chooses the length"),
    ("train.epochs", "--steps chooses the length"),
];

/// What is to be run: one study where every point has the same rates, else one for each point.
pub fn asked(args: &LrRangeArgs, paths: &Paths, here: &Path) -> Result<Vec<TestPlan>, Failure> {
    for set in &args.set {
        let key = set.split('=').next().unwrap_or("").trim();
        let inside = |own: &str| key == own || key.strip_prefix(own).is_some_and(|rest| rest.starts_with('.'));
        if let Some((_, instead)) = OWN.iter().find(|(own, _)| inside(own)) {
            return Err(Failure::input(format!("--set '{set}': pipeline lr-range sets {key} itself"), *instead));
        }
    }
    let plain = Experiment::load(&args.experiment, &args.set, here, paths.root())?;
    let load = |sets: Vec<String>| {
        let sets = [&args.set[..], &sets].concat();
        Experiment::of_text(&args.experiment, plain.text.clone(), &sets, here, paths.root())
    };
    let aside = aside(&plain, args.steps);
    // With some rate, so that a swept one tells no points apart.
    let draft = load([&aside[..], &["train.learning_rate=1.0".to_owned()]].concat())?;
    let mut tests: Vec<(RateSpan, Asking)> = Vec::new();
    for point in &draft.points {
        let asking = asking(&draft, point)?;
        tests.push((span(args, &asking)?, asking));
    }
    let sets = |pins: &[String], span: RateSpan| [pins, &aside, &rising(span)].concat();
    if tests.windows(2).all(|pair| pair[0].0 == pair[1].0) {
        let span = tests[0].0;
        let points = tests.into_iter().map(|(_, asking)| asking).collect();
        return Ok(vec![TestPlan { experiment: load(sets(&[], span))?, span, points }]);
    }
    let alone = |(span, asking): (RateSpan, Asking)| {
        Ok(TestPlan { experiment: load(sets(&asking.pins, span))?, span, points: vec![asking] })
    };
    tests.into_iter().map(alone).collect()
}

fn asking(draft: &Experiment, point: &Point) -> Result<Asking, Failure> {
    Ok(Asking {
        pins: draft.pins(point),
        point: TestedPoint {
            swept: point.swept.iter().cloned().collect(),
            train: point.stages.train.read.clone(),
            batch: point.stages.batch.read.clone(),
        },
    })
}

/// The overrides that put aside what is no part of a test.
fn aside(plain: &Experiment, steps: u32) -> Vec<String> {
    let mut sets = vec![
        format!("name=\"{}_lr_range\"", plain.name),
        "train.warmup=0".to_owned(),
        format!("train.steps={steps}"),
        "train.checkpoints={ every = 0, keep = { last = 1 } }".to_owned(),
        // A loss that is no number is a break: what comes after says nothing.
        "train.on_nonfinite={ stop_after = 1 }".to_owned(),
    ];
    let has = |is_there: &dyn Fn(&Stages) -> bool| plain.points.iter().any(|point| is_there(&point.stages));
    if has(&|stages| stages.train.read.early_stopping.is_some()) {
        // It can't be taken away, but the longest time between two looks is longer than any test.
        sets.push(format!("train.early_stopping={{ every = {} }}", 1u64 << 40));
    }
    if has(&|stages| stages.evaluate.is_some()) {
        sets.extend(["evaluate.valid=none".to_owned(), "evaluate.test=none".to_owned()]);
    }
    if has(&|stages| stages.sample.is_some()) {
        sets.push("sample.at=none".to_owned());
        // What a text is drawn by makes no other test.
        let pins = plain.points.first().map(|point| plain.pins(point)).unwrap_or_default();
        sets.extend(pins.into_iter().filter(|pin| pin.starts_with("sample.") && !pin.starts_with("sample.at=")));
    }
    sets
}

/// The overrides that make the rate rise.
fn rising(span: RateSpan) -> Vec<String> {
    let RateSpan { from, to } = span;
    vec![format!("train.learning_rate={from:?}"), format!("train.schedule={{ kind = \"range\", to = {to:?} }}")]
}

/// The rates that a test goes through: five decades about where trainings of this optimizer break, or as the user says.
fn span(args: &LrRangeArgs, asking: &Asking) -> Result<RateSpan, Failure> {
    let TestedPoint { train, batch, .. } = &asking.point;
    // Of a summed loss the gradient is as many times larger.
    let scale = train.loss_scale.factor(batch.unroll);
    let (from, to) = match train.optimizer {
        Optimizer::Sgd => (1e-2 / scale, 1e3 / scale),
        // A step adds up to 1 / (1 − momentum) of them.
        Optimizer::Momentum => (1e-2 * (1.0 - train.momentum) / scale, 1e3 * (1.0 - train.momentum) / scale),
        Optimizer::Adagrad | Optimizer::Rmsprop | Optimizer::Adam | Optimizer::Adamw => (1e-5, 1e1),
    };
    // Without the last digits of a product.
    let tidy = |rate: f64| format!("{rate:.6e}").parse().unwrap_or(rate);
    let span = RateSpan { from: args.from.unwrap_or(tidy(from)), to: args.to.unwrap_or(tidy(to)) };
    if span.from >= span.to {
        let message = format!("the rates would go from {:?} to {:?}; allowed: upwards", span.from, span.to);
        return Err(Failure::input(message, "--from 0.001 --to 10"));
    }
    Ok(span)
}
