//! `pipeline report`: writes runs as one HTML page.

use crate::args::ReportArgs;
use crate::ui::report::page;
use crate::ui::watch::Terminal;
use crate::ui::{self, file, format};
use session::Reader;
use session::failure::Failure;
use session::places::Paths;
use view::report::ReportView;

/// Writes the page.
pub fn report(args: &ReportArgs, paths: &Paths) -> Result<(), Failure> {
    let name = args.output.extension().map(|it| it.to_string_lossy().to_lowercase());
    if let Some(other) = name.filter(|name| !["html", "htm"].contains(&&**name)) {
        let message = format!("{}: a report is an HTML file, not .{other}", format::path(&args.output));
        return Err(Failure::input(message, format!("-o {}", format::path(&args.output.with_extension("html")))));
    }
    let mut reader = Reader::open(paths, Terminal)?;
    let runs = reader.named(&args.selectors)?;
    let made = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M").to_string();
    let report = ReportView::read(&mut reader, runs, &args.selectors, made, env!("CARGO_PKG_VERSION"))?;
    let page = page(&report);
    if args.output.as_os_str() == "-" {
        ui::data(&page);
        return Ok(());
    }
    file::write(&args.output, page.as_bytes(), paths)?;
    let size = format::bytes(page.len() as u64);
    ui::talk(&format!("wrote {} ({size}): {}", format::path(&args.output), report.of));
    Ok(())
}

#[cfg(test)]
mod tests;
