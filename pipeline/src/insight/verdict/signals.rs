//! What rules look at, as numbers. What was not measured is `None`, and a check that wants it is not made.

use serde::Serialize;

use super::{Batches, Facts};
use crate::record::read::{Cell, NgramLoss, StepRow};

/// Steps of a mean that stands for the loss at a step: a single batch says little.
pub const MEAN: usize = 10;

/// Steps of a mean that stands for what has risen.
pub const FEW: usize = 5;

/// Everything the rules look at. Losses in nats a token.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    pub held_out: Option<HeldOut>,
    /// Share of steps whose gradient was clipped.
    pub clipped: f64,
    /// The median of the gradient's norm over the last tenth of steps, over that of the tenth before the lowest loss.
    pub gradient_growth: Option<f64>,
    pub probes: Option<Probes>,
}

/// What the batches are made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
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

/// Where the loss went. Means are those of ten steps, the last of which names them; what is not finite counts as infinite.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Course {
    pub first: f64,
    /// The median of the last tenth of steps (at least ten).
    pub last: f64,
    /// The lowest mean, and where.
    pub lowest: f64,
    pub lowest_at: usize,
    /// The most that the mean of five steps rose above the lowest mean of ten before them.
    pub rise: f64,
    /// Where that lowest was, what it was, and where the rise was highest.
    pub rise_from: usize,
    pub rise_low: f64,
    pub peak_at: usize,
    /// What the last tenth of steps cost above what frequencies alone make of their words, in the median; and by how much less
    /// that is in the last fifth than in the fifth before.
    pub excess: f64,
    pub falling: f64,
    pub nonfinite: usize,
    pub first_nonfinite: Option<usize>,
    /// Steps whose loss stands out from those around it: more than eight robust deviations above their median.
    pub spikes: Vec<usize>,
}

/// Losses on held-out text, by step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeldOut {
    pub lowest: f64,
    pub lowest_at: i64,
    pub last: f64,
    pub last_at: i64,
    /// The most that it rose above its lowest before, the untouched model aside.
    pub rise: f64,
    /// Above the training loss of the last steps.
    pub gap: f64,
}

/// What was measured at probed steps, over the last half of them unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Probes {
    pub count: usize,
    /// Means of what updates took off the loss over what their gradients promised.
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
    /// The rate of these steps as a share of the highest of the run: a schedule may have lowered it.
    pub rate: Option<f64>,
}

impl Signals {
    /// Measures a run.
    pub fn of(facts: &Facts) -> Self {
        let losses: Vec<f64> = facts.trace.iter().map(|row| row.loss.unwrap_or(f64::INFINITY)).collect();
        let on = |split: &str, model: &str| {
            facts.ngrams.iter().find(|it| it.split == split && it.model == model).map(|it| it.loss)
        };
        let steps = losses.len();
        let (unigram_valid, unigram_train) = (on("valid", "unigram"), on("train", "unigram").or(facts.entropy));
        let even = on("train", "uniform").or(facts.even);
        // Where the batches are not at hand, every step is one of the text as a whole.
        let costs = facts
            .batches
            .as_ref()
            .ok()
            .and_then(|batches| batches.costs(steps))
            .unwrap_or_else(|| vec![unigram_train.or(even).or(losses.first().copied()).unwrap_or(0.0); steps]);
        let course = Course::of(&losses, &costs);
        Self {
            steps,
            data: facts.batches.as_ref().ok().map(|batches| Data::of(batches, steps as u64)),
            even,
            unigram_valid,
            unigram_train,
            counted: !facts.ngrams.is_empty(),
            order: unigram_valid.and_then(|unigram| Some(unigram - best(&facts.ngrams)?)),
            noise: noise(facts, &losses),
            held_out: HeldOut::of(facts, course.as_ref()),
            clipped: share(facts.trace.iter().map(|row| row.clipped)),
            gradient_growth: course.as_ref().and_then(|course| growth(facts, course)),
            probes: Probes::of(facts),
            course,
        }
    }
}

/// The robust deviation of what steps' tokens cost by frequencies alone, which no training moves; or of what losses do from
/// one step to the next, where the text is not at hand.
fn noise(facts: &Facts, losses: &[f64]) -> Option<f64> {
    let spread = |values: Vec<f64>| {
        let middle = median(values.iter().copied())?;
        Some(1.4826 * median(values.iter().map(|value| (value - middle).abs()))?)
    };
    match &facts.batches {
        Ok(batches) => spread(batches.surprise.clone()),
        Err(_) => {
            let steps = losses.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| step.is_finite());
            spread(steps.collect()).map(|deviation| deviation / std::f64::consts::SQRT_2)
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
        let could = read.min(plan.tokens_per_step() * plan.steps_per_epoch()).max(1);
        let (odd, oddest, odd_from) = odd(surprise);
        Self {
            overlap: if steps > 1 { plan.overlap(1, *windows) } else { 0.0 },
            novelty: (plan.covered(steps * windows) as f64 / could as f64).min(1.0),
            passes: read as f64 / plan.tokens.max(1) as f64,
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

impl Course {
    /// Of at least one loss; `costs` are what frequencies alone make of the words of the same steps.
    pub fn of(losses: &[f64], costs: &[f64]) -> Option<Self> {
        let first = *losses.first()?;
        let means = means(losses);
        let tail = (losses.len() / 10).max(MEAN).min(losses.len());
        let fifth = (losses.len() / 5).max(1);
        let (end, start) = (losses.len() - fifth, losses.len().saturating_sub(2 * fifth));
        let (lowest_at, lowest) = lowest(&means);
        let (mut rise, mut rise_from, mut rise_low, mut peak_at) = (0.0, 0, first, 0);
        let (mut before, mut before_at) = (f64::INFINITY, 0);
        for at in FEW..losses.len() {
            // What a few steps rise above is what went before all of them.
            if means[at - FEW] < before {
                (before, before_at) = (means[at - FEW], at - FEW);
            }
            let now = losses[at + 1 - FEW..=at].iter().sum::<f64>() / FEW as f64;
            if now - before > rise {
                (rise, rise_from, rise_low, peak_at) = (now - before, before_at, before, at);
            }
        }
        let middle = |losses: &[f64]| median(losses.iter().copied()).unwrap_or(f64::INFINITY);
        let excess: Vec<f64> = losses.iter().zip(costs).map(|(loss, cost)| loss - cost).collect();
        Some(Self {
            first,
            last: middle(&losses[losses.len() - tail..]),
            lowest,
            lowest_at,
            rise,
            rise_from,
            rise_low,
            peak_at,
            excess: middle(&excess[losses.len() - tail..]),
            falling: middle(&excess[start..end]) - middle(&excess[end..]),
            nonfinite: losses.iter().filter(|loss| !loss.is_finite()).count(),
            first_nonfinite: losses.iter().position(|loss| !loss.is_finite()),
            spikes: spikes(losses),
        })
    }
}

/// The place and value of the least of some values.
fn lowest(values: &[f64]) -> (usize, f64) {
    let least = values.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
    least.map_or((0, f64::INFINITY), |(at, value)| (at, *value))
}

/// By step: the mean of the ten losses that end there, of fewer at the start.
pub fn means(losses: &[f64]) -> Vec<f64> {
    let window = |at: usize| &losses[(at + 1).saturating_sub(MEAN)..=at];
    (0..losses.len()).map(|at| window(at).iter().sum::<f64>() / window(at).len() as f64).collect()
}

/// Steps whose loss is far above the median of the eleven around it, by what steps differ from that median.
fn spikes(losses: &[f64]) -> Vec<usize> {
    const HALF: usize = 5;
    let around = |at: usize| &losses[at.saturating_sub(HALF)..(at + HALF + 1).min(losses.len())];
    let above: Vec<f64> = (0..losses.len())
        .map(|at| losses[at] - median(around(at).iter().copied()).unwrap_or(losses[at]))
        .map(|above| if above.is_nan() { 0.0 } else { above })
        .collect();
    let spread = 1.4826 * median(above.iter().map(|above| above.abs())).unwrap_or(0.0);
    // The first steps fall so fast that each stands above those around it.
    (HALF..losses.len()).filter(|at| above[*at] > (8.0 * spread).max(0.3)).collect()
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
        let (mut lowest, mut lowest_at, mut rise) = (f64::INFINITY, 0, 0.0f64);
        for (step, loss) in scores {
            if step > 0 && loss - lowest > rise {
                rise = loss - lowest;
            }
            if loss < lowest {
                (lowest, lowest_at) = (loss, step);
            }
        }
        Some(Self { lowest, lowest_at, last, last_at, rise, gap: last - course.map_or(f64::NAN, |course| course.last) })
    }
}

impl Probes {
    /// How many times the run's highest rate would be the one from which on steps overshoot: 1 / (1 − ρ) times the rate at
    /// which ρ was measured.
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
            rate: middle(of(late, &|row| Some(row.learning_rate))).and_then(|rate| {
                let highest = facts.trace.iter().map(|row| row.learning_rate).fold(0.0, f64::max);
                (highest > 0.0).then_some(rate / highest)
            }),
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
        Some(Cell::Real(limit)) if row.clipped => limit / row.grad_norm?,
        _ => 1.0,
    };
    let window = match facts.params.get("batch.unroll") {
        Some(Cell::Integer(unroll)) if summed => *unroll as f64,
        _ => 1.0,
    };
    Some(row.learning_rate * window * limit)
}

fn growth(facts: &Facts, course: &Course) -> Option<f64> {
    let norms =
        |from: usize, to: usize| median(facts.trace[from..to].iter().map(|row| row.grad_norm.unwrap_or(f64::INFINITY)));
    let tenth = (facts.trace.len() / 10).max(1);
    let before = norms((course.lowest_at + 1).saturating_sub(tenth), course.lowest_at + 1)?;
    Some(norms(facts.trace.len() - tenth, facts.trace.len())? / before)
}

fn share(them: impl ExactSizeIterator<Item = bool>) -> f64 {
    let whole = them.len().max(1) as f64;
    them.filter(|it| *it).count() as f64 / whole
}

/// The middle of some values, the mean of the two in the middle of an even number; `None` of none.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let n = values.len();
    match n {
        0 => None,
        _ if n % 2 == 1 => Some(values[n / 2]),
        _ => Some((values[n / 2 - 1] + values[n / 2]) / 2.0),
    }
}
