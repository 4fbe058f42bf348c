//! What sections of the page have in common.

use maud::{Markup, html};
use view::report::ReportView;

use crate::ui::format;

/// What is said above a section in which not every run is shown.
pub fn some_are_whole(report: &ReportView, instead: &str) -> Markup {
    let whole = report.runs.iter().filter(|run| run.whole).count();
    html! {
        @if whole < report.runs.len() {
            p.faint {
                "Of " (format::count(report.runs.len() as i64)) " runs " (whole) " are shown here: the best, and some of each verdict. "
                "For another: " code { (instead) }
            }
        }
    }
}

/// A text that a page may show: without control characters and those that turn the direction of what follows.
pub fn harmless(text: &str) -> String {
    text.split('\n').map(format::line).collect::<Vec<_>>().join("\n")
}
