//! Sums of many millions of logarithms.

/// What a split's tokens come to under a model.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LogLikelihood {
    tokens: u64,
    sum: f64,
    /// What the sum has lost to rounding so far (Neumaier 1974).
    lost: f64,
}

impl LogLikelihood {
    /// Adds the log-probability of some tokens.
    pub(super) fn add(&mut self, tokens: u64, log: f64) {
        let next = self.sum + log;
        self.lost += if self.sum.abs() >= log.abs() { (self.sum - next) + log } else { (log - next) + self.sum };
        (self.sum, self.tokens) = (next, self.tokens + tokens);
    }

    /// The mean loss in nats; NaN of nothing.
    pub(super) fn mean(&self) -> f64 {
        -(self.sum + self.lost) / self.tokens as f64
    }
}
