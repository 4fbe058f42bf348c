//! The legend: labels beside the ends of curves and baselines, and notes below the axis.

use maud::{Markup, html};

use super::area::{LEFT, PlotArea, px};
use super::curves::{cross, triangle};
use crate::axis::tick_label;
use crate::chart::Curve;
use crate::colours;
use crate::labels::{chosen, spread, width};
use crate::range::Range;
use crate::text::{count, cut};
use crate::thin::thin;

/// The distance between two labels.
const GAP: f64 = 15.0;
/// The least distance at which labels can be read.
const LEAST_GAP: f64 = 12.0;

/// The label at a curve's end: its run, its last value, and its peak if that is cut off.
pub fn ending(line: &Curve, range: Range) -> String {
    let label = cut(&line.label, 36);
    let number = |x: f64, digits: usize| tick_label(format!("{x:.digits$e}").parse().unwrap_or(x));
    let Some(last) = line.last() else { return format!("{label}: never finite") };
    if let Some(kind) = line.ends_as() {
        return format!("{label}: {kind}");
    }
    let peak = line.peak().filter(|peak| range.cut && *peak > range.high).map(|peak| number(peak, 2));
    match peak {
        Some(peak) if last > range.high => format!("{label}: peak {peak}"),
        Some(peak) => format!("{label}: {}, peak {peak}", number(last, 3)),
        None => format!("{label}: {}", number(last, 3)),
    }
}

/// The heights at which the curves end, and the indices of the curves whose labels fit.
fn ends(area: &PlotArea<'_>) -> (Vec<f64>, Vec<usize>) {
    let chart = area.chart;
    let end = |line: &Curve| line.last().map_or(area.floor, |last| area.y(last)).clamp(area.top, area.floor);
    let ends: Vec<f64> = chart.lines.iter().map(end).collect();
    let room = ((area.floor - area.top) / LEAST_GAP) as usize;
    let named = chosen(&ends, room.saturating_sub(chart.baselines.len()));
    (ends, named)
}

/// The labels beside the ends of curves and baselines, moved apart so that they do not overlap.
pub fn endings(area: &PlotArea<'_>, words: &[String]) -> Markup {
    let chart = area.chart;
    let (ends, named) = ends(area);
    let lines = chart.baselines.iter().map(|baseline| area.y(baseline.value).clamp(area.top, area.floor));
    let heights: Vec<f64> = named.iter().map(|place| ends[*place]).chain(lines).collect();
    let heights = spread(&heights, GAP, area.top, area.floor);
    let (of_runs, of_lines) = heights.split_at(named.len());
    html! {
        @for ((line, words), y) in named.iter().map(|place| (&chart.lines[*place], &words[*place])).zip(of_runs) {
            text data-run=(line.run.0) class=(format!("f{}", colours::class(line.place))) x=(px(area.right + 8.0)) y=(px(y + 4.0)) { (words) }
        }
        @for (baseline, y) in chart.baselines.iter().zip(of_lines) {
            text class="faint" x=(px(area.right + 8.0)) y=(px(y + 4.0)) { (baseline) }
        }
    }
}

/// The notes that explain lines and marks.
pub fn notes(area: &PlotArea<'_>) -> Markup {
    let lines = &area.chart.lines;
    let y = area.floor + 54.0;
    let mut x = LEFT;
    let mut next = |words: &str| {
        let here = x;
        x += width(words) * 11.0 + 34.0;
        here
    };
    let named = ends(area).1.len();
    let coarse = lines.iter().any(|line| thin(&line.buckets, area.bucket).iter().any(|it| it.minimum != it.maximum));
    html! {
        @if coarse {
            @let band = if area.chart.is_crowded() { "" } else { "; band: minimum to maximum" };
            @let words = format!("line: mean of {} steps{band}", count(area.bucket.max(most(lines))));
            text class="faint" font-size="11" x=(px(next(&words))) y=(y) { (words) }
        }
        @if lines.iter().any(|line| line.onset.is_some()) {
            @let at = next("onset");
            path class="faint" d=(triangle(at + 5.0, y - 4.0)) {}
            text class="faint" font-size="11" x=(px(at + 16.0)) y=(y) { "onset" }
        }
        @if named < lines.len() {
            @let words = format!("{} of {} runs have a label", count(named as i64), count(lines.len() as i64));
            text class="faint" font-size="11" x=(px(next(&words))) y=(y) { (words) }
        }
        @if lines.iter().any(|line| !line.holes.is_empty()) {
            @let at = next("not finite");
            path class="base" d=(cross(at + 5.0, y - 4.0)) stroke-width="1.8" fill="none" {}
            text class="faint" font-size="11" x=(px(at + 16.0)) y=(y) { "not finite" }
        }
    }
}

/// Steps in the widest bucket that was read.
fn most(lines: &[Curve]) -> i64 {
    lines.iter().flat_map(|line| &line.buckets).map(|bucket| bucket.steps).max().unwrap_or(1)
}
