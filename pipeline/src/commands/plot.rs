//! `pipeline plot`: writes curves as SVG or PNG.

use std::path::Path;

use crate::args::{PlotArgs, Theme};
use crate::ui::watch::Terminal;
use crate::ui::{self, file, format};
use chart::png::{self, SCALE};
use chart::svg::{Canvas, svg};
use chart::{Chart, Quantity, Range};
use session::Reader;
use session::failure::Failure;
use session::places::Paths;
use view::pictures::Pictured;

/// The most values that are read for a curve: a few per pixel of the widest picture that is likely to be printed.
const ROWS: i64 = 2000;

/// The most values that are read for all curves together. With very many curves, fewer values each look the same.
const ALL: i64 = 100_000;

/// The fewest values that are read for a curve.
const FEWEST: i64 = 50;

/// The format of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Svg,
    Png,
}

/// Plots runs.
pub fn plot(args: &PlotArgs, paths: &Paths) -> Result<(), Failure> {
    let format = format_of(&args.output)?;
    if format == Format::Png && args.theme == Theme::Auto {
        let message = "--theme auto requires SVG; a PNG is either light or dark";
        return Err(Failure::input(message, "--theme light"));
    }
    let what = Quantity::from(args.what);
    let mut reader = Reader::open(paths, Terminal)?;
    let rows = |runs: usize| (ALL / runs.max(1) as i64).clamp(FEWEST, ROWS);
    let runs = reader.named(&args.selectors)?;
    let runs = Pictured::read(&mut reader, runs, &args.selectors, what, rows)?;
    let chart = runs.chart(&mut reader.record, what)?;
    let canvas = Canvas { width: args.width, height: args.height, shade: args.theme.into() };
    let drawn = svg(&chart, range(&chart, args.log_y)?, canvas);
    if args.output.as_os_str() == "-" {
        ui::data(&drawn);
        return Ok(());
    }
    let bytes = match format {
        Format::Svg => drawn.into_bytes(),
        Format::Png => png::png(&drawn).map_err(|why| {
            let message = format!("{}: can't draw the picture: {why}", format::path(&args.output));
            Failure::failed(message, "write an SVG instead: -o FILE.svg")
        })?,
    };
    file::write(&args.output, &bytes, paths)?;
    let pixels = |n: u32| (f64::from(n) * f64::from(SCALE)) as u32;
    let size = match format {
        Format::Svg => String::new(),
        Format::Png => format!(" ({} × {} pixels)", pixels(args.width), pixels(args.height)),
    };
    ui::talk(&format!("wrote {}{size}: {}, of {}", format::path(&args.output), what.title(), runs.of));
    Ok(())
}

/// The range of the y axis, or why the chart has none.
fn range(chart: &Chart, log: bool) -> Result<Range, Failure> {
    let what = chart.quantity.column();
    if chart.is_empty() {
        let message = format!("{}: there is no {what} to plot", chart.of);
        let hint = "plot another quantity with --what; to see what a run has: pipeline show RUN";
        return Err(Failure::input(message, hint));
    }
    match (Range::of(chart, log), Range::of(chart, false)) {
        (Some(range), _) => Ok(range),
        (None, Some(_)) => {
            let message = format!("{}: --log-y requires positive values; {what} is 0 or less at some steps", chart.of);
            Err(Failure::input(message, "remove --log-y"))
        }
        // There is no finite value, but the crosses that mark NaN and Inf need an axis.
        (None, None) => Ok(Range { low: 0.0, high: 1.0, log: false, cut: false }),
    }
}

/// The format that the extension of a file asks for.
fn format_of(path: &Path) -> Result<Format, Failure> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        _ if path.as_os_str() == "-" => Ok(Format::Svg),
        Some("svg") => Ok(Format::Svg),
        Some("png") => Ok(Format::Png),
        _ => {
            let hint = format!("-o {}", format::path(&path.with_extension("svg")));
            Err(Failure::input(format!("{}: the file must end in .svg or .png", format::path(path)), hint))
        }
    }
}
