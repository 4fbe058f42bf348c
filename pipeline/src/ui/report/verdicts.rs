//! Verdicts with their evidence.

use maud::{Markup, html};

use super::summary::badge;
use super::words::{harmless, some_are_whole};
use crate::ui::format::{self, count};
use identity::verdict::{Check, Evidence};
use view::report::{ReportView, ReportedRun};

/// The section on verdicts.
pub fn section(report: &ReportView) -> Markup {
    let few = report.runs.len() <= 2;
    html! {
        section #verdicts {
            h2 { "Verdicts" }
            p.faint { "The evidence is consistent with the cause in a verdict; only a trial can confirm the cause." }
            (some_are_whole(report, "pipeline diagnose RUN"))
            @for run in report.runs.iter().filter(|run| run.whole) {
                details.run id=(format!("verdict-{}", run.summary.run.0)) data-run=(run.summary.run.0) open[few] {
                    summary { h3 { (run.words()) } " " (badge(run.verdict.verdict)) " " span.sentence { (run.verdict.sentence) } }
                    (verdict(run))
                }
            }
        }
    }
}

fn verdict(run: &ReportedRun) -> Markup {
    let it = &run.verdict;
    html! {
        dl {
            @if let Some(cause) = &it.cause { dt { "consistent with" } dd { (cause.as_str().replace('_', " ")) } }
            @if let Some(onset) = it.began() { dt { "onset" } dd { "step " (count(onset)) } }
            @if let Some(recovered) = it.recovered { dt { "recovered" } dd { (if recovered { "yes" } else { "no" }) } }
            @if let Some(advice) = it.advice_after(&run.confirmations) { dt { "advice" } dd { (advice) } }
            @if let Some(standing) = &run.standing { dt { "baselines" } dd { "the last validation loss, " (standing) } }
            dt { "judged by" } dd { "version " (it.rules) " of the rules" }
        }
        @if let Some(error) = &run.summary.error { p.alarm { (harmless(error)) } }
        (evidence(&it.evidence))
        @if !it.findings.is_empty() {
            h4 { "Findings" }
            ul { @for finding in &it.findings {
                li {
                    strong { (finding.finding.as_str().replace('_', " ")) }
                    @if let Some(step) = finding.step { " at step " (count(step)) }
                    ": " (finding.sentence)
                }
            } }
        }
        @if !it.tried(&run.confirmations).is_empty() {
            h4 { "Confirmations" }
            ul { @for trial in it.tried(&run.confirmations) {
                li {
                    strong { (trial.cause.as_str().replace('_', " ")) ": " (trial.outcome.as_str().replace('_', " ")) }
                    " by run" (trial.trial) ". " (trial.sentence)
                }
            } }
        }
        (checks(&it.checks))
        @if !run.events.is_empty() {
            h4 { "Events" }
            ul {
                @for event in run.events.iter().take(MOST_EVENTS) {
                    li { @if let Some(step) = event.step { "step " (count(step)) ": " } (harmless(&event.message)) }
                }
                @if run.events.len() > MOST_EVENTS { li.faint { (run.events.len() - MOST_EVENTS) " more events" } }
            }
        }
    }
}

/// The most events that the page lists; the record has all of them.
const MOST_EVENTS: usize = 12;

fn evidence(rows: &[Evidence]) -> Markup {
    html! {
        @if !rows.is_empty() {
            div.wide { table {
                caption { "Evidence" }
                thead { tr {
                    th scope="col" { "about" } th scope="col" { "signal" } th.number scope="col" { "value" }
                    th.number scope="col" { "bound" } th.number scope="col" { "step" } th scope="col" { "" }
                } }
                tbody { @for row in rows { tr {
                    td { (row.about.as_str().replace('_', " ")) }
                    th scope="row" { (row.signal.as_str().replace('_', " ")) }
                    td.number { (format::loss(row.value, Some(row.value_kind))) }
                    td.number { (row.bound.map_or(format::NOTHING.to_owned(), format::float)) }
                    td.number { (row.step.map_or(format::NOTHING.to_owned(), count)) }
                    td { (row.sentence) }
                } } }
            } }
        }
    }
}

fn checks(rows: &[Check]) -> Markup {
    let (made, not): (Vec<&Check>, Vec<&Check>) = rows.iter().partition(|check| check.made);
    html! {
        @for (words, rows) in [("Checks made", made), ("Checks not made, and why", not)] {
            @if !rows.is_empty() {
                h4 { (words) }
                ul.checks { @for check in rows { li { strong { (check.name.as_str().replace('_', " ")) } ": " (check.note) } } }
            }
        }
    }
}
