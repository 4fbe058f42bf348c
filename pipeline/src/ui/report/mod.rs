//! A study as one self-contained HTML page, whose content security policy blocks all network access.
//!
//! Tables, texts and curves (as SVG) are in the HTML; JavaScript adds zoom, toggles and a logarithmic axis.

mod data;
mod lineage;
mod samples;
mod summary;
mod verdicts;
mod words;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::ui::format;
use chart::Range;
use chart::colours::{DARK, LIGHT};
use chart::parallel::{self, Strand, Value};
use chart::svg::{Canvas, Shade, svg};
use identity::Cell;
use view::report::{ReportView, ReportedRun};

static UPLOT: &str = include_str!("assets/uPlot.iife.min.js");
static UPLOT_CSS: &str = include_str!("assets/uPlot.min.css");
static PLOT: &str = include_str!("assets/plot.js");
static PAGE: &str = include_str!("assets/page.js");
static CSS: &str = include_str!("assets/page.css");

/// The whole page.
pub fn page(report: &ReportView) -> String {
    let script = format!("{UPLOT}\n{PLOT}\n{PAGE}");
    let style = format!("{}\n{UPLOT_CSS}\n{CSS}\n{}", themes(), summary::style(report));
    let title = format!("{} – pipeline report", report.of);
    // With many runs, drawing the curves takes as long as everything else, so it has its own thread.
    let (rest, (curves, embedded)) = std::thread::scope(|scope| {
        let draw = || (curves(report), data::embedded(report));
        let thread = std::thread::Builder::new().spawn_scoped(scope, draw);
        let rest = [coordinates, verdicts::section, samples::section, lineage::section, lineage::environment]
            .map(|section| section(report));
        (rest, thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_else(draw))
    });
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy(&script, &style));
                title { (title) }
                style { (PreEscaped(&style)) }
            }
            body {
                header {
                    h1 { (report.of) }
                    p.faint {
                        (summary::runs_in_words(report)) ", written " (report.made) " UTC by pipeline " (report.version)
                    }
                    fieldset #theme hidden {
                        legend { "Theme" }
                        @for (value, words) in [("auto", "system"), ("light", "light"), ("dark", "dark")] {
                            label { input type="radio" name="theme" value=(value) checked[value == "auto"]; " " (words) }
                        }
                    }
                    nav aria-label="Sections" {
                        @for (id, words) in PARTS { a href=(format!("#{id}")) { (words) } " " }
                    }
                }
                main {
                    (summary::section(report))
                    (curves)
                    @for section in &rest { (section) }
                }
                script type="application/json" id="data" { (PreEscaped(&embedded)) }
                script { (PreEscaped(&script)) }
            }
        }
    };
    // A last defence: a text that was not sanitised can neither hide what follows nor reverse its direction.
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t') || format::turns(c);
    let page = page.into_string();
    match page.contains(odd) {
        true => page.replace(odd, &char::REPLACEMENT_CHARACTER.to_string()),
        false => page,
    }
}

const PARTS: [(&str, &str); 7] = [
    ("summary", "Summary"),
    ("curves", "Curves"),
    ("parameters", "Parameters"),
    ("verdicts", "Verdicts"),
    ("samples", "Samples"),
    ("lineage", "Lineage"),
    ("environment", "Environment"),
];

/// The content security policy: nothing is loaded, and only the embedded script and style are allowed.
fn policy(script: &str, style: &str) -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(script),
        hash(style)
    )
}

fn themes() -> String {
    let (light, dark) = (LIGHT.variables(), DARK.variables());
    let mut css = format!(
        ":root{{color-scheme:light;{light}}}\
         @media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\
         :root[data-theme=dark]{{color-scheme:dark;{dark}}}\
         @media print{{:root,:root[data-theme]{{color-scheme:light;{light}}}}}\
         .ground{{fill:var(--ground)}}.ink{{fill:var(--text)}}.faint{{fill:var(--faint)}}.grid{{stroke:var(--grid)}}\
         .base{{stroke:var(--faint)}}.bad{{stroke:var(--bad)}}.band{{opacity:var(--band)}}"
    );
    for place in 0..LIGHT.curves.len() {
        css.push_str(&format!(
            ".s{place}{{stroke:var(--c{place})}}.f{place}{{fill:var(--c{place});color:var(--c{place})}}\
             .m{place}::before{{content:\"■ \";content:\"■ \"/\"\";font-size:1.1em;color:var(--c{place})}}"
        ));
    }
    css
}

fn curves(report: &ReportView) -> Markup {
    let canvas = Canvas { width: 860, height: 400, shade: Shade::Page };
    html! {
        section #curves {
            h2 { "Curves" }
            @if report.charts.is_empty() { p { "These runs have no steps." } }
            @let drawn = report.charts.iter().map(|chart| chart.lines.len()).max().unwrap_or(0);
            @if drawn > 0 && drawn < report.runs.len() {
                p.faint {
                    (format::count(drawn as i64)) " of " (format::count(report.runs.len() as i64))
                    " runs are plotted: those described below, and an even selection of the others."
                }
            }
            fieldset #runs.toggles hidden {
                legend { "Runs shown" }
                @for (place, run) in report.runs.iter().enumerate() {
                    label {
                        input type="checkbox" value=(run.summary.run.0) checked; " "
                        span class=(format!("swatch f{}", place % LIGHT.curves.len())) { "■" } " " (run.words())
                    }
                }
                @if report.runs.len() > 2 {
                    button type="button" data-all="1" { "all" } " "
                    button type="button" data-all="" { "none" }
                }
            }
            @for chart in &report.charts {
                @if let Some(range) = Range::of(chart, chart.wants_log()) {
                    figure.chart data-chart=(chart.quantity.column()) {
                        figcaption { h3 { (chart.quantity.title()) } }
                        div.still { (PreEscaped(svg(chart, range, canvas))) }
                    }
                }
            }
        }
    }
}

fn coordinates(report: &ReportView) -> Markup {
    let names: Vec<&str> = report.differing.iter().map(|row| row.name.as_str()).collect();
    let strands: Vec<Strand> = report.runs.iter().enumerate().map(|(place, run)| strand(report, place, run)).collect();
    let picture = parallel::svg(&format::short_names(&names), "valid loss", &strands);
    let hidden = names.len().saturating_sub(parallel::MOST_AXES);
    html! {
        section #parameters {
            h2 { "Parameters that differ" }
            @if names.is_empty() { p { "All runs have the same parameters." } }
            @if !names.is_empty() {
                @if report.runs.len() > 1 {
                    p { "Each line is a run; the last axis shows the validation loss at the last checkpoint." }
                    div.wide { (picture) }
                    @if hidden > 0 { p.faint { (hidden) " more parameters are shown only in the table." } }
                }
                div.wide {
                    table {
                        thead { tr {
                            th scope="col" { "run" }
                            @for name in &names { th scope="col" { (name) } }
                            th.number scope="col" { "valid loss" }
                        } }
                        tbody {
                            @for (place, strand) in strands.iter().enumerate() {
                                tr data-run=(strand.run.0) {
                                    th scope="row" { (report.runs[place].summary.name()) }
                                    @for value in &strand.values {
                                        td { (value.as_ref().map_or(format::NOTHING, |value| &value.words)) }
                                    }
                                    td.number { (strand.outcome.words) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn strand(report: &ReportView, place: usize, run: &ReportedRun) -> Strand {
    let valid = run.valid();
    let loss = valid.and_then(|score| score.loss);
    Strand {
        run: run.summary.run,
        label: run.summary.name(),
        place,
        values: report.differing.iter().map(|row| row.values[place].as_ref().map(value)).collect(),
        outcome: Value { number: loss, words: format::loss(loss, valid.map(|score| score.loss_kind)) },
    }
}

/// A parameter value to draw.
fn value(cell: &Cell) -> Value {
    let number = match cell {
        Cell::Integer(value) => Some(*value as f64),
        Cell::Real(value) => Some(*value),
        _ => None,
    };
    Value { number, words: format::cell(cell) }
}
