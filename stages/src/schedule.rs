//! The learning rate of each step; [`crate::params`] describes the schedules.

use crate::params::{Schedule, Train};

/// What a plateau schedule remembers, as part of a checkpoint's state; [`Plateau::START`] under any other schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plateau {
    /// Product of the reductions so far.
    pub factor: f64,
    /// The lowest validation loss seen, in nats.
    pub best: f64,
    /// The number of consecutive looks without a new best.
    pub looks: u64,
}

impl Plateau {
    /// Before the first look.
    pub const START: Self = Self { factor: 1.0, best: f64::INFINITY, looks: 0 };

    /// Takes a validation loss into account; returns whether the rate is lowered. NaN is never a new best.
    pub fn look(&mut self, loss: f64, rate: f64, patience: u64) -> bool {
        if loss < self.best {
            (self.best, self.looks) = (loss, 0);
            return false;
        }
        self.looks += 1;
        let lowered = self.looks > patience;
        if lowered {
            (self.factor, self.looks) = (self.factor * rate, 0);
        }
        lowered
    }
}

/// The learning rate of `step`, which belongs to `epoch`, in a run of `length` steps.
///
/// Uses libm rather than the C library, so that the rate has the same bits on every host.
pub fn rate(train: &Train, step: u64, epoch: u64, length: u64, plateau: &Plateau) -> f64 {
    // Reductions by a plateau apply during warm-up too.
    let base = train.learning_rate * plateau.factor;
    if step < train.warmup {
        return base * ((step + 1) as f64 / train.warmup as f64);
    }
    let rate = match train.schedule {
        Schedule::Constant => base,
        Schedule::Exponential { rate, every, staircase: true } => base * libm::pow(rate, (step / every) as f64),
        Schedule::Exponential { rate, every, staircase: false } => base * libm::pow(rate, step as f64 / every as f64),
        Schedule::Epoch { rate, after } => base * libm::pow(rate, (epoch + 1).saturating_sub(after) as f64),
        Schedule::Cosine { floor } => {
            let share = (step as f64 / length.max(1) as f64).min(1.0);
            floor + (base - floor) * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * share))
        }
        Schedule::Plateau { .. } => base,
        Schedule::Range { to } => {
            let share = (step as f64 / length.saturating_sub(1).max(1) as f64).min(1.0);
            base * libm::pow(to / base, share)
        }
    };
    // A factor above 1 can make the rate overflow; it then stays at the largest finite number.
    rate.min(f64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::train_defaults;

    fn rates(schedule: serde_json::Value, warmup: u64, steps: &[u64]) -> Vec<f64> {
        let mut train = train_defaults();
        (train.learning_rate, train.warmup) = (2.0, warmup);
        train.schedule = serde_json::from_value(schedule).unwrap();
        steps.iter().map(|&step| rate(&train, step, step / 10, 100, &Plateau::START)).collect()
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-12, "{found:?}, expected {expected:?}");
        }
    }

    #[test]
    fn schedules_follow_their_formulas() {
        use serde_json::json;
        assert_close(&rates(json!({"kind": "constant"}), 0, &[0, 99]), &[2.0, 2.0]);
        assert_close(&rates(json!({"kind": "constant"}), 4, &[0, 1, 3, 4]), &[0.5, 1.0, 2.0, 2.0]);
        let staircase = json!({"kind": "exponential", "rate": 0.1, "every": 10, "staircase": true});
        assert_close(&rates(staircase, 0, &[0, 9, 10, 25]), &[2.0, 2.0, 0.2, 0.02]);
        let smooth = json!({"kind": "exponential", "rate": 0.25, "every": 10, "staircase": false});
        assert_close(&rates(smooth.clone(), 0, &[0, 5, 10]), &[2.0, 1.0, 0.5]);
        // After warm-up the schedule continues where it would be without warm-up.
        assert_close(&rates(smooth, 5, &[4, 5]), &[2.0, 1.0]);
        // Zaremba small: epochs 1 to 4 at the full rate, halved from the 5th on.
        let epoch = json!({"kind": "epoch", "rate": 0.5, "after": 4});
        assert_close(&rates(epoch, 0, &[0, 39, 40, 50]), &[2.0, 2.0, 1.0, 0.5]);
        let cosine = json!({"kind": "cosine", "floor": 0.5});
        assert_close(&rates(cosine, 0, &[0, 50, 100]), &[2.0, 1.25, 0.5]);
        // Both ends are exact, and each rate is the same multiple of the previous one.
        let range = json!({"kind": "range", "to": 2e6});
        let tests = rates(range, 0, &(0..100).collect::<Vec<u64>>());
        assert_close(&[tests[0], tests[33], tests[66] / 1e4, tests[99] / 1e6], &[2.0, 200.0, 2.0, 2.0]);
        let factor = 1e6f64.powf(1.0 / 99.0);
        assert!(tests.windows(2).all(|pair| (pair[1] / pair[0] / factor - 1.0).abs() < 1e-12));
        let rising = json!({"kind": "exponential", "rate": 10.0, "every": 1, "staircase": false});
        assert_eq!(rates(rising, 0, &[400]), [f64::MAX]);
    }

    #[test]
    fn plateau_reductions_apply_during_warm_up() {
        let mut train = train_defaults();
        (train.learning_rate, train.warmup) = (2.0, 4);
        train.schedule = Schedule::Plateau { rate: 0.5, every: 1, patience: 0 };
        let lowered = Plateau { factor: 0.5, ..Plateau::START };
        let rates: Vec<f64> = (0..6).map(|step| rate(&train, step, 0, 100, &lowered)).collect();
        assert_close(&rates, &[0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn a_plateau_lowers_the_rate_when_patience_runs_out() {
        let mut plateau = Plateau::START;
        let lowered: Vec<bool> =
            [5.0, 4.0, 4.0, f64::NAN, 3.0, 3.5].into_iter().map(|loss| plateau.look(loss, 0.5, 1)).collect();
        assert_eq!(lowered, [false, false, false, true, false, false]);
        assert_eq!(plateau, Plateau { factor: 0.5, best: 3.0, looks: 1 });
    }
}
