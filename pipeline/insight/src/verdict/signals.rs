//! What rules look at, as numbers. What was not measured is `None`, and a check that wants it is not made.

use schemars::JsonSchema;
use serde::Serialize;
use stages::params::Layout;

use super::bounds::Bounds;
use super::facts::{Batches, Facts};
use super::losses::{Course, losses, noise};
use super::statistics::median;
use identity::{Cell, NgramLoss, StepRow};

/// Everything the rules look at. Losses in nats a token.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Signals {
    pub steps: usize,
    pub data: Option<Data>,
    /// What an even guess over the vocabulary costs.
    pub even: Option<f64>,
    /// What knowing the frequencies of types costs, on the held-out text and on train.
    pub unigram_valid: Option<f64>,
    pub unigram_train: Option<f64>,
    /// Whether models that count were fitted at all.
    pub counted: bool,
    /// What the best model that counts n-grams takes off the frequencies' loss on held-out text.
    pub order: Option<f64>,
    /// What the loss of a step differs from its neighbours' by, for its words alone: a standard deviation, in nats.
    pub noise: Option<f64>,
    pub course: Option<Course>,
    /// What its excess is above.
    pub beside: &'static str,
    pub held_out: Option<HeldOut>,
    /// Share of steps whose gradient was clipped.
    pub clipped: f64,
    /// The median of the gradient's norm over the last tenth of steps, over that of the tenth before the lowest loss.
    pub gradient_growth: Option<f64>,
    pub probes: Option<Probes>,
}

/// What the batches are made of.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Data {
    /// The share of a step's positions that the step before held too.
    pub overlap: f64,
    /// Distinct positions over positions read, within one pass at most.
    pub novelty: f64,
    pub passes: f64,
    pub tokens: u64,
    pub tokens_per_type: f64,
    /// Steps whose tokens are not like those of other steps, how far the farthest is off, and from where on that is odd, in
    /// nats.
    pub odd: Vec<usize>,
    pub oddest: f64,
    pub odd_from: f64,
    /// Steps that were looked at.
    pub seen: usize,
}

/// Losses on held-out text, by step.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct HeldOut {
    pub lowest: f64,
    pub lowest_at: i64,
    pub last: f64,
    pub last_at: i64,
    /// The most that it rose above its lowest before.
    pub rise: f64,
    /// What the last score lies above the one before, where that is no more than a fifth of the run behind.
    pub jump: Option<f64>,
    /// Above the training loss of the last steps.
    pub gap: f64,
}

/// What was measured at probed steps, over the last half of them unless it says otherwise.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Probes {
    pub count: usize,
    /// The median of what updates took off the loss over what their gradients promised.
    pub overshoot: Option<f64>,
    /// The least, over all.
    pub overshoot_least: Option<f64>,
    pub overshoot_least_at: Option<i64>,
    /// The share that is below 0: steps that raised their own loss.
    pub overshoot_below: Option<f64>,
    pub update_ratio: Option<f64>,
    pub logit: Option<f64>,
    pub entropy: Option<f64>,
    /// Rate times sharpness times the factor of clipping, for rules whose steps are gradients times the rate.
    pub steepness: Option<f64>,
    /// The rate of these steps as a share of the one that the run was given: a schedule may have lowered it.
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
        // Where the batches are not at hand, every step is one of the text as a whole.
        let (costs, beside) = match (own, unigram_train, even) {
            (Some(costs), ..) => (costs, "word frequencies on the same words"),
            (None, Some(cost), _) => (vec![cost; steps], "word frequencies"),
            (None, None, Some(cost)) => (vec![cost; steps], "an even guess"),
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

/// The loss of the best model that looks at more than one token, on held-out text.
fn best(ngrams: &[NgramLoss]) -> Option<f64> {
    ngrams.iter().filter(|it| it.split == "valid" && it.n > 1).map(|it| it.loss).min_by(f64::total_cmp)
}

impl Data {
    fn of(batches: &Batches, steps: u64) -> Self {
        let Batches { plan, windows, types, surprise } = batches;
        let read = steps * plan.tokens_per_step() * windows;
        let could = read.min(plan.tokens_per_step() * plan.steps_per_epoch()).min(plan.tokens).max(1);
        let covered = plan.covered(steps * windows);
        // A window that slides reads the same words again and again, and has not gone through the text for that.
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

/// Values that are not like the others: further from their median than eight robust deviations and than half a nat. Which
/// these are, how far the farthest is off, and that bound.
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
    /// How many times the rate that the run was given would be the one from which on steps overshoot: 1 / (1 − ρ) times the
    /// rate at which ρ was measured.
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
            // The median: one probe on a batch that was about to explode would outweigh all others.
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

/// Whether an update is the rate times the gradient.
fn steep(facts: &Facts) -> bool {
    matches!(facts.params.get("train.optimizer"), Some(Cell::Text(rule)) if rule == "sgd")
}

/// What a gradient of the mean loss is multiplied by: the rate, times the window for a summed loss, times what clipping
/// leaves of it.
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
