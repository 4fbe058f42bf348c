//! The samples that the runs drew during training.

use maud::{Markup, html};

use super::words::{harmless, some_are_whole};
use crate::ui::format::count;
use identity::SampleRow;
use view::report::{ReportView, ReportedRun};
use view::sample::{decode, figures};

/// The section on samples.
pub fn section(report: &ReportView) -> Markup {
    let any = report.runs.iter().any(|run| !run.samples.is_empty());
    html! {
        section #samples {
            h2 { "Samples during training" }
            @if !any { p { "No run has samples." } } @else { (some_are_whole(report, "pipeline show RUN")) }
            @for run in report.runs.iter().filter(|run| !run.samples.is_empty()) {
                details.run data-run=(run.summary.run.0) open[report.runs.len() == 1] {
                    summary { h3 { (run.words()) } " " span.faint { (latest(run)) } }
                    @for same in run.samples.chunk_by(|a, b| a.step == b.step) {
                        h4 { "checkpoint " (count(same[0].step.unwrap_or(0))) }
                        @for sample in same { (text(sample)) }
                    }
                    @if run.untold > 0 {
                        p.faint {
                            (count(run.untold as i64)) " samples are not shown; to list all: "
                            code { "pipeline sql 'SELECT * FROM run_samples WHERE run = " (run.summary.run.0) "'" }
                        }
                    }
                }
            }
        }
    }
}

/// The figures of the last sample, which show whether a run is worth unfolding.
fn latest(run: &ReportedRun) -> String {
    run.samples.last().map_or(String::new(), figures)
}

fn text(sample: &SampleRow) -> Markup {
    html! {
        figure.sample {
            figcaption { strong { (decode(&sample.decode)) } " " span.faint { (figures(sample)) } }
            @if sample.text.is_empty() {
                p.faint { "no text" @if let Some(why) = &sample.why_empty { ": " (why) } }
            } @else {
                blockquote {
                    @if !sample.prompt.is_empty() { strong { (harmless(&sample.prompt)) } " " }
                    (harmless(&squeezed(&sample.text)))
                }
            }
        }
    }
}

/// The longest pattern of repeated lines that is recognised.
const LONGEST: usize = 4;

/// A text whose repeated lines are written once, with a count.
fn squeezed(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut shown: Vec<String> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let repeats = |period: &usize| {
            let pattern = &lines[at..at + period];
            lines[at..].chunks_exact(*period).take_while(|chunk| *chunk == pattern).count()
        };
        let periods = 1..=LONGEST.min(lines.len() - at);
        let found = periods.map(|period| (period, repeats(&period))).find(|(_, times)| *times > 2);
        let Some((period, times)) = found else {
            shown.push(lines[at].to_owned());
            at += 1;
            continue;
        };
        let what = if period == 1 { "line" } else { "lines" };
        if lines[at..at + period].iter().all(|line| line.is_empty()) {
            shown.push(format!("({times} empty lines)"));
        } else {
            shown.extend(lines[at..at + period].iter().map(|line| (*line).to_owned()));
            let number = if period == 1 { String::new() } else { format!("{period} ") };
            shown.push(format!("(the same {number}{what} {} more times)", times - 1));
        }
        at += period * times;
    }
    shown.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_lines_are_written_once() {
        assert_eq!(squeezed("a\nb\nb\nc"), "a\nb\nb\nc");
        assert_eq!(squeezed("a\nThe.\nThe.\nThe.\nend"), "a\nThe.\n(the same line 2 more times)\nend");
        assert_eq!(squeezed("[Exit]\n\n[Exit]\n\n[Exit]\n\n"), "[Exit]\n\n(the same 2 lines 2 more times)");
        assert_eq!(squeezed("\n\n\n\n"), "(4 empty lines)");
    }
}
