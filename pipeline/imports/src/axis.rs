//! Which step a report belongs to, from what its log counts.
//!
//! Logs count steps, batches that begin again in each epoch, epochs, or nothing. A training's rows need whole steps that
//! ascend, so one of these is chosen for a whole log, once everything that it counts is known. It never guesses a step that
//! the log's own counters don't determine.

use crate::report::At;

/// What the reports of a log count, gathered over all of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counted {
    /// Reports with numbers.
    pub reports: u64,
    /// Of them, those with a step.
    pub with_step: u64,
    /// Those with a batch within an epoch.
    pub with_batch: u64,
    /// Those with an epoch.
    pub with_epoch: u64,
    /// Whether an epoch had a fraction.
    pub fractions: bool,
    /// The first epoch of those with a batch, as it is counted there: 0 or 1.
    first_epoch: Option<i64>,
    /// The batches of an epoch, as the log says, or else the highest batch of any epoch.
    batches: Option<i64>,
    stated: bool,
}

impl Counted {
    /// Adds a report's counters.
    pub fn add(&mut self, at: &At) {
        self.reports += 1;
        self.with_step += u64::from(at.step.is_some());
        self.with_epoch += u64::from(at.epoch.is_some());
        if let Some(epoch) = at.epoch {
            self.fractions |= epoch.fract() != 0.0;
        }
        let Some((batch, batches)) = at.batch else { return };
        self.with_batch += 1;
        if let Some(epoch) = at.epoch.and_then(whole) {
            self.first_epoch = Some(self.first_epoch.map_or(epoch, |first| first.min(epoch)));
        }
        match batches {
            Some(batches) if !self.stated => (self.batches, self.stated) = (Some(batches), true),
            // A later epoch may be shorter; one that states more would make steps collide.
            Some(batches) => self.batches = self.batches.max(Some(batches)),
            None if !self.stated => self.batches = self.batches.max(Some(batch)),
            None => {}
        }
    }

    /// The axis on which all reports have a place, as far as there is one.
    pub fn axis(&self) -> Axis {
        // A log that counts steps may have a line or two without, such as a summary.
        if self.with_step > 0 {
            return Axis::Steps;
        }
        match (self.with_batch > 0, self.first_epoch, self.batches) {
            (true, Some(first), Some(batches)) if batches > 0 => return Axis::Batches { first_epoch: first, batches },
            (true, None, _) => return Axis::BatchesAlone,
            _ => {}
        }
        if self.with_epoch > 0 && !self.fractions { Axis::Epochs } else { Axis::Order }
    }
}

/// What a log's steps are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// The log's own steps.
    Steps,
    /// Batches, counted through all epochs: (epoch − first epoch) · batches + batch.
    Batches {
        /// How the log counts its first epoch.
        first_epoch: i64,
        /// The batches of one epoch.
        batches: i64,
    },
    /// Batches of a log that has one epoch and doesn't count it.
    BatchesAlone,
    /// Epochs.
    Epochs,
    /// Neither steps nor whole epochs: each series' numbers in the order of the log, from 1.
    Order,
}

impl Axis {
    /// The step of a report; `order` is the number of reports that its series has had, this one included. `None` where the log
    /// doesn't tell.
    pub fn step(self, at: &At, order: i64) -> Option<i64> {
        match self {
            Self::Steps => at.step,
            Self::Batches { first_epoch, batches } => {
                let epoch = whole(at.epoch?)?.checked_sub(first_epoch)?;
                match at.batch {
                    Some((batch, _)) => epoch.checked_mul(batches)?.checked_add(batch),
                    // What is said of an epoch as a whole is said at its end.
                    None => epoch.checked_add(1)?.checked_mul(batches),
                }
            }
            Self::BatchesAlone => at.batch.map(|(batch, _)| batch),
            Self::Epochs => at.epoch.and_then(whole),
            Self::Order => Some(order),
        }
        // The record's curves divide and add them: a counter beyond this is a mistake of the log's.
        .filter(|step| (0..1 << 53).contains(step))
    }

    /// What one step of it is, in words.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Steps => "step",
            Self::Batches { .. } | Self::BatchesAlone => "batch",
            Self::Epochs => "epoch",
            Self::Order => "report",
        }
    }
}

/// A number without a fraction, as an integer.
fn whole(number: f64) -> Option<i64> {
    // Every whole number below 2^53 is itself.
    (number.fract() == 0.0 && number.abs() < 9.007_199_254_740_992e15).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(step: Option<i64>, epoch: Option<f64>, batch: Option<(i64, Option<i64>)>) -> At {
        At { step, epoch, batch }
    }

    fn steps(reports: &[At]) -> (Axis, Vec<Option<i64>>) {
        let mut counted = Counted::default();
        reports.iter().for_each(|report| counted.add(report));
        let axis = counted.axis();
        (axis, (1..).zip(reports).map(|(order, report)| axis.step(report, order)).collect())
    }

    #[test]
    fn steps_are_the_logs_own() {
        let reports = [at(Some(140_749), Some(3.5), None), at(None, Some(4.0), None), at(Some(-1), None, None)];
        assert_eq!(steps(&reports), (Axis::Steps, vec![Some(140_749), None, None]));
    }

    #[test]
    fn batches_are_counted_through_all_epochs() {
        for first in [0.0, 1.0] {
            let reports = [
                at(None, Some(first), Some((200, Some(500)))),
                at(None, Some(first), Some((400, Some(500)))),
                at(None, Some(first), None),
                at(None, Some(first + 1.0), Some((200, Some(500)))),
            ];
            assert_eq!(steps(&reports).1, [Some(200), Some(400), Some(500), Some(700)]);
        }
        let unstated = [at(None, Some(1.0), Some((50, None))), at(None, Some(2.0), Some((25, None)))];
        assert_eq!(steps(&unstated).1, [Some(50), Some(75)]);
        assert_eq!(steps(&[at(None, None, Some((7, None)))]), (Axis::BatchesAlone, vec![Some(7)]));
    }

    #[test]
    fn without_counters_the_order_is_all_there_is() {
        let epochs = [at(None, Some(0.0), None), at(None, Some(1.0), None)];
        assert_eq!(steps(&epochs), (Axis::Epochs, vec![Some(0), Some(1)]));
        let fractions = [at(None, Some(0.25), None), at(None, Some(0.5), None)];
        assert_eq!(steps(&fractions), (Axis::Order, vec![Some(1), Some(2)]));
        assert_eq!(steps(&[At::default()]), (Axis::Order, vec![Some(1)]));
    }

    #[test]
    fn no_counter_is_too_large() {
        let huge =
            [at(None, Some(1e300), Some((i64::MAX, Some(i64::MAX)))), at(None, Some(2.0), Some((i64::MAX, None)))];
        assert_eq!(steps(&huge).1, [None, None]);
        assert_eq!(steps(&[at(None, Some(f64::NAN), None)]).0, Axis::Order);
    }
}
