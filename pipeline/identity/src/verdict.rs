//! Verdicts, and their words: what a run came to, what that is consistent with, and what it rests on.

mod conclusion;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::words::{NoWord, shown_as_its_word, words};

pub use conclusion::{Check, Confirmation, Evidence, Finding, Headline, Verdict};

words! {
    /// What a run came to, the gravest first.
    Kind, "verdict":
    /// What it reads is not what a language model can learn from. Outranks the others.
    DataFault = "data_fault",
    /// The loss diverged.
    Diverged = "diverged",
    /// The loss rose far, and may have come back.
    Unstable = "unstable",
    /// The rate is so low that most of the training does nothing.
    TooLow = "too_low",
    /// The loss never left its way.
    Stable = "stable",
    /// There is too little to say.
    Inconclusive = "inconclusive",
}

words! {
    /// What a verdict is consistent with; confirmed by trial alone.
    Cause, "cause":
    /// Batches that move on by so little that each is mostly the one before.
    SlidingWindow = "sliding_window",
    /// Steps whose words are not those of the other steps.
    CorruptedBatches = "corrupted_batches",
    /// So little text that it is memorised.
    TooLittleText = "too_little_text",
    /// A text whose order of words tells nothing.
    NoOrder = "no_order",
    /// A held-out text of another kind than the one that is trained on.
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
    /// Lone steps stand far above those around them.
    Spikes = "spikes",
    /// The held-out loss rises while the training loss does not.
    Overfitting = "overfitting",
    /// The loss no longer falls.
    Plateau = "plateau",
    /// The largest logits are so large that the softmax is sure of what it says.
    SaturatedSoftmax = "saturated_softmax",
    /// Nearly every gradient was clipped.
    ClippedThroughout = "clipped_throughout",
    /// Texts drawn at random repeat the same tokens.
    CollapsedSamples = "collapsed_samples",
    /// One or two steps hold words of unlike frequencies.
    OddBatches = "odd_batches",
    /// Beside a data fault: the loss diverged.
    CourseDiverged = "course_diverged",
    /// Beside a data fault: the loss rose far.
    CourseUnstable = "course_unstable",
    /// Beside a data fault: the rate is too low.
    CourseTooLow = "course_too_low",
    /// Beside a data fault: the loss never left its way.
    CourseStable = "course_stable",
    /// Beside a data fault: there is too little to say of the loss.
    CourseInconclusive = "course_inconclusive",
}

impl FindingKind {
    /// What the loss did, told beside a data fault, which says nothing of it.
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
    /// A figure that rules look at.
    Signal, "signal":
    /// How far the loss is above what word frequencies cost.
    AboveFrequencies = "above_frequencies",
    /// The share of steps whose gradient was clipped.
    Clipped = "clipped",
    /// What the last steps cost above what frequencies make of their words.
    Excess = "excess",
    /// By how much that fell in the last fifth of steps.
    Falling = "falling",
    /// How far the first loss is above an even guess.
    FirstAboveEven = "first_above_even",
    /// What the excess will be, if it falls on as it does.
    Heading = "heading",
    /// By how much the rate could be raised until steps overshoot.
    Headroom = "headroom",
    /// How far the held-out loss rose above its lowest.
    HeldOutRise = "held_out_rise",
    /// The largest logit.
    Logit = "logit",
    /// Tokens that a sample repeats.
    LoopPeriod = "loop_period",
    /// Losses that are not finite.
    Nonfinite = "nonfinite",
    /// Distinct positions over positions read.
    Novelty = "novelty",
    /// How far a step's words are from those of the others.
    OddBatch = "odd_batch",
    /// What a word's context takes off the loss of frequencies.
    Order = "order",
    /// The share of a step's positions that the step before held too.
    Overlap = "overlap",
    /// The least of what updates took off the loss over what their gradients promised.
    OvershootLeast = "overshoot_least",
    /// The learning rate times the sharpness.
    RateTimesSharpness = "rate_times_sharpness",
    /// How far the loss rose above its lowest mean before.
    Rise = "rise",
    /// That the window slides, by the parameters alone.
    Sliding = "sliding",
    /// Lone steps that stand out.
    Spikes = "spikes",
    /// What frequencies of train cost more on valid.
    SplitGap = "split_gap",
    /// Tokens of text for each type of the vocabulary.
    TokensPerType = "tokens_per_type",
}

words! {
    /// A check that is made of every run, where what it needs was recorded.
    CheckName, "check":
    /// How much of the text the batches read.
    Coverage = "coverage",
    /// Whether steps hold words of unlike frequencies.
    OddBatches = "odd batches",
    /// Whether there is enough text.
    AmountOfText = "amount of text",
    /// Whether the order of words tells anything.
    OrderOfWords = "order of words",
    /// Whether train and valid are of one kind.
    SplitsAlike = "splits alike",
    /// Whether losses are finite.
    FiniteLosses = "finite losses",
    /// Where the loss stands among models that count.
    Baselines = "loss against the baselines",
    /// Whether there is a held-out loss at all.
    HeldOutLoss = "held-out loss",
    /// What the loss did.
    Course = "course of the loss",
    /// How gradients were clipped, and whether they grew.
    GradientNorm = "gradient norm",
    /// What was measured at probed steps.
    Probes = "probes",
    /// Whether drawn texts go round in a circle.
    Samples = "samples",
}

words! {
    /// What came of trying a cause.
    TrialOutcome, "outcome of a trial":
    /// Without the cause the run comes to something else.
    Confirmed = "confirmed",
    /// Without it, it comes to the same.
    NotConfirmed = "not_confirmed",
    /// What the trial came to says too little.
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
    /// The word: no verdict is called like a finding.
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
