//! Rules that read the validation loss during training: when to stop early, and which checkpoint is the best.
//!
//! A *look* is one evaluation of valid during training.

use identity::observations::Looks;
use serde::{Deserialize, Serialize};

/// Stops training when the validation loss no longer improves (Prechelt 1998).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Steps between looks.
    pub every: u64,
    /// How many consecutive looks without a new best are tolerated.
    pub patience: u64,
}

impl EarlyStopping {
    /// Whether valid is evaluated after `n` updates.
    pub fn looks_at(&self, n: u64) -> bool {
        n > 0 && n.is_multiple_of(self.every)
    }

    /// The step at which training stops, if any. NaN is never a new best.
    pub fn end(&self, looks: &Looks) -> Option<u64> {
        let (mut best, mut without) = (f64::INFINITY, 0);
        looks.iter().filter(|(step, _)| self.looks_at(**step)).find_map(|(step, loss)| {
            if *loss < best {
                (best, without) = (*loss, 0);
            } else {
                without += 1;
            }
            (without > self.patience).then_some(*step)
        })
    }
}

/// The step of `among` with the lowest loss, the earliest if several have it; `None` if none of them was evaluated. NaN
/// counts as worse than any number.
pub fn best(looks: &Looks, among: &[u64]) -> Option<u64> {
    let seen = among.iter().filter_map(|step| Some((*step, *looks.get(step)?)));
    let order = |loss: f64| if loss.is_nan() { f64::INFINITY } else { loss };
    seen.min_by(|(i, a), (j, b)| order(*a).total_cmp(&order(*b)).then(i.cmp(j))).map(|(step, _)| step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(losses: &[f64]) -> Looks {
        (1..).step_by(1).map(|i: u64| i * 10).zip(losses.iter().copied()).collect()
    }

    #[test]
    fn training_stops_when_patience_runs_out() {
        let end = |patience, losses: &[f64]| EarlyStopping { every: 10, patience }.end(&looks(losses));
        assert_eq!(end(0, &[5.0, 4.0, 4.0, 3.0]), Some(30));
        assert_eq!(end(1, &[5.0, 4.0, 4.0, 3.0, 3.5]), None);
        assert_eq!(end(1, &[5.0, 4.0, 4.5, f64::NAN, 3.0]), Some(40));
        assert_eq!(end(0, &[]), None);
        assert_eq!(end(0, &[f64::INFINITY]), Some(10));
        // Looks made for other rules don't count.
        assert_eq!(EarlyStopping { every: 20, patience: 0 }.end(&looks(&[1.0, 4.0, 5.0, 3.0])), None);
    }

    #[test]
    fn the_best_is_the_first_of_the_lowest() {
        let seen = looks(&[5.0, f64::NAN, 4.0, 4.0]);
        assert_eq!(best(&seen, &[10, 20, 30, 40, 50]), Some(30));
        assert_eq!(best(&seen, &[20, 50]), Some(20));
        assert_eq!(best(&seen, &[50]), None);
    }
}
