//! The sections on where the numbers come from and how to reproduce them.

use identity::{Cell, RunId, Status};
use maud::{Markup, html};

use super::words::harmless;
use crate::ui::format::{self, count};
use record::read::Execution;
use view::report::ReportView;

/// The section on forks and executions.
pub fn section(report: &ReportView) -> Markup {
    let forked: Vec<_> = report.runs.iter().filter(|run| !run.forks.is_empty()).collect();
    html! {
        section #lineage {
            h2 { "Lineage" }
            @if !forked.is_empty() {
                h3 { "Forks" }
                ul { @for run in forked { li {
                    (run.words())
                    @for (at, fork) in run.forks.iter().enumerate() {
                        @if at == 0 { ", forked from " } @else { ", which was forked from " }
                        @match fork.parent { Some(parent) => { "run" (parent) } None => { "a deleted run" } }
                        " at step " (count(fork.step))
                    }
                } } }
            }
            details open[report.executions.len() <= 40] {
                summary { h3 { "Stages" } " " span.faint { (executed(report)) } }
                div.wide { table {
                    caption { "Each row is one execution; keys and outputs show the first 12 digits of a SHA-256" }
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
                        (count(report.unlisted as i64)) " executions are not shown; to list all: "
                        code { "pipeline sql 'SELECT * FROM run_lineage'" }
                    }
                }
            }
        }
    }
}

/// How many executions there were, and how often a run took one from the cache.
fn executed(report: &ReportView) -> String {
    let sum = |of: fn(&Execution) -> usize| report.executions.iter().map(of).sum::<usize>();
    format!("{} executed, {} taken from the cache", sum(|it| it.executed.0.len().min(1)), sum(|it| it.cached.0.len()))
}

fn digits(digest: &str) -> String {
    digest.chars().take(12).collect()
}

/// The names of runs, such as `run1, run2`, or their number if there are many.
fn runs(of: &[RunId]) -> String {
    match of {
        [] => format::NOTHING.to_owned(),
        few if few.len() <= 5 => few.iter().map(|run| run.to_string()).collect::<Vec<_>>().join(", "),
        many => format!("{} runs", many.len()),
    }
}

/// The section on the environment, with the commands that reproduce the runs.
pub fn environment(report: &ReportView) -> Markup {
    let (differing, same): (Vec<_>, Vec<_>) = report.circumstances.iter().partition(|row| row.differs());
    let shown = |value: &Option<Cell>| value.as_ref().map_or(format::NOTHING.to_owned(), format::cell);
    html! {
        section #environment {
            h2 { "Environment and reproduction" }
            dl {
                @for row in same { dt { (row.name) } dd { (row.values.first().map_or(format::NOTHING.to_owned(), shown)) } }
                @for (name, digest) in &report.inputs { dt { "corpus, " (name) } dd { code { (digest) } } }
            }
            @if !differing.is_empty() {
                div.wide { table {
                    caption { "Values that differ between runs" }
                    thead { tr { th scope="col" { "run" } @for row in &differing { th scope="col" { (row.name) } } } }
                    tbody { @for (place, run) in report.runs.iter().enumerate() { tr {
                        th scope="row" { (run.summary.name()) }
                        @for row in &differing { td { (shown(&row.values[place])) } }
                    } } }
                } }
            }
            h3 { "Reproduce" }
            p { "Runs with the same build, libtorch, thread count and kind of CPU have bitwise identical numbers." }
            pre { @for command in &report.again.commands { code { (command) } "\n" } }
            @for (path, text) in &report.again.experiments {
                details { summary { (path) ", as recorded" } pre { code { (harmless(text)) } } }
            }
        }
    }
}
