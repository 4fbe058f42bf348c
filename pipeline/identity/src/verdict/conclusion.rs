//! A verdict, and its evidence.

#![allow(missing_docs, reason = "fields are columns, which docs/sql.md explains; comments go into the JSON Schema")]

use schemars::JsonSchema;
use serde::Serialize;

use super::{About, Cause, CheckName, FindingKind, Kind, Signal, TrialOutcome};
use crate::{LossKind, RunId, Word};

/// What was concluded about a run.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Verdict {
    pub verdict: Kind,
    /// A cause that it is consistent with; only a trial confirms it.
    pub cause: Option<Word<Cause>>,
    /// The step at which it began.
    pub onset: Option<i64>,
    pub recovered: Option<bool>,
    pub sentence: String,
    /// What to do; never about the learning rate if there is a data fault.
    pub advice: Option<String>,
    pub rules: i64,
    /// The state of the run when it was judged.
    #[serde(skip)]
    pub seen: String,
    pub findings: Vec<Finding>,
    pub evidence: Vec<Evidence>,
    pub checks: Vec<Check>,
}

/// A verdict in a few words, for a line of a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Headline {
    pub verdict: Kind,
    /// The step at which it began.
    pub onset: Option<i64>,
    pub recovered: Option<bool>,
}

impl Headline {
    /// The step at which the problem began; `None` for a data fault that affects the whole text.
    pub fn began(&self) -> Option<i64> {
        self.onset.filter(|step| *step > 0 || self.verdict != Kind::DataFault)
    }
}

impl Verdict {
    /// The verdict in a few words.
    pub fn headline(&self) -> Headline {
        Headline { verdict: self.verdict, onset: self.onset, recovered: self.recovered }
    }

    /// The step at which the problem began.
    pub fn began(&self) -> Option<i64> {
        self.headline().began()
    }

    /// The trials of the current cause, which may have changed since the run was resumed.
    pub fn tried<'c>(&self, all: &'c [Confirmation]) -> Vec<&'c Confirmation> {
        all.iter().filter(|it| Some(&it.cause) == self.cause.as_ref()).collect()
    }

    /// The advice, unless it was tried and did not help.
    pub fn advice_after(&self, all: &[Confirmation]) -> Option<&str> {
        let failed = self.tried(all).iter().any(|it| it.outcome == TrialOutcome::NotConfirmed);
        self.advice.as_deref().filter(|_| !failed)
    }
}

/// Something that was found besides the verdict.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Finding {
    pub finding: Word<FindingKind>,
    pub step: Option<i64>,
    pub sentence: String,
}

/// A figure, and the bound that it was compared with.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Evidence {
    /// The verdict, or a finding.
    pub about: Word<About>,
    pub signal: Word<Signal>,
    /// `None` if it is not finite; see `value_kind`.
    pub value: Option<f64>,
    pub value_kind: LossKind,
    pub bound: Option<f64>,
    pub step: Option<i64>,
    pub sentence: String,
}

/// A check, made or not.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Check {
    pub name: Word<CheckName>,
    pub made: bool,
    /// Its result, or why it was not made.
    pub note: String,
}

/// The outcome of testing a cause.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Confirmation {
    /// The run that differs only in the parameter that the cause blames.
    pub trial: RunId,
    pub cause: Word<Cause>,
    pub outcome: TrialOutcome,
    pub sentence: String,
}
