//! A chart as SVG: one line a run, over a band from the least to the greatest value of each of its buckets.

use maud::{Markup, PreEscaped, html};

use crate::axis::{nice, tick_label};
use crate::colours::{self, DARK, LIGHT};
use crate::labels::{chosen, spread, width};
use crate::text::{count, cut};
use crate::thin::{self, thin};
use crate::{Baseline, Chart, Line, Range};
use identity::Bucket;

/// How large a picture is, in units that a browser shows as a pixel each, and on what ground.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
    /// Its theme.
    pub shade: Shade,
}

/// The theme of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shade {
    /// On white.
    Light,
    /// On black.
    Dark,
    /// As the reader has it: SVG that follows the page it is shown on.
    Auto,
    /// A part of a page, whose rules have the colours.
    Page,
}

/// Arial where it is, else what has its proportions.
pub(super) const FONT: &str = "Helvetica, Arial, Arimo, 'Liberation Sans', sans-serif";

const LEFT: f64 = 58.0;
const SIZE: f64 = 12.0;
/// Between two labels.
const GAP: f64 = 15.0;
/// Closer than that none can be read.
const LEAST_GAP: f64 = 12.0;

/// Where things lie.
struct Frame<'a> {
    chart: &'a Chart,
    range: Range,
    right: f64,
    top: f64,
    floor: f64,
    /// Steps of a bucket.
    bucket: i64,
}

impl Frame<'_> {
    fn x(&self, step: f64) -> f64 {
        LEFT + step / self.chart.steps.max(1) as f64 * (self.right - LEFT)
    }

    /// Where a value lies; what leaves the picture does so with its own slope, but not to infinity.
    fn y(&self, value: f64) -> f64 {
        let share = self.range.share(value).clamp(-20.0, 20.0);
        self.floor - share * (self.floor - self.top)
    }
}

/// The picture.
pub fn svg(chart: &Chart, range: Range, look: Look) -> String {
    let (w, h) = (f64::from(look.width), f64::from(look.height));
    let page = look.shade == Shade::Page;
    let words: Vec<String> = chart.lines.iter().map(|line| ending(line, range)).collect();
    let lines = chart.baselines.iter().map(Baseline::to_string);
    let widest = lines.clone().chain(words.iter().cloned()).map(|text| width(&text) * SIZE).fold(40.0, f64::max);
    let right = w - (widest + 16.0).min(w * 0.45);
    let frame = Frame {
        chart,
        range,
        right,
        top: if page { 14.0 } else { 40.0 },
        floor: h - 62.0,
        // Of very many runs each is drawn coarser; none loses a spike.
        bucket: thin::width(chart.steps, ((right - LEFT) / 4.0).min(6000.0 / chart.lines.len().max(1) as f64) as i64),
    };
    let name = format!("{}: {}", chart.of, chart.quantity.title());
    let clip = format!("frame-{}", chart.quantity.column());
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {w} {h}")) width=[(!page).then_some(w)]
            height=[(!page).then_some(h)] role="img" aria-label=(name) font-family=(FONT) font-size=(SIZE) {
            @if !page {
                title { (name) }
                style { (PreEscaped(style(look.shade))) }
                rect class="ground" width=(w) height=(h) {}
                text class="ink" x=(LEFT) y="22" font-size="14" { (name) }
            }
            defs {
                clipPath id=(clip) {
                    rect x=(LEFT) y=(frame.top) width=(right - LEFT) height=(frame.floor - frame.top) {}
                }
            }
            (axes(&frame))
            g clip-path=(format!("url(#{clip})")) fill="none" stroke-width="1.7" stroke-linejoin="round" stroke-linecap="round" {
                @for line in &chart.lines { (curve(&frame, line)) }
            }
            @for baseline in &chart.baselines {
                line class="base" x1=(LEFT) x2=(right) y1=(px(frame.y(baseline.value))) y2=(px(frame.y(baseline.value)))
                    stroke-dasharray="5 4" {}
            }
            @for line in &chart.lines { (marks(&frame, line)) }
            (endings(&frame, &words))
            (notes(&frame))
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

/// A place with one decimal: a tenth of a pixel is not seen.
fn px(x: f64) -> String {
    let text = format!("{x:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

fn axes(frame: &Frame<'_>) -> Markup {
    let steps = frame.chart.steps.max(1);
    let every = (nice(steps as f64 / 5.0) as i64).max(1);
    html! {
        @for tick in frame.range.ticks() {
            line class="grid" x1=(LEFT) x2=(frame.right) y1=(px(frame.y(tick))) y2=(px(frame.y(tick))) {}
            text class="faint" x=(LEFT - 8.0) y=(px(frame.y(tick) + 4.0)) text-anchor="end" { (tick_label(tick)) }
        }
        line class="base" x1=(LEFT) x2=(frame.right) y1=(frame.floor) y2=(frame.floor) {}
        @for step in (0..=steps / every).map(|i| i * every) {
            line class="base" x1=(px(frame.x(step as f64))) x2=(px(frame.x(step as f64))) y1=(frame.floor) y2=(frame.floor + 4.0) {}
            text class="faint" x=(px(frame.x(step as f64))) y=(frame.floor + 18.0) text-anchor="middle" { (count(step)) }
        }
        text class="faint" x=(px((LEFT + frame.right) / 2.0)) y=(frame.floor + 35.0) text-anchor="middle" {
            @if frame.range.log { "step (the other axis is logarithmic)" } @else { "step" }
        }
    }
}

/// A run's band and line.
fn curve(frame: &Frame<'_>, line: &Line) -> Markup {
    let buckets = thin(&line.buckets, frame.bucket);
    let at = |bucket: &Bucket| frame.x(bucket.first as f64 + (bucket.steps - 1) as f64 / 2.0);
    let crowded = frame.chart.is_crowded();
    let mut path = String::new();
    let mut band = String::new();
    // A bucket without a finite value is a gap; one that is missing was not measured, and is none.
    for part in buckets.split(|bucket| bucket.finite == 0).filter(|part| !part.is_empty()) {
        for (place, bucket) in part.iter().enumerate() {
            let sign = if place == 0 { 'M' } else { 'L' };
            path.push_str(&format!("{sign}{},{}", px(at(bucket)), px(frame.y(bucket.mean().unwrap_or(0.0)))));
        }
        if part.len() == 1 {
            path.push_str("h0");
        }
        if !crowded && part.iter().any(|bucket| bucket.minimum != bucket.maximum) {
            let side =
                |bucket: &Bucket, of: Option<f64>| format!("{},{}", px(at(bucket)), px(frame.y(of.unwrap_or(0.0))));
            let upper = part.iter().map(|bucket| side(bucket, bucket.maximum));
            let lower = part.iter().rev().map(|bucket| side(bucket, bucket.minimum));
            band.push_str(&format!("M{}Z", upper.chain(lower).collect::<Vec<_>>().join("L")));
        }
    }
    let colour = colours::class(line.place);
    let few = buckets.len() <= 30 && !crowded;
    html! {
        g data-run=(line.run.0) {
            @if !band.is_empty() { path class=(format!("band f{colour}")) d=(band) {} }
            path class=(format!("line s{colour}")) d=(path) stroke-dasharray=[colours::dashes(line.place)] {}
            @if few {
                @for bucket in buckets.iter().filter(|bucket| bucket.finite > 0) {
                    circle class=(format!("f{colour}")) cx=(px(at(bucket))) cy=(px(frame.y(bucket.mean().unwrap_or(0.0)))) r="2.6" {}
                }
            }
        }
    }
}

/// Where a run's verdict says that it began, and where it was no number.
fn marks(frame: &Frame<'_>, line: &Line) -> Markup {
    let colour = colours::class(line.place);
    // A lane for each run that has some, so that marks at the same steps don't cover one another.
    let lanes = frame.chart.lines.iter().filter(|it| !it.holes.is_empty() && it.place < line.place).count();
    let lane = frame.floor - 7.0 - 9.0 * (lanes % 8) as f64;
    html! {
        g data-run=(line.run.0) {
            @if let Some(onset) = line.onset {
                @let x = px(frame.x(onset as f64));
                title { "onset of " (line.label) " at step " (count(onset)) }
                line class=(format!("onset s{colour}")) x1=(x) x2=(x) y1=(frame.top) y2=(frame.floor) stroke-dasharray="2 3" {}
                path class=(format!("f{colour}")) d=(triangle(frame.x(onset as f64), frame.top)) {}
            }
            @for hole in &line.holes {
                @let x = frame.x(hole.first as f64);
                path class=(format!("hole s{colour}")) d=(cross(x, lane)) stroke-width="1.8" fill="none" {}
                @if hole.last > hole.first {
                    line class=(format!("s{colour}")) x1=(px(x)) x2=(px(frame.x(hole.last as f64))) y1=(lane) y2=(lane)
                        stroke-width="1.2" {}
                }
            }
        }
    }
}

fn cross(x: f64, y: f64) -> String {
    format!("M{},{}l7,7m0,-7l-7,7", px(x - 3.5), px(y - 3.5))
}

fn triangle(x: f64, y: f64) -> String {
    format!("M{},{}h10l-5,8Z", px(x - 5.0), px(y - 4.0))
}

/// What stands at a curve's end: its run, the last value, and how far it rose where that is out of the picture.
fn ending(line: &Line, range: Range) -> String {
    let label = cut(&line.label, 36);
    let number = |x: f64, digits: usize| tick_label(format!("{x:.digits$e}").parse().unwrap_or(x));
    let Some(last) = line.last() else { return format!("{label}: never finite") };
    if let Some(kind) = line.ends_as() {
        return format!("{label}: {kind}");
    }
    let peak = line.peak().filter(|peak| range.cut && *peak > range.high).map(|peak| number(peak, 2));
    match peak {
        Some(peak) if last > range.high => format!("{label}: up to {peak}"),
        Some(peak) => format!("{label}: {}, up to {peak}", number(last, 3)),
        None => format!("{label}: {}", number(last, 3)),
    }
}

/// The heights at which the curves end, and the places of those for whose labels there is room.
fn ends(frame: &Frame<'_>) -> (Vec<f64>, Vec<usize>) {
    let chart = frame.chart;
    let end = |line: &Line| line.last().map_or(frame.floor, |last| frame.y(last)).clamp(frame.top, frame.floor);
    let ends: Vec<f64> = chart.lines.iter().map(end).collect();
    let room = ((frame.floor - frame.top) / LEAST_GAP) as usize;
    let named = chosen(&ends, room.saturating_sub(chart.baselines.len()));
    (ends, named)
}

/// Labels of curves and baselines beside their ends, kept apart.
fn endings(frame: &Frame<'_>, words: &[String]) -> Markup {
    let chart = frame.chart;
    let (ends, named) = ends(frame);
    let lines = chart.baselines.iter().map(|baseline| frame.y(baseline.value).clamp(frame.top, frame.floor));
    let heights: Vec<f64> = named.iter().map(|place| ends[*place]).chain(lines).collect();
    let heights = spread(&heights, GAP, frame.top, frame.floor);
    let (of_runs, of_lines) = heights.split_at(named.len());
    html! {
        @for ((line, words), y) in named.iter().map(|place| (&chart.lines[*place], &words[*place])).zip(of_runs) {
            text data-run=(line.run.0) class=(format!("f{}", colours::class(line.place))) x=(px(frame.right + 8.0)) y=(px(y + 4.0)) { (words) }
        }
        @for (baseline, y) in chart.baselines.iter().zip(of_lines) {
            text class="faint" x=(px(frame.right + 8.0)) y=(px(y + 4.0)) { (baseline) }
        }
    }
}

/// What lines and marks mean.
fn notes(frame: &Frame<'_>) -> Markup {
    let lines = &frame.chart.lines;
    let y = frame.floor + 54.0;
    let mut x = LEFT;
    let mut next = |words: &str| {
        let here = x;
        x += width(words) * 11.0 + 34.0;
        here
    };
    let named = ends(frame).1.len();
    let coarse = lines.iter().any(|line| thin(&line.buckets, frame.bucket).iter().any(|it| it.minimum != it.maximum));
    html! {
        @if coarse {
            @let band = if frame.chart.is_crowded() { "" } else { "; band: least to greatest" };
            @let words = format!("line: mean of {} steps{band}", count(frame.bucket.max(most(lines))));
            text class="faint" font-size="11" x=(px(next(&words))) y=(y) { (words) }
        }
        @if lines.iter().any(|line| line.onset.is_some()) {
            @let at = next("onset");
            path class="faint" d=(triangle(at + 5.0, y - 4.0)) {}
            text class="faint" font-size="11" x=(px(at + 16.0)) y=(y) { "onset" }
        }
        @if named < lines.len() {
            @let words = format!("{} of {} runs are labelled", count(named as i64), count(lines.len() as i64));
            text class="faint" font-size="11" x=(px(next(&words))) y=(y) { (words) }
        }
        @if lines.iter().any(|line| !line.holes.is_empty()) {
            @let at = next("not finite");
            path class="base" d=(cross(at + 5.0, y - 4.0)) stroke-width="1.8" fill="none" {}
            text class="faint" font-size="11" x=(px(at + 16.0)) y=(y) { "not finite" }
        }
    }
}

/// Steps of the widest bucket that was read.
fn most(lines: &[Line]) -> i64 {
    lines.iter().flat_map(|line| &line.buckets).map(|bucket| bucket.steps).max().unwrap_or(1)
}
