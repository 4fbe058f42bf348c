//! Verdicts and their words: what happened to a run, the likely cause, and the evidence.

mod conclusion;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::words::{NoWord, shown_as_its_word, words};

pub use conclusion::{Check, Confirmation, Evidence, Finding, Headline, Verdict};

words! {
    /// What happened to a run, the gravest first.
    Kind, "verdict":
    /// A language model can't learn from the data that it reads. Outranks the others.
    DataFault = "data_fault",
    /// The loss diverged.
    Diverged = "diverged",
    /// The loss rose far, and may have recovered.
    Unstable = "unstable",
    /// The learning rate is so low that most of the training has no effect.
    TooLow = "too_low",
    /// The loss fell steadily.
    Stable = "stable",
    /// There is too little data to judge.
    Inconclusive = "inconclusive",
}

words! {
    /// A cause that a verdict is consistent with; only a trial confirms it.
    Cause, "cause":
    /// Batches that advance by so little that consecutive batches mostly overlap.
    SlidingWindow = "sliding_window",
    /// Steps whose batches contain unusual words compared with the other steps.
    CorruptedBatches = "corrupted_batches",
    /// So little text that it is memorised.
    TooLittleText = "too_little_text",
    /// A text in which the order of the words carries no information.
    NoOrder = "no_order",
    /// A held-out text of a different kind from the training text.
    SplitsDiffer = "splits_differ",
    /// A learning rate that is too high.
    RateTooHigh = "rate_too_high",
    /// A learning rate that is too low.
    RateTooLow = "rate_too_low",
    /// Initial weights that are far too large.
    InitialWeights = "initial_weights",
}

words! {
    /// Something else that was found, whatever the verdict is.
    FindingKind, "finding":
    /// The first loss is not that of an untrained model.
    OddStart = "odd_start",
    /// The losses of single steps are far above those of the steps around them.
    Spikes = "spikes",
    /// The held-out loss rises while the training loss does not.
    Overfitting = "overfitting",
    /// The loss no longer falls.
    Plateau = "plateau",
    /// The logits are so large that the softmax is saturated.
    SaturatedSoftmax = "saturated_softmax",
    /// Nearly every gradient was clipped.
    ClippedThroughout = "clipped_throughout",
    /// Random samples repeat the same tokens.
    CollapsedSamples = "collapsed_samples",
    /// One or two steps contain words with unusual frequencies.
    OddBatches = "odd_batches",
    /// With a data fault: the loss diverged.
    CourseDiverged = "course_diverged",
    /// With a data fault: the loss rose far.
    CourseUnstable = "course_unstable",
    /// With a data fault: the learning rate is too low.
    CourseTooLow = "course_too_low",
    /// With a data fault: the loss fell steadily.
    CourseStable = "course_stable",
    /// With a data fault: there is too little data to judge the loss.
    CourseInconclusive = "course_inconclusive",
}

impl FindingKind {
    /// The finding that reports what the loss did, for a run whose verdict is a data fault.
    pub fn course(kind: Kind) -> Option<Self> {
        match kind {
            Kind::DataFault => None,
            Kind::Diverged => Some(Self::CourseDiverged),
            Kind::Unstable => Some(Self::CourseUnstable),
            Kind::TooLow => Some(Self::CourseTooLow),
            Kind::Stable => Some(Self::CourseStable),
            Kind::Inconclusive => Some(Self::CourseInconclusive),
        }
    }
}

words! {
    /// A figure that the rules for verdicts read.
    Signal, "signal":
    /// How far the loss is above the unigram baseline.
    AboveFrequencies = "above_frequencies",
    /// The fraction of steps whose gradient was clipped.
    Clipped = "clipped",
    /// How far the loss of the last steps is above the unigram loss of the same tokens.
    Excess = "excess",
    /// How much the excess fell in the last fifth of the steps.
    Falling = "falling",
    /// How far the first loss is above that of a uniform guess.
    FirstAboveEven = "first_above_even",
    /// Where the excess will end if it keeps falling at this rate.
    Heading = "heading",
    /// The factor by which the learning rate could be raised before steps overshoot.
    Headroom = "headroom",
    /// How far the held-out loss rose above its lowest.
    HeldOutRise = "held_out_rise",
    /// The largest logit.
    Logit = "logit",
    /// The period, in tokens, of the loop in which a sample ends.
    LoopPeriod = "loop_period",
    /// The number of losses that are not finite.
    Nonfinite = "nonfinite",
    /// The number of distinct positions of the text that were read, divided by the number of positions read.
    Novelty = "novelty",
    /// How far the word frequencies of a step differ from those of the other steps.
    OddBatch = "odd_batch",
    /// How much lower than the unigram loss the loss becomes when a word's context is known.
    Order = "order",
    /// The fraction of a step's positions that the previous step contained too.
    Overlap = "overlap",
    /// The smallest overshoot ratio: how much an update lowered the loss, divided by what its gradient predicted.
    OvershootLeast = "overshoot_least",
    /// The learning rate times the sharpness.
    RateTimesSharpness = "rate_times_sharpness",
    /// How far the loss rose above its lowest earlier mean.
    Rise = "rise",
    /// Whether the parameters alone make the window slide.
    Sliding = "sliding",
    /// Single steps whose losses stand out.
    Spikes = "spikes",
    /// How much higher the unigram loss is on valid than on train.
    SplitGap = "split_gap",
    /// The number of tokens of text per word of the vocabulary.
    TokensPerType = "tokens_per_type",
}

words! {
    /// A check made for every run for which the required data was recorded.
    CheckName, "check":
    /// How much of the text the batches read.
    Coverage = "coverage",
    /// Whether steps contain words with unusual frequencies.
    OddBatches = "odd batches",
    /// Whether there is enough text.
    AmountOfText = "amount of text",
    /// Whether the order of the words carries information.
    OrderOfWords = "order of words",
    /// Whether train and valid are of the same kind.
    SplitsAlike = "splits alike",
    /// Whether losses are finite.
    FiniteLosses = "finite losses",
    /// How the loss compares with the n-gram baselines.
    Baselines = "loss against the baselines",
    /// Whether there is a held-out loss at all.
    HeldOutLoss = "held-out loss",
    /// What the loss did.
    Course = "course of the loss",
    /// How gradients were clipped, and whether they grew.
    GradientNorm = "gradient norm",
    /// The measurements at probed steps.
    Probes = "probes",
    /// Whether samples end in loops.
    Samples = "samples",
}

words! {
    /// The outcome of testing a cause.
    TrialOutcome, "trial outcome":
    /// Without the cause, the run's verdict changes.
    Confirmed = "confirmed",
    /// Without the cause, the verdict stays the same.
    NotConfirmed = "not_confirmed",
    /// The trial is inconclusive.
    Open = "open",
}

/// What a figure is evidence of: the verdict, or a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum About {
    /// The verdict.
    Verdict(Kind),
    /// A finding.
    Finding(FindingKind),
}

impl About {
    /// The word; no verdict has the same word as a finding.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verdict(kind) => kind.as_str(),
            Self::Finding(finding) => finding.as_str(),
        }
    }
}

impl From<Kind> for About {
    fn from(kind: Kind) -> Self {
        Self::Verdict(kind)
    }
}

impl From<FindingKind> for About {
    fn from(finding: FindingKind) -> Self {
        Self::Finding(finding)
    }
}

impl FromStr for About {
    type Err = NoWord;

    fn from_str(text: &str) -> Result<Self, NoWord> {
        text.parse().map(Self::Verdict).or_else(|_: NoWord| text.parse().map(Self::Finding))
    }
}

impl JsonSchema for About {
    fn schema_name() -> Cow<'static, str> {
        "About".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<Kind>(), generator.subschema_for::<FindingKind>()] })
    }
}

shown_as_its_word!(About);
