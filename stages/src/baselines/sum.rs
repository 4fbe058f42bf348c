//! Compensated sums of many millions of logarithms.

/// The log-likelihood of a split's tokens under a model.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LogLikelihood {
    tokens: u64,
    sum: f64,
    /// Rounding error of the sum so far (Neumaier 1974).
    lost: f64,
}

impl LogLikelihood {
    /// Adds the log-probability of some tokens.
    pub(super) fn add(&mut self, tokens: u64, log: f64) {
        let next = self.sum + log;
        self.lost += if self.sum.abs() >= log.abs() { (self.sum - next) + log } else { (log - next) + self.sum };
        (self.sum, self.tokens) = (next, self.tokens + tokens);
    }

    /// The mean loss in nats; NaN without tokens.
    pub(super) fn mean(&self) -> f64 {
        -(self.sum + self.lost) / self.tokens as f64
    }
}
