//! Where the numbers come from, and how they are had again.

use identity::{Cell, RunId, Status};
use maud::{Markup, html};

use super::words::harmless;
use crate::ui::format::{self, count};
use record::read::Execution;
use view::report::ReportView;

/// What computed what.
pub fn section(report: &ReportView) -> Markup {
    let forked: Vec<_> = report.runs.iter().filter(|run| !run.forks.is_empty()).collect();
    html! {
        section #lineage {
            h2 { "Lineage" }
            @if !forked.is_empty() {
                h3 { "Forks" }
                ul { @for run in forked { li {
                    (run.words())
                    @for fork in &run.forks {
                        ", forked from "
                        @match fork.parent { Some(parent) => { "run" (parent) } None => { "a run that is gone" } }
                        " at step " (count(fork.step))
                    }
                } } }
            }
            details open[report.executions.len() <= 40] {
                summary { h3 { "Stages" } " " span.faint { (executed(report)) } }
                div.wide { table {
                    caption { "A row is one execution; digests are the first twelve digits of SHA-256" }
                    thead { tr {
                        th scope="col" { "stage" } th scope="col" { "item" } th scope="col" { "executed for" }
                        th scope="col" { "cached for" } th.number scope="col" { "time" } th scope="col" { "key" }
                        th scope="col" { "outputs" }
                    } }
                    tbody { @for it in &report.executions { tr {
                        th scope="row" { (it.stage) }
                        td { (it.item) @if it.status != Status::Finished { " " em { (it.status) } } }
                        td { (runs(&it.executed.0)) }
                        td { (runs(&it.cached.0)) }
                        td.number { (it.seconds.map_or(format::NOTHING.to_owned(), format::seconds)) }
                        td { code { (digits(&it.stage_key)) } }
                        td { @for (name, digest) in &it.outputs.0 { span.output { (name) " " code { (digits(digest)) } } " " } }
                    } } }
                } }
                @if report.unlisted > 0 {
                    p.faint {
                        (count(report.unlisted as i64)) " executions are left out: "
                        code { "pipeline sql 'SELECT * FROM run_lineage'" } " has all"
                    }
                }
            }
        }
    }
}

/// How many were executed, how many spared.
fn executed(report: &ReportView) -> String {
    let sum = |of: fn(&Execution) -> usize| report.executions.iter().map(of).sum::<usize>();
    format!("{} executed, {} times cached", sum(|it| it.executed.0.len().min(1)), sum(|it| it.cached.0.len()))
}

fn digits(digest: &str) -> String {
    digest.chars().take(12).collect()
}

/// `run1, run2`; of many, how many.
fn runs(of: &[RunId]) -> String {
    match of {
        [] => format::NOTHING.to_owned(),
        few if few.len() <= 5 => few.iter().map(|run| run.to_string()).collect::<Vec<_>>().join(", "),
        many => format!("{} runs", many.len()),
    }
}

/// What it ran on, and what a shell is told to have it again.
pub fn environment(report: &ReportView) -> Markup {
    let (differing, same): (Vec<_>, Vec<_>) = report.circumstances.iter().partition(|row| row.differs());
    let shown = |value: &Option<Cell>| value.as_ref().map_or(format::NOTHING.to_owned(), format::cell);
    html! {
        section #environment {
            h2 { "Environment, and how to reproduce" }
            dl {
                @for row in same { dt { (row.name) } dd { (row.values.first().map_or(format::NOTHING.to_owned(), shown)) } }
                @for (name, digest) in &report.inputs { dt { "corpus, " (name) } dd { code { (digest) } } }
            }
            @if !differing.is_empty() {
                div.wide { table {
                    caption { "Not the same for all runs" }
                    thead { tr { th scope="col" { "run" } @for row in &differing { th scope="col" { (row.name) } } } }
                    tbody { @for (place, run) in report.runs.iter().enumerate() { tr {
                        th scope="row" { (run.summary.name()) }
                        @for row in &differing { td { (shown(&row.values[place])) } }
                    } } }
                } }
            }
            h3 { "Again" }
            p { "The same build, libtorch, threads and kind of CPU give the same bits." }
            pre { @for command in &report.again.commands { code { (command) } "\n" } }
            @for (path, text) in &report.again.experiments {
                details { summary { (path) " as it was" } pre { code { (harmless(text)) } } }
            }
        }
    }
}
