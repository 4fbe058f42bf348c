//! Measures how long each part of a training step takes.

use std::time::{Duration, Instant};

use serde_json::Value;

/// A part of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The embedding and the LSTM layers.
    Forward,
    /// The softmax layer's three matrix products.
    Products,
    /// The rest of the softmax layer: losses, and the gradient with respect to the logits.
    Softmax,
    /// Back-propagation through the layers and the embedding.
    Backward,
    /// The gradients' norm.
    Norm,
    /// The update rule.
    Update,
    /// Everything else, such as recording and files.
    Rest,
    /// Extra measurements at probed steps.
    Probes,
    /// A whole step on a GPU, instead of the phases above.
    Gpu,
}

const PHASES: [(Phase, &str); 9] = [
    (Phase::Forward, "forward"),
    (Phase::Products, "softmax_products"),
    (Phase::Softmax, "softmax_rows"),
    (Phase::Backward, "backward"),
    (Phase::Norm, "norm"),
    (Phase::Update, "update"),
    (Phase::Rest, "rest"),
    (Phase::Probes, "probes"),
    (Phase::Gpu, "gpu"),
];

/// The time spent in each phase. Each lap is charged to the phase that ends with it. Reading the clock takes about 30
/// ns.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    last: Instant,
    spent: [Duration; PHASES.len()],
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { last: Instant::now(), spent: [Duration::ZERO; PHASES.len()] }
    }

    /// Charges the time since the last lap to `phase`.
    pub(crate) fn lap(&mut self, phase: Phase) {
        let now = Instant::now();
        self.spent[phase as usize] += now - self.last;
        self.last = now;
    }

    /// Charges the time since the last lap to two phases, the fraction `share` of it to the first.
    pub(crate) fn split(&mut self, first: Phase, second: Phase, share: f64) {
        let whole = self.last.elapsed();
        let of_first = whole.mul_f64(if share.is_finite() { share } else { 0.0 });
        self.spent[first as usize] += of_first;
        self.spent[second as usize] += whole - of_first;
        self.last += whole;
    }

    /// Seconds by phase.
    pub(crate) fn report(&self) -> Value {
        let met = |(phase, _): &&(Phase, &str)| !self.spent[*phase as usize].is_zero();
        PHASES
            .iter()
            .filter(met)
            .map(|(phase, name)| ((*name).to_owned(), Value::from(self.spent[*phase as usize].as_secs_f64())))
            .collect()
    }
}
