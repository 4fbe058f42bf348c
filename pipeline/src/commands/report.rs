//! `pipeline report`: gathers what the page shows.

use crate::args::ReportArgs;
use crate::commands::plot;
use crate::commands::reading::Reader;
use crate::failure::Failure;
use crate::places::Paths;
use crate::ui::report::page;
use crate::ui::{self, format};
use view::report::ReportView;

/// Writes a page.
pub fn report(args: &ReportArgs, paths: &Paths) -> Result<(), Failure> {
    let name = args.output.extension().map(|it| it.to_string_lossy().to_lowercase());
    if let Some(other) = name.filter(|name| !["html", "htm"].contains(&&**name)) {
        let message = format!("{}: a report is HTML, not .{other}", format::path(&args.output));
        return Err(Failure::input(message, format!("-o {}", format::path(&args.output.with_extension("html")))));
    }
    let mut reader = Reader::open(paths)?;
    let runs = reader.named(&args.selectors)?;
    let made = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M").to_string();
    let report = ReportView::read(&mut reader, runs, &args.selectors, made, env!("CARGO_PKG_VERSION"))?;
    let page = page(&report);
    if args.output.as_os_str() == "-" {
        ui::data(&page);
        return Ok(());
    }
    plot::write(&args.output, page.as_bytes(), paths)?;
    let size = format::bytes(page.len() as u64);
    ui::talk(&format!("wrote {} ({size}): {}", format::path(&args.output), report.of));
    Ok(())
}

#[cfg(test)]
mod tests;
