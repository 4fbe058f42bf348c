//! A chart as SVG: one line per run, over a band from the minimum to the maximum of each bucket.

mod area;
mod curves;
mod legend;

use maud::{Markup, PreEscaped, html};

use crate::axis::{Baseline, nice, tick_label};
use crate::chart::Chart;
use crate::colours::{DARK, LIGHT};
use crate::labels::width;
use crate::range::Range;
use crate::text::count;
use crate::thin;
use area::{LEFT, PlotArea, px};
use curves::{curve, marks};
use legend::{ending, endings, notes};

/// The size of a picture in CSS pixels, and its theme.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Canvas {
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// Its theme.
    pub shade: Shade,
}

/// The theme of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shade {
    /// A white background.
    Light,
    /// A black background.
    Dark,
    /// An SVG that follows the theme of the page around it.
    Auto,
    /// Part of a page whose CSS sets the colours.
    Page,
}

/// Arial if it is installed, else a font with the same metrics.
pub(super) const FONT: &str = "Helvetica, Arial, Arimo, 'Liberation Sans', sans-serif";

const SIZE: f64 = 12.0;

/// The picture.
pub fn svg(chart: &Chart, range: Range, canvas: Canvas) -> String {
    let (w, h) = (f64::from(canvas.width), f64::from(canvas.height));
    let page = canvas.shade == Shade::Page;
    let words: Vec<String> = chart.lines.iter().map(|line| ending(line, range)).collect();
    let lines = chart.baselines.iter().map(Baseline::to_string);
    let widest = lines.clone().chain(words.iter().cloned()).map(|text| width(&text) * SIZE).fold(40.0, f64::max);
    let right = w - (widest + 16.0).min(w * 0.45);
    let area = PlotArea {
        chart,
        range,
        right,
        top: if page { 14.0 } else { 40.0 },
        floor: h - 62.0,
        // With very many runs, each curve has fewer buckets, but no spike is lost.
        bucket: thin::width(chart.steps, ((right - LEFT) / 4.0).min(6000.0 / chart.lines.len().max(1) as f64) as i64),
    };
    let name = format!("{}: {}", chart.of, chart.quantity.title());
    let clip = format!("frame-{}", chart.quantity.column());
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {w} {h}")) width=[(!page).then_some(w)]
            height=[(!page).then_some(h)] role="img" aria-label=(name) font-family=(FONT) font-size=(SIZE) {
            @if !page {
                title { (name) }
                style { (PreEscaped(style(canvas.shade))) }
                rect class="ground" width=(w) height=(h) {}
                text class="ink" x=(LEFT) y="22" font-size="14" { (name) }
            }
            defs {
                clipPath id=(clip) {
                    rect x=(LEFT) y=(area.top) width=(right - LEFT) height=(area.floor - area.top) {}
                }
            }
            (axes(&area))
            g clip-path=(format!("url(#{clip})")) fill="none" stroke-width="1.7" stroke-linejoin="round" stroke-linecap="round" {
                @for line in &chart.lines { (curve(&area, line)) }
            }
            @for baseline in &chart.baselines {
                line class="base" x1=(LEFT) x2=(right) y1=(px(area.y(baseline.value))) y2=(px(area.y(baseline.value)))
                    stroke-dasharray="5 4" {}
            }
            @for line in &chart.lines { (marks(&area, line)) }
            (endings(&area, &words))
            (notes(&area))
        }
    }
    .into_string()
}

fn style(shade: Shade) -> String {
    match shade {
        Shade::Light | Shade::Page => LIGHT.rules(),
        Shade::Dark => DARK.rules(),
        Shade::Auto => format!("{}@media (prefers-color-scheme:dark){{{}}}", LIGHT.rules(), DARK.rules()),
    }
}

fn axes(area: &PlotArea<'_>) -> Markup {
    let steps = area.chart.steps.max(1);
    let every = (nice(steps as f64 / 5.0) as i64).max(1);
    html! {
        @for tick in area.range.ticks() {
            line class="grid" x1=(LEFT) x2=(area.right) y1=(px(area.y(tick))) y2=(px(area.y(tick))) {}
            text class="faint" x=(LEFT - 8.0) y=(px(area.y(tick) + 4.0)) text-anchor="end" { (tick_label(tick)) }
        }
        line class="base" x1=(LEFT) x2=(area.right) y1=(area.floor) y2=(area.floor) {}
        @for step in (0..=steps / every).map(|i| i * every) {
            line class="base" x1=(px(area.x(step as f64))) x2=(px(area.x(step as f64))) y1=(area.floor) y2=(area.floor + 4.0) {}
            text class="faint" x=(px(area.x(step as f64))) y=(area.floor + 18.0) text-anchor="middle" { (count(step)) }
        }
        text class="faint" x=(px((LEFT + area.right) / 2.0)) y=(area.floor + 35.0) text-anchor="middle" {
            @if area.range.log { "step (the y axis is logarithmic)" } @else { "step" }
        }
    }
}
