//! A verdict, and what it rests on.

#![allow(missing_docs, reason = "fields are columns, which docs/sql.md explains; comments go into the JSON Schema")]

use schemars::JsonSchema;
use serde::Serialize;

use super::{About, Cause, CheckName, FindingKind, Kind, Signal, TrialOutcome};
use crate::{LossKind, RunId, Word};

/// What is concluded of one run.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Verdict {
    pub verdict: Kind,
    /// What it is consistent with; confirmed by trial alone.
    pub cause: Option<Word<Cause>>,
    /// The step at which it began.
    pub onset: Option<i64>,
    pub recovered: Option<bool>,
    pub sentence: String,
    /// What to do; never about the rate where there is a data fault.
    pub advice: Option<String>,
    pub rules: i64,
    /// What there was of the run when it was judged.
    #[serde(skip)]
    pub seen: String,
    pub findings: Vec<Finding>,
    pub evidence: Vec<Evidence>,
    pub checks: Vec<Check>,
}

/// A verdict in a few words: what a line of a table says of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Headline {
    pub verdict: Kind,
    /// The step at which it began.
    pub onset: Option<i64>,
    pub recovered: Option<bool>,
}

impl Headline {
    /// The step at which something began: a text that is wrong throughout begins nowhere.
    pub fn began(&self) -> Option<i64> {
        self.onset.filter(|step| *step > 0 || self.verdict != Kind::DataFault)
    }
}

impl Verdict {
    /// What is said of it in a few words.
    pub fn headline(&self) -> Headline {
        Headline { verdict: self.verdict, onset: self.onset, recovered: self.recovered }
    }

    /// The step at which something began.
    pub fn began(&self) -> Option<i64> {
        self.headline().began()
    }

    /// The trials of the cause that stands: a run that went on may have another now.
    pub fn tried<'c>(&self, all: &'c [Confirmation]) -> Vec<&'c Confirmation> {
        all.iter().filter(|it| Some(&it.cause) == self.cause.as_ref()).collect()
    }

    /// The advice, unless it was tried and did not help.
    pub fn advice_after(&self, all: &[Confirmation]) -> Option<&str> {
        let failed = self.tried(all).iter().any(|it| it.outcome == TrialOutcome::NotConfirmed);
        self.advice.as_deref().filter(|_| !failed)
    }
}

/// Something else that was found.
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
    /// `None` where it is not finite, which `value_kind` says.
    pub value: Option<f64>,
    pub value_kind: LossKind,
    pub bound: Option<f64>,
    pub step: Option<i64>,
    pub sentence: String,
}

/// A check that was made, or was not.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Check {
    pub name: Word<CheckName>,
    pub made: bool,
    /// What it came to, or why it was not made.
    pub note: String,
}

/// What came of trying a cause.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Confirmation {
    /// The run that is the same but for what the cause names.
    pub trial: RunId,
    pub cause: Word<Cause>,
    pub outcome: TrialOutcome,
    pub sentence: String,
}
