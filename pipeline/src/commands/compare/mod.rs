//! `pipeline compare`.

mod around;
mod parts;
mod study;
mod texts;

use crate::args::CompareArgs;
use crate::ui;
use crate::ui::look::Look;
use crate::ui::watch::Terminal;
use session::Reader;
use session::failure::Failure;
use session::places::Paths;
use view::compare::CompareView;
use view::document::View;

/// Compares runs.
pub fn compare(args: CompareArgs, paths: &Paths) -> Result<(), Failure> {
    let mut reader = Reader::open(paths, Terminal)?;
    let runs = reader.named(&args.selectors)?;
    if let [only] = runs[..] {
        let typed = args.selectors.join(" ");
        let message = format!("{typed} selects only {only}; a comparison requires two or more runs");
        return Err(Failure::input(message, format!("to show that run: pipeline show {only}")));
    }
    let look = Look::stdout();
    let all = CompareView::read(&mut reader, &runs, look.width as i64 * 8)?;
    ui::data(&if args.json { ui::document(View::Compare(&all)) } else { parts::screen(&all, look) });
    Ok(())
}

#[cfg(test)]
mod tests;
