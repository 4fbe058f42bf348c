//! Axis ticks, and the baselines across a chart.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

/// A value to compare a curve with, such as ln V or the unigram entropy for a loss.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Baseline {
    /// Its name.
    pub label: String,
    /// Its value.
    pub value: f64,
}

/// Shows the name and the value: `unigram 6.50`.
impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:.2}", self.label, self.value)
    }
}

/// The smallest 1, 2 or 5 times a power of ten that is at least `x`.
pub fn nice(x: f64) -> f64 {
    let power = 10f64.powf(x.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .iter()
        .map(|factor| factor * power)
        .find(|&step| step >= x * 0.999_999)
        .unwrap_or(10.0 * power)
}

/// A short label for a tick.
pub fn tick_label(tick: f64) -> String {
    let size = tick.abs();
    if size >= 1e5 || (size > 0.0 && size < 1e-3) {
        return format!("{tick:.0e}");
    }
    // Rounded, because 0.1 + 0.2 has too many digits for a label.
    let text = format!("{tick:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_short() {
        assert_eq!([0.1 + 0.2, 1e-5, 250_000.0, 10.0, 0.0].map(tick_label), ["0.3", "1e-5", "2e5", "10", "0"]);
    }
}
