//! Text that the sections of the page share.

use maud::{Markup, html};
use view::report::ReportView;

use crate::ui::format;

/// The note above a section that does not show every run.
pub fn some_are_whole(report: &ReportView, instead: &str) -> Markup {
    let whole = report.runs.iter().filter(|run| run.whole).count();
    html! {
        @if whole < report.runs.len() {
            p.faint {
                (whole) " of " (format::count(report.runs.len() as i64))
                " runs are shown here: the best, and some with each verdict. For any other run: " code { (instead) }
            }
        }
    }
}

/// A text made safe to show: without control characters and characters that change the text direction.
pub fn harmless(text: &str) -> String {
    text.split('\n').map(format::line).collect::<Vec<_>>().join("\n")
}
