//! What figures are held against.

use super::statistics::{FEW, MEAN, SHORT};

/// The bounds that the rules hold figures against. Losses and rises in nats a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// Steps below which nothing is said.
    pub steps: usize,
    /// Share of a step's positions that the step before may hold.
    pub overlap: f64,
    /// Tokens of text for each type of the vocabulary, below which it is too little; and passes from which that tells.
    pub tokens_per_type: f64,
    pub passes: f64,
    /// Steps that it takes to tell which are unlike the others.
    pub batches_to_compare: usize,
    /// As many as it takes of those for the text to be at fault.
    pub odd: usize,
    /// What the order of words must take off the frequencies' loss.
    pub order: f64,
    /// What frequencies may cost more on valid than on train.
    pub split_gap: f64,
    /// A rise of the loss that is one, and so many times what noise alone would make of it.
    pub rise: f64,
    pub beyond_noise: f64,
    /// The same of losses without what frequencies make of their words, which hold less of that noise: so many times what it
    /// would make of losses as they are, in a run of few steps. In a longer one chance has more draws.
    pub rise_net: f64,
    pub beyond_noise_net: f64,
    /// What a loss may lie above the frequencies'.
    pub above: f64,
    /// The same of a training loss, which a batch alone can move; and how far below them one has learned, whatever the
    /// held-out loss does.
    pub above_in_training: f64,
    pub learned_in_training: f64,
    /// What a loss that never rose may lie above the frequencies', and what the held-out loss must have risen for that to be
    /// more than slow.
    pub never_below: f64,
    pub held_out_rise: f64,
    /// What a held-out loss may rise from one score to the next, soon after.
    pub jump: f64,
    /// A loss is heading for where it will be once it has fallen so many times more what it fell in its last fifth; and so far
    /// above the frequencies' that may be for the loss to be on its way.
    pub ahead: f64,
    pub heading: f64,
    /// How far above its lowest before a loss that came back may lie.
    pub recovered: f64,
    /// How far above the frequencies' a loss may be before it rises for its way back to count.
    pub near: f64,
    /// By how much the rate could be raised until steps overshoot, from which on it is low.
    pub headroom: f64,
    /// How far below the frequencies' a training loss must be to have learned something, and above which it rests on them.
    pub learned: f64,
    pub rests: f64,
    /// The share of its rate that a schedule may have left for more steps to help.
    pub decayed: f64,
    /// What a loss has moved at least where the rate moves anything.
    pub moved: f64,
    /// The share of probed steps that may raise their own loss where the rate is low, and what part of the weights' length an
    /// update may have.
    pub raising: f64,
    pub short: f64,
    /// How far above its mean before a loss stands where it begins to rise.
    pub onset: f64,
    /// How far from an even guess a first loss may be.
    pub start: f64,
    pub overfitting: f64,
    pub plateau: f64,
    pub logit: f64,
    /// Share of clipped steps.
    pub clipped: f64,
}

impl Bounds {
    /// The same for a run of so many steps whose words have that noise. The lowest mean of many is one that chance made low,
    /// and what rises above it most was made high: of n, each by about √(2 ln n) deviations of its mean. In a longer run the
    /// level that a loss rises from is no such extreme, and its own course tells what chance does.
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

    /// What means that differ by so much have to rise by, among as many as there are steps, for chance not to have done it.
    pub(super) fn chance(&self, noise: f64, steps: usize) -> f64 {
        self.beyond_noise * noise * extreme(steps)
    }
}

/// The deviations that the greatest of so many normal draws is about above their mean.
fn extreme(draws: usize) -> f64 {
    (2.0 * (draws.max(2) as f64).ln()).sqrt()
}

/// Those of the rules' version.
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
