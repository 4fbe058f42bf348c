//! A run's curve and its marks.

use maud::{Markup, html};

use super::area::{PlotArea, px};
use crate::chart::Curve;
use crate::colours;
use crate::text::count;
use crate::thin::thin;
use identity::Bucket;

/// A run's band and line.
pub fn curve(area: &PlotArea<'_>, line: &Curve) -> Markup {
    let buckets = thin(&line.buckets, area.bucket);
    let at = |bucket: &Bucket| area.x(bucket.first as f64 + (bucket.steps - 1) as f64 / 2.0);
    let crowded = area.chart.is_crowded();
    let mut path = String::new();
    let mut band = String::new();
    // A bucket without a finite value leaves a gap. Steps that were not measured have no bucket and leave no gap.
    for part in buckets.split(|bucket| bucket.finite == 0).filter(|part| !part.is_empty()) {
        for (place, bucket) in part.iter().enumerate() {
            let sign = if place == 0 { 'M' } else { 'L' };
            path.push_str(&format!("{sign}{},{}", px(at(bucket)), px(area.y(bucket.mean().unwrap_or(0.0)))));
        }
        if part.len() == 1 {
            path.push_str("h0");
        }
        if !crowded && part.iter().any(|bucket| bucket.minimum != bucket.maximum) {
            let side =
                |bucket: &Bucket, of: Option<f64>| format!("{},{}", px(at(bucket)), px(area.y(of.unwrap_or(0.0))));
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
                    circle class=(format!("f{colour}")) cx=(px(at(bucket))) cy=(px(area.y(bucket.mean().unwrap_or(0.0)))) r="2.6" {}
                }
            }
        }
    }
}

/// Marks at the onset in a run's verdict and where values are not finite.
pub fn marks(area: &PlotArea<'_>, line: &Curve) -> Markup {
    let colour = colours::class(line.place);
    // Each run with non-finite values has its own lane, so that marks at the same steps don't cover one another.
    let lanes = area.chart.lines.iter().filter(|it| !it.holes.is_empty() && it.place < line.place).count();
    let lane = area.floor - 7.0 - 9.0 * (lanes % 8) as f64;
    html! {
        g data-run=(line.run.0) {
            @if let Some(onset) = line.onset {
                @let x = px(area.x(onset as f64));
                title { "onset of " (line.label) " at step " (count(onset)) }
                line class=(format!("onset s{colour}")) x1=(x) x2=(x) y1=(area.top) y2=(area.floor) stroke-dasharray="2 3" {}
                path class=(format!("f{colour}")) d=(triangle(area.x(onset as f64), area.top)) {}
            }
            @for hole in &line.holes {
                @let x = area.x(hole.first as f64);
                path class=(format!("hole s{colour}")) d=(cross(x, lane)) stroke-width="1.8" fill="none" {}
                @if hole.last > hole.first {
                    line class=(format!("s{colour}")) x1=(px(x)) x2=(px(area.x(hole.last as f64))) y1=(lane) y2=(lane)
                        stroke-width="1.2" {}
                }
            }
        }
    }
}

/// The mark of a non-finite value.
pub fn cross(x: f64, y: f64) -> String {
    format!("M{},{}l7,7m0,-7l-7,7", px(x - 3.5), px(y - 3.5))
}

/// The mark of an onset.
pub fn triangle(x: f64, y: f64) -> String {
    format!("M{},{}h10l-5,8Z", px(x - 5.0), px(y - 4.0))
}
