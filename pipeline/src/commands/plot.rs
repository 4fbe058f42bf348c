//! `pipeline plot`.

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

/// Rows of a curve: a few for each pixel of the widest picture that anybody prints.
const ROWS: i64 = 2000;

/// Rows of all curves together: of very many, each is a band that fewer rows draw as well.
const ALL: i64 = 100_000;

/// The fewest rows of a curve.
const FEWEST: i64 = 50;

/// A file's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Svg,
    Png,
}

/// Draws runs.
pub fn plot(args: &PlotArgs, paths: &Paths) -> Result<(), Failure> {
    let format = format_of(&args.output)?;
    if format == Format::Png && args.theme == Theme::Auto {
        let message = "--theme auto is for SVG, which can follow its reader; a PNG is light or dark";
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
            Failure::failed(format!("{}: the picture can't be drawn: {why}", format::path(&args.output)), "-o FILE.svg")
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

/// The axis, or why there can be none.
fn range(chart: &Chart, log: bool) -> Result<Range, Failure> {
    let what = chart.quantity.column();
    if chart.is_empty() {
        let message = format!("{}: there is no {what} to be drawn", chart.of);
        return Err(Failure::input(message, "pipeline show names what a run has; --what draws something else"));
    }
    match (Range::of(chart, log), Range::of(chart, false)) {
        (Some(range), _) => Ok(range),
        (None, Some(_)) => {
            let message =
                format!("{}: a logarithmic axis can't hold {what}, which is 0 or less at some steps", chart.of);
            Err(Failure::input(message, "leave out --log-y"))
        }
        // Not one finite value: the crosses that say so stand on an axis of no meaning.
        (None, None) => Ok(Range { low: 0.0, high: 1.0, log: false, cut: false }),
    }
}

/// The format that a file's name says.
fn format_of(path: &Path) -> Result<Format, Failure> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        _ if path.as_os_str() == "-" => Ok(Format::Svg),
        Some("svg") => Ok(Format::Svg),
        Some("png") => Ok(Format::Png),
        _ => {
            let hint = format!("-o {}", format::path(&path.with_extension("svg")));
            Err(Failure::input(format!("{}: a picture is .svg or .png", format::path(path)), hint))
        }
    }
}
