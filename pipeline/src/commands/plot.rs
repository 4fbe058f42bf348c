//! `pipeline plot`.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::args::{PlotArgs, Theme};
use crate::commands::reading::Reader;
use crate::failure::Failure;
use crate::places::Paths;
use crate::ui::{self, format};
use chart::png::{self, SCALE};
use chart::svg::{Look, svg};
use chart::{Chart, Quantity, Range};
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
    let mut reader = Reader::open(paths)?;
    let rows = |runs: usize| (ALL / runs.max(1) as i64).clamp(FEWEST, ROWS);
    let runs = reader.named(&args.selectors)?;
    let runs = Pictured::read(&mut reader, runs, &args.selectors, what, rows)?;
    let chart = runs.chart(&mut reader.record, what)?;
    let look = Look { width: args.width, height: args.height, shade: args.theme.into() };
    let drawn = svg(&chart, range(&chart, args.log_y)?, look);
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
    write(&args.output, &bytes, paths)?;
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

/// Writes a file that somebody asked for, whole or not at all: what stood there stays until the new one is complete.
pub fn write(path: &Path, bytes: &[u8], paths: &Paths) -> Result<(), Failure> {
    let there = std::fs::canonicalize(path).ok();
    if there.is_some() && there == std::fs::canonicalize(&paths.db).ok() {
        let message = format!("{}: that is the database", format::path(path));
        return Err(Failure::input(message, "name another file with -o"));
    }
    put(path, there, bytes).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => "make its folder first, or name another file with -o",
            std::io::ErrorKind::StorageFull => "free some space, or name a file elsewhere with -o",
            _ => "name a file that can be written with -o",
        };
        let message = format!("{}: it can't be written: {error}", format::path(path));
        match error.kind() {
            std::io::ErrorKind::StorageFull => Failure::failed(message, hint),
            _ => Failure::input(message, hint),
        }
    })
}

fn put(path: &Path, there: Option<PathBuf>, bytes: &[u8]) -> std::io::Result<()> {
    // A device or a pipe is no file that could be replaced.
    if there.as_ref().is_some_and(|there| !there.is_file()) {
        return std::fs::write(path, bytes);
    }
    let target = there.unwrap_or_else(|| path.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let permissions = match target.metadata() {
        Ok(meta) => meta.permissions(),
        Err(_) => std::fs::Permissions::from_mode(0o666),
    };
    let mut file = tempfile::Builder::new().prefix(".pipeline-").permissions(permissions).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(&target).map(|_| ()).map_err(|error| error.error)
}
