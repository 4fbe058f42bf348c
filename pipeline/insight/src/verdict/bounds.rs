//! The bounds with which the rules compare figures.

use super::statistics::{FEW, MEAN, SHORT};

/// The bounds with which the rules compare figures. Losses and rises are in nats per token.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// The fewest steps for which the course of the loss is judged.
    pub steps: usize,
    /// The largest share of a step's positions that may have been in the previous step.
    pub overlap: f64,
    /// The fewest tokens of text per type of the vocabulary. A text with fewer is too small if training reads it more
    /// than `passes` times.
    pub tokens_per_type: f64,
    /// The most passes over a text with too few tokens.
    pub passes: f64,
    /// The fewest steps among which unusual ones can be identified.
    pub batches_to_compare: usize,
    /// The fewest unusual steps that count as a fault of the text.
    pub odd: usize,
    /// How far the best n-gram baseline must at least be below the unigram baseline.
    pub order: f64,
    /// The most by which the unigram baseline may be higher on valid than on train.
    pub split_gap: f64,
    /// The smallest rise of the loss that counts as a rise.
    pub rise: f64,
    /// A rise must also be this many times as large as the rise that noise alone would produce.
    pub beyond_noise: f64,
    /// The smallest rise of the loss minus the unigram baseline of the same tokens, a difference that is less noisy.
    pub rise_net: f64,
    /// The factor for that rise, in short runs. It is relative to the noise of the loss itself. In longer runs, where
    /// chance has more opportunities, `beyond_noise` applies.
    pub beyond_noise_net: f64,
    /// The most by which a loss may be above the unigram baseline.
    pub above: f64,
    /// The most by which a training loss, which a single batch can shift, may be above the unigram baseline.
    pub above_in_training: f64,
    /// A model whose training loss is this far below the unigram baseline has learned something, whatever the held-out
    /// loss does.
    pub learned_in_training: f64,
    /// The most by which a loss that never rose may be above the unigram baseline.
    pub never_below: f64,
    /// A run whose loss never fell below the baseline has diverged, and is not just slow, if its held-out loss rose by
    /// at least this much.
    pub held_out_rise: f64,
    /// The most by which a held-out loss may rise between two evaluations that are close together.
    pub jump: f64,
    /// A loss is heading for the level that it will reach after falling by another `ahead` times its fall in the last
    /// fifth of the run.
    pub ahead: f64,
    /// The loss is still improving if that level is less than this far above the unigram baseline.
    pub heading: f64,
    /// The most by which a recovered loss may be above its lowest mean before the rise.
    pub recovered: f64,
    /// The most by which a loss may be above the unigram baseline before a rise, if returning to that level is to count
    /// as a recovery.
    pub near: f64,
    /// A rate is too low if it could be raised by more than this factor before steps overshoot.
    pub headroom: f64,
    /// How far below the unigram baseline a training loss must be if the model has learned something.
    pub learned: f64,
    /// A training loss that is more than this far above the unigram baseline may be stuck there.
    pub rests: f64,
    /// The smallest fraction of the initial rate, after a schedule has lowered it, at which more steps still help.
    pub decayed: f64,
    /// A loss that has changed by less than this has not moved at all.
    pub moved: f64,
    /// The largest share of probed steps that raise their own loss, if the rate is too low.
    pub raising: f64,
    /// The largest update ratio, if the rate is too low.
    pub short: f64,
    /// How far a loss is above its lowest earlier mean where its rise begins.
    pub onset: f64,
    /// How far the first loss may be from that of a uniform guess.
    pub start: f64,
    /// The largest rise of the held-out loss that does not count as overfitting.
    pub overfitting: f64,
    /// The smallest change of the loss that does not count as a plateau.
    pub plateau: f64,
    /// The largest logit that does not count as saturation.
    pub logit: f64,
    /// The largest share of clipped steps that is not reported.
    pub clipped: f64,
}

impl Bounds {
    /// The bounds for a run of `steps` steps in which the tokens of the steps cause this noise. The lowest of many
    /// means is low by chance, and the mean that rises most above it is high by chance: among n means, each by about
    /// √(2 ln n) standard deviations. In a longer run, the level from which a loss rises is not such an extreme, and
    /// the run's own losses show what chance does.
    pub(super) fn for_noise(self, noise: Option<f64>, steps: usize) -> Self {
        let of = |mean: usize| noise.unwrap_or(0.0) / (mean as f64).sqrt() * extreme(steps.min(SHORT));
        let chance = of(FEW) + of(MEAN);
        let net = if steps <= SHORT { self.beyond_noise_net } else { self.beyond_noise };
        Self {
            rise: self.rise.max(self.beyond_noise * chance),
            rise_net: self.rise_net.max(net * chance),
            recovered: self.recovered.max(of(MEAN)),
            ..self
        }
    }

    /// The smallest rise that chance does not explain, among means with this noise, in a run of `steps` steps.
    pub(super) fn chance(&self, noise: f64, steps: usize) -> f64 {
        self.beyond_noise * noise * extreme(steps)
    }
}

/// About how many standard deviations the largest of `draws` normal draws is above their mean.
fn extreme(draws: usize) -> f64 {
    (2.0 * (draws.max(2) as f64).ln()).sqrt()
}

/// The bounds of this version of the rules.
pub const BOUNDS: Bounds = Bounds {
    steps: 20,
    overlap: 0.5,
    tokens_per_type: 5.0,
    passes: 3.0,
    batches_to_compare: 20,
    odd: 3,
    order: 0.05,
    split_gap: 1.0,
    rise: 0.5,
    beyond_noise: 1.5,
    rise_net: 0.5,
    beyond_noise_net: 1.2,
    above: 0.02,
    above_in_training: 0.5,
    learned_in_training: 0.3,
    never_below: 0.1,
    held_out_rise: 0.05,
    jump: 2.0,
    ahead: 2.0,
    heading: 0.15,
    recovered: 0.05,
    near: 0.3,
    headroom: 70.0,
    learned: 0.12,
    rests: 0.005,
    decayed: 0.01,
    moved: 0.02,
    raising: 0.25,
    short: 0.015,
    onset: 0.3,
    start: 0.5,
    overfitting: 0.05,
    plateau: 0.005,
    logit: 25.0,
    clipped: 0.9,
};
