//! The experiments of a range test: the user's experiment with a rising learning rate.
//!
//! A test is expressed as overrides, so that it is an ordinary run whose command can be typed.

use std::path::Path;

use stages::params::Optimizer;

use crate::args::LrRangeArgs;
use experiment::{Experiment, Point, Stages};
use session::failure::Failure;
use session::places::Paths;
use view::lr_range::{RateSpan, TestedPoint};

/// Tests over the same span of rates: the points of one study.
#[derive(Debug)]
pub struct TestPlan {
    pub experiment: Experiment,
    pub span: RateSpan,
    pub points: Vec<Asking>,
}

/// A point to test.
#[derive(Debug)]
pub struct Asking {
    /// The overrides that distinguish the point from the others.
    pub pins: Vec<String>,
    pub point: TestedPoint,
}

/// Keys that the test sets, and the flag to use instead.
const OWN: &[(&str, &str)] = &[
    ("train.learning_rate", "--from and --to set the rates"),
    ("train.schedule", "--from and --to set the rates"),
    ("train.warmup", "--from sets the first rate"),
    ("train.steps", "--steps sets the length"),
    ("train.epochs", "--steps sets the length"),
];

/// The studies to run: one if every point has the same rates, otherwise one per point.
pub fn asked(args: &LrRangeArgs, paths: &Paths, here: &Path) -> Result<Vec<TestPlan>, Failure> {
    for set in &args.set {
        let key = set.split('=').next().unwrap_or("").trim();
        let inside = |own: &str| key == own || key.strip_prefix(own).is_some_and(|rest| rest.starts_with('.'));
        if let Some((_, instead)) = OWN.iter().find(|(own, _)| inside(own)) {
            let message = format!("--set '{set}' is not allowed here: `pipeline lr-range` sets {key} itself");
            return Err(Failure::input(message, *instead));
        }
    }
    let plain = Experiment::load(&args.experiment, &args.set, here, paths.root())?;
    let load = |sets: Vec<String>| {
        let sets = [&args.set[..], &sets].concat();
        Experiment::of_text(&args.experiment, plain.text.clone(), &sets, here, paths.root())
    };
    let aside = aside(&plain, args.steps);
    // The draft has a fixed learning rate, so that a swept rate does not multiply the points.
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

/// The overrides that disable what a test does not need.
fn aside(plain: &Experiment, steps: u32) -> Vec<String> {
    let mut sets = vec![
        format!("name=\"{}_lr_range\"", plain.name),
        "train.warmup=0".to_owned(),
        format!("train.steps={steps}"),
        "train.checkpoints={ every = 0, keep = { last = 1 } }".to_owned(),
        // Steps after the first NaN or Inf say nothing.
        "train.on_nonfinite={ stop_after = 1 }".to_owned(),
    ];
    let has = |is_there: &dyn Fn(&Stages) -> bool| plain.points.iter().any(|point| is_there(&point.stages));
    if has(&|stages| stages.train.read.early_stopping.is_some()) {
        // An override can't remove early stopping, but the largest interval is longer than any test.
        sets.push(format!("train.early_stopping={{ every = {} }}", 1u64 << 40));
    }
    if has(&|stages| stages.evaluate.is_some()) {
        sets.extend(["evaluate.valid=none".to_owned(), "evaluate.test=none".to_owned()]);
    }
    if has(&|stages| stages.sample.is_some()) {
        sets.push("sample.at=none".to_owned());
        // A sweep of sampling keys must not multiply the tests.
        let pins = plain.points.first().map(|point| plain.pins(point)).unwrap_or_default();
        sets.extend(pins.into_iter().filter(|pin| pin.starts_with("sample.") && !pin.starts_with("sample.at=")));
    }
    sets
}

/// The overrides for a rising learning rate.
fn rising(span: RateSpan) -> Vec<String> {
    let RateSpan { from, to } = span;
    vec![format!("train.learning_rate={from:?}"), format!("train.schedule={{ kind = \"range\", to = {to:?} }}")]
}

/// The rates of a test: a wide range around those at which this optimizer usually diverges, unless the user sets them.
fn span(args: &LrRangeArgs, asking: &Asking) -> Result<RateSpan, Failure> {
    let TestedPoint { train, batch, .. } = &asking.point;
    // The gradient of a summed loss is larger by this factor.
    let scale = train.loss_scale.factor(batch.unroll);
    let (from, to) = match train.optimizer {
        Optimizer::Sgd => (1e-2 / scale, 1e3 / scale),
        // Momentum multiplies a constant gradient by 1 / (1 − momentum).
        Optimizer::Momentum => (1e-2 * (1.0 - train.momentum) / scale, 1e3 * (1.0 - train.momentum) / scale),
        Optimizer::Adagrad | Optimizer::Rmsprop | Optimizer::Adam | Optimizer::Adamw => (1e-5, 1e1),
    };
    // Drops the rounding error of the product.
    let tidy = |rate: f64| format!("{rate:.6e}").parse().unwrap_or(rate);
    let span = RateSpan { from: args.from.unwrap_or(tidy(from)), to: args.to.unwrap_or(tidy(to)) };
    if span.from >= span.to {
        let message = format!("--from {:?} --to {:?}: the rate must rise", span.from, span.to);
        return Err(Failure::input(message, "--from 0.001 --to 10"));
    }
    Ok(span)
}
