//! Verdicts: what was concluded of a run, and what it rests on.

use schemars::JsonSchema;
use serde::Serialize;

pub use identity::verdict::Kind;
use identity::verdict::{About, Cause, CheckName, FindingKind, Signal, TrialOutcome};
use identity::{LossKind, RunId, Word};

use super::read::{each, list, many};
use super::{Record, Result, now, sql};

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

impl Verdict {
    /// The step at which something began: a text that is wrong throughout begins nowhere.
    pub fn began(&self) -> Option<i64> {
        self.onset.filter(|step| *step > 0 || self.verdict != Kind::DataFault)
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
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, sqlx::FromRow)]
pub struct Finding {
    #[sqlx(try_from = "String")]
    pub finding: Word<FindingKind>,
    pub step: Option<i64>,
    pub sentence: String,
}

/// A figure, and the bound that it was held against.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, sqlx::FromRow)]
pub struct Evidence {
    /// The verdict, or a finding.
    #[sqlx(try_from = "String")]
    pub about: Word<About>,
    #[sqlx(try_from = "String")]
    pub signal: Word<Signal>,
    /// `None` where it is not finite, which `value_kind` says.
    pub value: Option<f64>,
    #[sqlx(try_from = "String")]
    pub value_kind: LossKind,
    pub bound: Option<f64>,
    pub step: Option<i64>,
    pub sentence: String,
}

/// A check that was made, or was not.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, sqlx::FromRow)]
pub struct Check {
    #[sqlx(try_from = "String")]
    pub name: Word<CheckName>,
    pub made: bool,
    /// What it came to, or why it was not made.
    pub note: String,
}

/// What came of trying a cause.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, sqlx::FromRow)]
pub struct Confirmation {
    /// The run that is the same but for what the cause names.
    #[sqlx(try_from = "i64")]
    pub trial: RunId,
    #[sqlx(try_from = "String")]
    pub cause: Word<Cause>,
    #[sqlx(try_from = "String")]
    pub outcome: TrialOutcome,
    pub sentence: String,
}

/// Whether a run's verdict is still that of the run.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct VerdictState {
    #[sqlx(try_from = "i64")]
    pub run: RunId,
    /// Of the verdict that is there, if one is.
    pub rules: Option<i64>,
    pub seen: Option<String>,
    /// What `seen` would be of a verdict that is made now.
    pub now: String,
}

/// What a verdict reads of one step.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct TraceRow {
    pub step: i64,
    /// `None` where it was not finite.
    pub loss: Option<f64>,
    pub learning_rate: Option<f64>,
    pub grad_norm: Option<f64>,
    pub clipped: Option<bool>,
}

#[derive(sqlx::FromRow)]
struct VerdictRow {
    #[sqlx(try_from = "String")]
    verdict: Kind,
    cause: Option<String>,
    onset: Option<i64>,
    recovered: Option<bool>,
    sentence: String,
    advice: Option<String>,
    rules: i64,
    seen: String,
}

/// A run's checks as JSON.
#[derive(sqlx::FromRow)]
struct Checks {
    list: String,
}

impl Checks {
    fn parsed(self) -> sqlx::Result<Vec<Check>> {
        let mut rows: Vec<(i64, String, i64, String)> =
            serde_json::from_str(&self.list).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        rows.sort_by_key(|row| row.0);
        Ok(rows.into_iter().map(|(_, name, made, note)| Check { name: name.into(), made: made != 0, note }).collect())
    }
}

impl Record {
    /// Of some runs, or all: whether their verdicts still hold, ascending.
    pub fn verdict_states(&mut self, runs: Option<&[RunId]>) -> Result<Vec<VerdictState>> {
        let runs = runs.map(list);
        self.wait(async |c| many(sqlx::query_as(sql!("read_verdict_states")).bind(runs).fetch_all(c)).await)
    }

    /// A run's verdict as it was concluded last.
    pub fn verdict(&mut self, run: RunId) -> Result<Option<Verdict>> {
        Ok(self.verdicts(&[run])?.pop().flatten())
    }

    /// The verdicts of some runs as they were concluded last, in the order of the runs.
    pub fn verdicts(&mut self, runs: &[RunId]) -> Result<Vec<Option<Verdict>>> {
        let names = || list(runs);
        self.wait(async |c| {
            let heads: Vec<Vec<VerdictRow>> = each(c, runs, sqlx::query_as(sql!("read_verdict")).bind(names())).await?;
            let findings = each(c, runs, sqlx::query_as(sql!("read_findings")).bind(names())).await?;
            let evidence = each(c, runs, sqlx::query_as(sql!("read_evidence")).bind(names())).await?;
            let checks: Vec<Vec<Checks>> = each(c, runs, sqlx::query_as(sql!("read_checks")).bind(names())).await?;
            let parts = heads.into_iter().zip(findings).zip(evidence).zip(checks);
            let whole = parts.map(|(((mut head, findings), evidence), mut checks)| {
                let checks = checks.pop().map(Checks::parsed).transpose()?.unwrap_or_default();
                let Some(head) = head.pop() else { return Ok(None) };
                Ok(Some(Verdict {
                    verdict: head.verdict,
                    cause: head.cause.map(Word::from),
                    onset: head.onset,
                    recovered: head.recovered,
                    sentence: head.sentence,
                    advice: head.advice,
                    rules: head.rules,
                    seen: head.seen,
                    findings,
                    evidence,
                    checks,
                }))
            });
            whole.collect()
        })
    }

    /// Writes verdicts down, each in the place of the one before.
    pub fn conclude(&mut self, verdicts: &[(RunId, Verdict)]) -> Result<()> {
        self.transaction(async |c| {
            for (run, verdict) in verdicts {
                // Whoever removed a verdict by hand may have left what hangs on it.
                for forget in
                    [sql!("forget_findings"), sql!("forget_evidence"), sql!("forget_checks"), sql!("forget_verdict")]
                {
                    sqlx::query(forget).bind(run.0).execute(&mut *c).await?;
                }
                sqlx::query(sql!("insert_verdict"))
                    .bind(run.0)
                    .bind(verdict.verdict.as_str())
                    .bind(verdict.cause.as_ref().map(Word::as_str))
                    .bind(verdict.onset)
                    .bind(verdict.recovered)
                    .bind(&verdict.sentence)
                    .bind(&verdict.advice)
                    .bind(verdict.rules)
                    .bind(&verdict.seen)
                    .bind(now())
                    .execute(&mut *c)
                    .await?;
                for (at, finding) in (0i64..).zip(&verdict.findings) {
                    let query = sqlx::query(sql!("insert_finding")).bind(run.0).bind(at).bind(finding.finding.as_str());
                    query.bind(finding.step).bind(&finding.sentence).execute(&mut *c).await?;
                }
                for (at, evidence) in (0i64..).zip(&verdict.evidence) {
                    sqlx::query(sql!("insert_evidence"))
                        .bind(run.0)
                        .bind(at)
                        .bind(evidence.about.as_str())
                        .bind(evidence.signal.as_str())
                        .bind(evidence.value)
                        .bind(evidence.value_kind.as_str())
                        .bind(evidence.bound)
                        .bind(evidence.step)
                        .bind(&evidence.sentence)
                        .execute(&mut *c)
                        .await?;
                }
                for (at, check) in (0i64..).zip(&verdict.checks) {
                    let query = sqlx::query(sql!("insert_check")).bind(run.0).bind(at).bind(check.name.as_str());
                    query.bind(check.made).bind(&check.note).execute(&mut *c).await?;
                }
            }
            Ok(())
        })
    }

    /// What came of trying the causes of a run, in the order of the trials.
    pub fn confirmations(&mut self, run: RunId) -> Result<Vec<Confirmation>> {
        Ok(self.confirmations_of(&[run])?.pop().unwrap_or_default())
    }

    /// The same of each of some runs.
    pub fn confirmations_of(&mut self, runs: &[RunId]) -> Result<Vec<Vec<Confirmation>>> {
        self.wait(async |c| each(c, runs, sqlx::query_as(sql!("read_confirmations")).bind(list(runs))).await)
    }

    /// Writes down what came of a trial, in the place of what was written of the same before.
    pub fn confirm(&mut self, run: RunId, found: &Confirmation) -> Result<()> {
        self.transaction(async |c| {
            let query =
                sqlx::query(sql!("insert_confirmation")).bind(run.0).bind(found.trial.0).bind(found.cause.as_str());
            query.bind(found.outcome.as_str()).bind(&found.sentence).bind(now()).execute(c).await.map(|_| ())
        })
    }

    /// What a verdict reads of every step of a run, by step.
    pub fn trace(&mut self, run: RunId) -> Result<Vec<TraceRow>> {
        self.wait(async |c| many(sqlx::query_as(sql!("read_trace")).bind(run.0).fetch_all(c)).await)
    }

    /// The steps of a run at which more was measured.
    pub fn probes(&mut self, run: RunId) -> Result<Vec<super::read::StepRow>> {
        self.wait(async |c| sqlx::query_as(sql!("read_probes")).bind(run.0).fetch_all(c).await)
    }
}
