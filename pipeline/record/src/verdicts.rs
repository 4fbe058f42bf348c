//! Verdicts: what was concluded about a run, and on what evidence.

use identity::verdict::{Check, Confirmation, Headline, Kind, Verdict};
use identity::{RunId, StepRow, TraceRow, Word};

use super::read::{each, each_plain, list, many, plain};
use super::{Record, Result, now, sql};

/// Whether a run's verdict is up to date.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct VerdictState {
    #[sqlx(try_from = "i64")]
    pub run: RunId,
    /// The version of the rules of the recorded verdict, if there is one.
    pub rules: Option<i64>,
    pub seen: Option<String>,
    /// What `seen` would be for a new verdict.
    pub now: String,
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
    /// Whether the verdicts of the given runs, or all, are up to date; ascending by run.
    pub fn verdict_states(&mut self, runs: Option<&[RunId]>) -> Result<Vec<VerdictState>> {
        let runs = runs.map(list);
        self.wait(async |c| many(sqlx::query_as(sql!("read_verdict_states")).bind(runs).fetch_all(c)).await)
    }

    /// A run's latest verdict.
    pub fn verdict(&mut self, run: RunId) -> Result<Option<Verdict>> {
        Ok(self.verdicts(&[run])?.pop().flatten())
    }

    /// The latest verdicts of the given runs, without findings, evidence and checks, in the order of the runs.
    pub fn headlines(&mut self, runs: &[RunId]) -> Result<Vec<Option<Headline>>> {
        self.wait(async |c| each_plain(c, runs, sqlx::query_as(sql!("read_headlines")).bind(list(runs))).await)
            .map(|found: Vec<Vec<Headline>>| found.into_iter().map(|mut of| of.pop()).collect())
    }

    /// The latest verdicts of the given runs, in the order of the runs.
    pub fn verdicts(&mut self, runs: &[RunId]) -> Result<Vec<Option<Verdict>>> {
        let names = || list(runs);
        self.wait(async |c| {
            let heads: Vec<Vec<VerdictRow>> = each(c, runs, sqlx::query_as(sql!("read_verdict")).bind(names())).await?;
            let findings = each_plain(c, runs, sqlx::query_as(sql!("read_findings")).bind(names())).await?;
            let evidence = each_plain(c, runs, sqlx::query_as(sql!("read_evidence")).bind(names())).await?;
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

    /// Records verdicts, each replacing the previous one of its run.
    pub fn conclude(&mut self, verdicts: &[(RunId, Verdict)]) -> Result<()> {
        self.transaction(async |c| {
            for (run, verdict) in verdicts {
                // If a verdict was deleted by hand, its findings, evidence and checks may still be there.
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

    /// The outcomes of a run's trials, in the order of the trials.
    pub fn confirmations(&mut self, run: RunId) -> Result<Vec<Confirmation>> {
        Ok(self.confirmations_of(&[run])?.pop().unwrap_or_default())
    }

    /// The outcomes of the trials of each of the given runs.
    pub fn confirmations_of(&mut self, runs: &[RunId]) -> Result<Vec<Vec<Confirmation>>> {
        self.wait(async |c| each_plain(c, runs, sqlx::query_as(sql!("read_confirmations")).bind(list(runs))).await)
    }

    /// Records the outcome of a trial, replacing an earlier one of the same trial.
    pub fn confirm(&mut self, run: RunId, found: &Confirmation) -> Result<()> {
        self.transaction(async |c| {
            let query =
                sqlx::query(sql!("insert_confirmation")).bind(run.0).bind(found.trial.0).bind(found.cause.as_str());
            query.bind(found.outcome.as_str()).bind(&found.sentence).bind(now()).execute(c).await.map(|_| ())
        })
    }

    /// The columns of a run's steps that verdicts read, by step.
    pub fn trace(&mut self, run: RunId) -> Result<Vec<TraceRow>> {
        self.wait(async |c| many(sqlx::query_as(sql!("read_trace")).bind(run.0).fetch_all(c)).await.map(plain))
    }

    /// The probed steps of a run.
    pub fn probes(&mut self, run: RunId) -> Result<Vec<StepRow>> {
        self.wait(async |c| sqlx::query_as(sql!("read_probes")).bind(run.0).fetch_all(c).await.map(plain))
    }
}
