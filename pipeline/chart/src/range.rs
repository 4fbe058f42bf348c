//! The values that an axis spans, and their positions on it.

use crate::axis::nice;
use crate::chart::{Chart, Curve};

/// The span of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The value at the bottom.
    pub low: f64,
    /// The value at the top.
    pub high: f64,
    /// Whether the axis is logarithmic.
    pub log: bool,
    /// Whether some curve is cut off at the top.
    pub cut: bool,
}

/// A curve that rises above this multiple of the highest first value and baseline, measured from the lowest value, is
/// cut off on a linear axis. Otherwise the other curves would look like flat lines at the bottom.
const CUT: f64 = 1.6;

impl Range {
    /// The range of a chart; `None` if it has no values, or if `log` is set and some are not positive.
    pub fn of(chart: &Chart, log: bool) -> Option<Self> {
        let buckets = || chart.lines.iter().flat_map(|line| &line.buckets);
        let marks = || chart.baselines.iter().map(|baseline| baseline.value);
        let low = buckets().filter_map(|bucket| bucket.minimum).chain(marks()).reduce(f64::min)?;
        let high = buckets().filter_map(|bucket| bucket.maximum).chain(marks()).reduce(f64::max)?;
        if log {
            return (low > 0.0).then(|| {
                let (low, high) = (low.log10(), high.log10());
                let room = ((high - low) * 0.03).max(0.01);
                Self { low: 10f64.powf(low - room), high: 10f64.powf(high + room), log, cut: false }
            });
        }
        let begins = chart.lines.iter().filter_map(|line: &Curve| line.buckets.first()?.minimum);
        let reference = begins.chain(marks()).reduce(f64::max).unwrap_or(high);
        let cut = chart.quantity.is_loss() && low >= 0.0 && high > reference + (CUT - 1.0) * (reference - low);
        let top = if cut { reference + 0.08 * (reference - low) } else { high };
        // The step has a minimum, because the bounds can be adjacent floats.
        let step = nice(((top - low) / 5.0).max(1e-9 * top.abs().max(low.abs()).max(1.0)));
        let (floor, ceiling) = ((low / step).floor() * step, (top / step).ceil() * step);
        Some(Self { low: floor, high: if ceiling > floor { ceiling } else { floor + step }, log, cut })
    }

    /// The position of a value: 0 at the bottom of the range, 1 at its top, less or more outside it.
    pub fn share(&self, value: f64) -> f64 {
        if self.log {
            let (low, high) = (self.low.log10(), self.high.log10());
            return (value.max(f64::MIN_POSITIVE).log10() - low) / (high - low);
        }
        (value - self.low) / (self.high - self.low)
    }

    /// Values that get a grid line and a label.
    pub fn ticks(&self) -> Vec<f64> {
        if !self.log {
            let step = nice((self.high - self.low) / 6.0);
            let first = (self.low / step).ceil() as i64;
            return (first..).map(|i| i as f64 * step).take_while(|tick| *tick <= self.high + step * 1e-6).collect();
        }
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let every = ((last - first) / 7).max(1);
        let factors: &[f64] = match last - first {
            ..=1 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
            2..=3 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        (first..=last)
            .step_by(every.unsigned_abs() as usize)
            .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)))
            .filter(|tick| (self.low..=self.high).contains(tick))
            .collect()
    }
}

impl Chart {
    /// Whether a linear axis would show only a spike: the quantity is not a loss and spans two orders of magnitude.
    pub fn wants_log(&self) -> bool {
        !self.quantity.is_loss() && Range::of(self, true).is_some_and(|range| range.high > 100.0 * range.low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::Baseline;
    use crate::quantity::Quantity;
    use identity::Bucket;

    fn chart(losses: &[&[f64]]) -> Chart {
        let bucket = |(step, loss): (i64, &f64)| Bucket {
            first: step,
            steps: 1,
            finite: 1,
            minimum: Some(*loss),
            maximum: Some(*loss),
            sum: *loss,
            first_nonfinite: None,
        };
        let line = |(place, losses): (usize, &&[f64])| Curve {
            run: identity::RunId(place as i64 + 1),
            label: String::new(),
            place,
            buckets: (0..).zip(losses.iter()).map(bucket).collect(),
            holes: Vec::new(),
            onset: None,
        };
        Chart {
            quantity: Quantity::Loss,
            of: "x".to_owned(),
            steps: 3,
            lines: losses.iter().enumerate().map(line).collect(),
            baselines: vec![Baseline { label: "ln V".to_owned(), value: 9.21 }],
        }
    }

    #[test]
    fn a_diverged_loss_does_not_flatten_the_others() {
        let range = Range::of(&chart(&[&[9.2, 6.0, 4.4], &[9.2, 40.0, 62.0]]), false).unwrap();
        assert!(range.cut && range.high <= 11.0 && range.high > 9.21, "{range:?}");
        let range = Range::of(&chart(&[&[9.2, 6.0, 4.4], &[9.2, 9.9, 4.0]]), false).unwrap();
        assert!(!range.cut && range.high >= 9.9, "{range:?}");
        assert_eq!(range.ticks().first(), Some(&4.0));
        let range = Range::of(&chart(&[&[9.2, 6.0, 4.4], &[9.2, 40.0, 62.0]]), true).unwrap();
        assert!(!range.cut && range.high > 62.0 && range.low < 4.4 && range.low > 4.0, "{range:?}");
        assert!(range.ticks().contains(&10.0));
        assert_eq!(Range::of(&chart(&[&[1.0, -0.5]]), true), None);
        assert_eq!(range.share(range.low), 0.0);
    }

    #[test]
    fn a_constant_of_any_size_has_an_axis() {
        for value in [0.0, 1e-30, 1.0, 1e10, 3e15, 1e38, 1e300, -1e38] {
            let mut chart = chart(&[&[value, value]]);
            chart.quantity = Quantity::LearningRate;
            let range = Range::of(&chart, false).unwrap();
            assert!(range.low <= value && value <= range.high && range.low < range.high, "{value}");
            assert!((1..20).contains(&range.ticks().len()), "{value}");
        }
    }
}
