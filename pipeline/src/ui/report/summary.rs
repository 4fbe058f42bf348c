//! The top of the page: the outcome of the study, in a few lines and one table.

use identity::Status;
use maud::{Markup, html};

use crate::ui::format::{self, count};
use chart::colours;
use identity::verdict::Kind;
use insight::winner::{Group, Measure};
use view::report::{ReportView, ReportedRun};

/// The number of runs and their length: `5 runs, 1,000 steps each`.
pub fn runs_in_words(report: &ReportView) -> String {
    let steps: Vec<i64> = report.runs.iter().map(|run| run.summary.steps).collect();
    let (least, most) = (steps.iter().min().copied().unwrap_or(0), steps.iter().max().copied().unwrap_or(0));
    let each = if steps.len() > 1 { " each" } else { "" };
    let length = match least == most {
        true => format!("{} steps{each}", count(most)),
        false => format!("{} to {} steps", count(least), count(most)),
    };
    format!("{} run{}, {length}", count(steps.len() as i64), if steps.len() == 1 { "" } else { "s" })
}

/// A verdict's kind in words.
pub fn kind_words(kind: Kind) -> &'static str {
    match kind {
        Kind::DataFault => "data fault",
        Kind::TooLow => "rate too low",
        other => other.as_str(),
    }
}

/// The kinds of verdict, the most urgent first.
const KINDS: [Kind; 6] =
    [Kind::DataFault, Kind::Diverged, Kind::Unstable, Kind::TooLow, Kind::Inconclusive, Kind::Stable];

/// A verdict's kind as a badge.
pub fn badge(kind: Kind) -> Markup {
    html! { span class=(format!("badge {kind}")) { (kind_words(kind)) } }
}

/// The section on the outcome.
pub fn section(report: &ReportView) -> Markup {
    let of = |kind: Kind| report.runs.iter().filter(move |run| run.verdict.verdict == kind);
    let faulty: Vec<&ReportedRun> = of(Kind::DataFault).collect();
    html! {
        section #summary {
            h2 { "Summary" }
            @if !faulty.is_empty() {
                div.alarm role="note" {
                    p {
                        strong { "Fix the data first." }
                        " These runs have a data fault, so their losses say nothing about their learning rates."
                    }
                    ul { @for run in faulty { li { strong { (run.words()) } ": " (run.verdict.sentence) } } }
                }
            }
            p.leading { (leading(report)) }
            p.counts {
                @for kind in KINDS.into_iter().filter(|kind| of(*kind).next().is_some()) {
                    span.nowrap { (of(kind).count()) " " (badge(kind)) } " "
                }
            }
            (table(report))
        }
    }
}

fn leading(report: &ReportView) -> Markup {
    if let Some(why) = report.incomparable {
        return html! { "No best run: " (why) "." };
    }
    let Some(best) = &report.winner else {
        return html! { "No best run: with every setting, a run diverged, has a data fault or has no loss." };
    };
    let group = &report.groups[best.group];
    let loss = group.loss.unwrap_or(f64::NAN);
    let what = match best.by {
        Measure::Valid => "validation loss at its last checkpoint",
        Measure::Tail => "mean training loss over the last tenth of its steps",
    };
    let faulty = report.runs.iter().find(|run| {
        let lower = run.valid().and_then(|score| score.loss).is_some_and(|other| other < loss);
        best.by == Measure::Valid && run.verdict.verdict == Kind::DataFault && lower
    });
    html! {
        strong { (called(report, group)) } @if group.places.len() > 1 { " have on average" } @else { " has" }
        " the lowest " (what) ": " (format::float(loss)) " (perplexity " (format::perplexity(Some(loss.exp()), None)) ")"
        @if let (Some(next), Some(margin)) = (best.next, best.margin) {
            @let next = called(report, &report.groups[next]);
            @if margin > 0.0 { ", " (format::float(margin)) " nats below " (next) } @else { ", the same as " (next) }
            @if let Some(spread) = best.spread.filter(|spread| *spread > 0.0) {
                "; the standard deviation over seeds is " (format::float(spread))
                @if margin < spread { ", so there is no clear winner" }
            }
        }
        "."
        @if let Some(run) = faulty { " " (run.words()) " has a lower loss, but on faulty data." }
    }
}

/// The name of a group: its run, or its runs.
fn called(report: &ReportView, group: &Group) -> String {
    match group.places[..] {
        [only] => report.runs[only].words(),
        ref many => format::some(&many.iter().map(|place| report.runs[*place].summary.name()).collect::<Vec<_>>()),
    }
}

/// The heads of the columns of numbers.
fn numbers(report: &ReportView) -> Vec<&'static str> {
    let mut heads = vec!["steps", "last loss", "valid loss", "valid ppl"];
    heads.extend(report.runs.iter().any(|run| run.summary.test_loss_kind.is_some()).then_some("test ppl"));
    heads.extend(report.runs.iter().any(|run| run.summary.nonfinite_steps > 0).then_some("non-finite"));
    heads
}

/// CSS rules that label each number of a narrow table, which has no room for its head.
pub fn style(report: &ReportView) -> String {
    let numbers = numbers(report);
    let rules =
        (3..).zip(&numbers).map(|(n, head)| format!(".runs td:nth-of-type({n})::before{{content:\"{head} \"}}"));
    format!("@media (max-width:34rem){{{}}}", rules.collect::<String>())
}

fn table(report: &ReportView) -> Markup {
    let numbers = numbers(report);
    let has = |head: &str| numbers.contains(&head);
    html! {
        div.wide {
            table.runs {
                caption { "Runs and their verdicts" }
                thead { tr {
                    th scope="col" { "run" }
                    th scope="col" { "verdict" }
                    th scope="col" { "summary" }
                    @for head in &numbers { th.number scope="col" { (head) } }
                } }
                tbody { @for (place, run) in report.runs.iter().enumerate() {
                    @let it = &run.summary;
                    tr data-run=(it.run.0) {
                        th scope="row" class=(format!("m{}", colours::class(place))) {
                            @if run.whole { a href=(format!("#verdict-{}", it.run.0)) { (it.name()) } }
                            @else { (it.name()) }
                            @if run.label != it.name() { br; span.faint { (run.label) } }
                        }
                        td { (badge(run.verdict.verdict)) @if it.status != Status::Finished { br; span.faint { (it.status) } } }
                        td.sentence { (run.verdict.sentence) }
                        td { (count(it.steps)) }
                        td { (format::loss(it.last_loss, it.last_loss_kind)) }
                        td { (run.valid().map_or(format::NOTHING.to_owned(), |e| format::loss(e.loss, Some(e.loss_kind)))) }
                        td { (format::perplexity(it.valid_perplexity, it.valid_loss_kind)) }
                        @if has("test ppl") { td { (format::perplexity(it.test_perplexity, it.test_loss_kind)) } }
                        @if has("non-finite") { td { (count(it.nonfinite_steps)) } }
                    }
                } }
            }
        }
    }
}
