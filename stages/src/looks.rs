//! Rules inside a training that look at the valid loss: when it ends early, and which of its weights are the best.

use identity::observations::Looks;
use serde::{Deserialize, Serialize};

/// Training ends when the valid loss has stopped falling (Prechelt 1998).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Steps between looks.
    pub every: u64,
    /// Looks in a row without a new best that are forgiven.
    pub patience: u64,
}

impl EarlyStopping {
    /// Whether there is a look at the weights after `n` updates.
    pub fn looks_at(&self, n: u64) -> bool {
        n > 0 && n.is_multiple_of(self.every)
    }

    /// The look at which the training ends, if it does. A loss that is not a number is no new best.
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

/// Of some steps the one with the lowest loss, of equals the first; `None` where none of them was looked at. What is not a
/// number is worse than every number.
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
    fn a_training_ends_when_patience_does() {
        let end = |patience, losses: &[f64]| EarlyStopping { every: 10, patience }.end(&looks(losses));
        assert_eq!(end(0, &[5.0, 4.0, 4.0, 3.0]), Some(30));
        assert_eq!(end(1, &[5.0, 4.0, 4.0, 3.0, 3.5]), None);
        assert_eq!(end(1, &[5.0, 4.0, 4.5, f64::NAN, 3.0]), Some(40));
        assert_eq!(end(0, &[]), None);
        assert_eq!(end(0, &[f64::INFINITY]), Some(10));
        // Looks that other rules took are not its own.
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
