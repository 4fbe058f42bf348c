//! The signals that rules look at, as numbers. A signal that was not measured is `None`, and a check that requires it
//! is not made.

use schemars::JsonSchema;
use serde::Serialize;
use stages::params::Layout;

use super::bounds::Bounds;
use super::facts::{Batches, Facts};
use super::losses::{Course, losses, noise};
use super::statistics::median;
use identity::{Cell, NgramLoss, StepRow};

/// Everything that the rules look at. Losses are in nats per token.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Signals {
    pub steps: usize,
    pub data: Option<Data>,
    /// The loss of a uniform guess over the vocabulary.
    pub even: Option<f64>,
    /// The unigram baseline on the held-out text.
    pub unigram_valid: Option<f64>,
    /// The unigram baseline on train.
    pub unigram_train: Option<f64>,
    /// Whether n-gram baselines were fitted at all.
    pub counted: bool,
    /// How far the best n-gram baseline is below the unigram baseline on held-out text.
    pub order: Option<f64>,
    /// How much the losses of neighbouring steps differ only because of the tokens that the steps read: a standard
    /// deviation, in nats.
    pub noise: Option<f64>,
    pub course: Option<Course>,
    /// The baseline above which the excess of the course is measured: `the unigram baseline`.
    pub beside: &'static str,
    pub held_out: Option<HeldOut>,
    /// The share of steps whose gradient was clipped.
    pub clipped: f64,
    /// The median gradient norm over the last tenth of steps, divided by that over the tenth before the lowest loss.
    pub gradient_growth: Option<f64>,
    pub probes: Option<Probes>,
}

/// The data in the batches.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Data {
    /// The share of a step's positions that were also in the previous step.
    pub overlap: f64,
    /// The number of distinct positions read, as a share of the most that as many tokens could have covered.
    pub novelty: f64,
    pub passes: f64,
    pub tokens: u64,
    pub tokens_per_type: f64,
    /// Steps whose tokens are unusual compared with those of the other steps.
    pub odd: Vec<usize>,
    /// How far the unigram loss of the most unusual step is from the median, in nats.
    pub oddest: f64,
    /// How far the unigram loss of a step must be from the median for the step to be unusual, in nats.
    pub odd_from: f64,
    /// The number of steps that were looked at.
    pub seen: usize,
}

/// Losses on held-out text.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct HeldOut {
    pub lowest: f64,
    pub lowest_at: i64,
    pub last: f64,
    pub last_at: i64,
    /// The greatest rise of the loss above its lowest earlier value.
    pub rise: f64,
    /// How far the last loss is above the one before, if that was measured at most a fifth of the run earlier.
    pub jump: Option<f64>,
    /// How far the last held-out loss is above the training loss of the last steps.
    pub gap: f64,
}

/// Measurements at probed steps, over the last half of these steps unless stated otherwise.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Probes {
    pub count: usize,
    /// The median overshoot ratio: by how much an update lowered the loss, divided by what its gradient predicted.
    pub overshoot: Option<f64>,
    /// The lowest overshoot ratio of all probed steps, and its step.
    pub overshoot_least: Option<f64>,
    pub overshoot_least_at: Option<i64>,
    /// The share of overshoot ratios below 0, which are those of steps that raised their own loss.
    pub overshoot_below: Option<f64>,
    pub update_ratio: Option<f64>,
    pub logit: Option<f64>,
    pub entropy: Option<f64>,
    /// Learning rate times sharpness times the clipping factor, for the optimizer whose step is rate times gradient.
    pub steepness: Option<f64>,
    /// The learning rate of these steps as a share of `train.learning_rate`; a schedule may have lowered it.
    pub rate: Option<f64>,
}

impl Signals {
    /// Measures a run.
    pub(super) fn of(facts: &Facts, bounds: &Bounds) -> Self {
        let losses = losses(facts);
        let on = |split: &str, model: &str| {
            facts.ngrams.iter().find(|it| it.split == split && it.model == model).map(|it| it.loss)
        };
        let steps = losses.len();
        let (unigram_valid, unigram_train) = (on("valid", "unigram"), on("train", "unigram").or(facts.entropy));
        let even = on("train", "uniform").or(facts.even);
        let own = facts.batches.as_ref().ok().and_then(|batches| batches.costs(steps));
        // Without the batches, every step gets the baseline of the whole text.
        let (costs, beside) = match (own, unigram_train, even) {
            (Some(costs), ..) => (costs, "the unigram baseline on the same tokens"),
            (None, Some(cost), _) => (vec![cost; steps], "the unigram baseline"),
            (None, None, Some(cost)) => (vec![cost; steps], "a uniform guess"),
            (None, None, None) => (vec![losses.first().copied().unwrap_or(0.0); steps], "its first loss"),
        };
        let course = Course::of(&losses, &costs, even, bounds);
        Self {
            steps,
            data: facts.batches.as_ref().ok().map(|batches| Data::of(batches, steps as u64)),
            even,
            unigram_valid,
            unigram_train,
            counted: !facts.ngrams.is_empty(),
            order: unigram_valid.and_then(|unigram| Some(unigram - best(&facts.ngrams)?)),
            noise: noise(facts),
            beside,
            held_out: HeldOut::of(facts, course.as_ref()),
            clipped: share(facts.trace.iter().filter_map(|row| row.clipped)),
            gradient_growth: course.as_ref().and_then(|course| growth(facts, course)),
            probes: Probes::of(facts),
            course,
        }
    }
}

/// The loss of the best n-gram baseline that looks at more than one token, on held-out text.
fn best(ngrams: &[NgramLoss]) -> Option<f64> {
    ngrams.iter().filter(|it| it.split == "valid" && it.n > 1).map(|it| it.loss).min_by(f64::total_cmp)
}

impl Data {
    fn of(batches: &Batches, steps: u64) -> Self {
        let Batches { plan, windows, types, surprise } = batches;
        let read = steps * plan.tokens_per_step() * windows;
        let could = read.min(plan.tokens_per_step() * plan.steps_per_epoch()).min(plan.tokens).max(1);
        let covered = plan.covered(steps * windows);
        // A sliding window reads the same tokens again and again, but that does not count as passes over the text.
        let gone_through = if plan.layout == Layout::Sliding { covered } else { read };
        let (odd, oddest, odd_from) = odd(surprise);
        Self {
            overlap: if steps > 1 { plan.overlap(1, *windows) } else { 0.0 },
            novelty: (covered as f64 / could as f64).min(1.0),
            passes: gone_through as f64 / plan.tokens.max(1) as f64,
            tokens: plan.tokens,
            tokens_per_type: plan.tokens as f64 / (*types).max(1) as f64,
            odd,
            oddest,
            odd_from,
            seen: surprise.len(),
        }
    }
}

/// Finds the values that are unlike the others: further from the median than eight robust deviations and than half a
/// nat. Returns their indices, the distance of the farthest value from the median, and the bound of that distance.
fn odd(values: &[f64]) -> (Vec<usize>, f64, f64) {
    let middle = median(values.iter().copied()).unwrap_or(0.0);
    let far = |value: &f64| (value - middle).abs();
    let bound = (8.0 * 1.4826 * median(values.iter().map(far)).unwrap_or(0.0)).max(0.5);
    let odd = values.iter().enumerate().filter(|(_, value)| far(value) > bound).map(|(at, _)| at);
    (odd.collect(), values.iter().map(far).fold(0.0, f64::max), bound)
}

impl HeldOut {
    fn of(facts: &Facts, course: Option<&Course>) -> Option<Self> {
        let mut scores: Vec<(i64, f64)> = facts
            .evaluations
            .iter()
            .filter(|it| it.split == "valid")
            .filter_map(|it| Some((it.step?, it.loss.unwrap_or(f64::INFINITY))))
            .collect();
        scores.dedup_by_key(|(step, _)| *step);
        let (last_at, last) = *scores.last()?;
        let near = |(step, loss): &(i64, f64)| (5 * (last_at - step) <= last_at).then_some(last - loss);
        let jump = scores.iter().rev().nth(1).and_then(near);
        let (mut lowest, mut lowest_at, mut rise) = (f64::INFINITY, 0, 0.0f64);
        for (step, loss) in scores {
            if loss - lowest > rise {
                rise = loss - lowest;
            }
            if loss < lowest {
                (lowest, lowest_at) = (loss, step);
            }
        }
        Some(Self {
            lowest,
            lowest_at,
            last,
            last_at,
            rise,
            jump,
            gap: last - course.map_or(f64::NAN, |course| course.last),
        })
    }
}

impl Probes {
    /// The factor by which `train.learning_rate` could be raised before steps overshoot. They overshoot at 1 / (1 − ρ)
    /// times the rate at which the overshoot ratio ρ was measured.
    pub fn headroom(&self) -> Option<f64> {
        Some(self.rate.unwrap_or(1.0) / (1.0 - self.overshoot?).max(1e-6))
    }

    fn of(facts: &Facts) -> Option<Self> {
        let all = &facts.probes;
        if all.is_empty() {
            return None;
        }
        let late = &all[all.len() / 2..];
        let of = |rows: &[StepRow], what: &dyn Fn(&StepRow) -> Option<f64>| -> Vec<f64> {
            rows.iter().filter_map(what).filter(|value| value.is_finite()).collect()
        };
        let overshoot = of(late, &|row| row.overshoot);
        let least = all.iter().filter_map(|row| Some((row.overshoot?, row.step))).min_by(|a, b| a.0.total_cmp(&b.0));
        let middle = |values: Vec<f64>| median(values.into_iter());
        Some(Self {
            count: all.len(),
            // This is the median, because in a mean one probe of a batch about to explode would outweigh all others.
            overshoot: middle(overshoot.clone()),
            overshoot_least: least.map(|(value, _)| value),
            overshoot_least_at: least.map(|(_, step)| step),
            overshoot_below: (!overshoot.is_empty()).then(|| share(overshoot.iter().map(|value| *value < 0.0))),
            update_ratio: middle(of(late, &|row| row.update_ratio)),
            logit: middle(of(late, &|row| row.logit_max)),
            entropy: middle(of(late, &|row| row.entropy)),
            rate: middle(of(late, &|row| row.learning_rate))
                .zip(facts.learning_rate().filter(|given| *given > 0.0))
                .map(|(rate, given)| rate / given),
            steepness: if steep(facts) {
                middle(of(late, &|row| Some(row.sharpness? * step_size(facts, row)?)))
            } else {
                None
            },
        })
    }
}

/// Whether an update is the learning rate times the gradient.
fn steep(facts: &Facts) -> bool {
    matches!(facts.params.get("train.optimizer"), Some(Cell::Text(rule)) if rule == "sgd")
}

/// The factor applied to a gradient of the mean loss: the rate, times the window for a summed loss, times the clipping
/// factor.
fn step_size(facts: &Facts, row: &StepRow) -> Option<f64> {
    let summed = matches!(facts.params.get("train.loss_scale"), Some(Cell::Text(scale)) if scale == "sum");
    let limit = match facts.params.get("train.clip_norm") {
        Some(Cell::Real(limit)) if row.clipped == Some(true) => limit / row.grad_norm?,
        _ => 1.0,
    };
    let window = match facts.params.get("batch.unroll") {
        Some(Cell::Integer(unroll)) if summed => *unroll as f64,
        _ => 1.0,
    };
    Some(row.learning_rate? * window * limit)
}

fn growth(facts: &Facts, course: &Course) -> Option<f64> {
    let norms =
        |from: usize, to: usize| median(facts.trace[from..to].iter().map(|row| row.grad_norm.unwrap_or(f64::INFINITY)));
    let tenth = (facts.trace.len() / 10).max(1);
    let before = norms((course.lowest_at + 1).saturating_sub(tenth), course.lowest_at + 1)?;
    Some(norms(facts.trace.len() - tenth, facts.trace.len())? / before)
}

fn share(them: impl Iterator<Item = bool>) -> f64 {
    let (hits, whole) = them.fold((0, 0), |(hits, whole), it| (hits + u64::from(it), whole + 1));
    hits as f64 / whole.max(1) as f64
}
