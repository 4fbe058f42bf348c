//! The area of a picture that holds the curves, and the positions of steps and values in it.

use crate::chart::Chart;
use crate::range::Range;

/// The distance of the area from the picture's left edge.
pub const LEFT: f64 = 58.0;

/// The area of a picture that holds the curves.
pub struct PlotArea<'a> {
    pub chart: &'a Chart,
    pub range: Range,
    pub right: f64,
    pub top: f64,
    pub floor: f64,
    /// Steps per bucket.
    pub bucket: i64,
}

impl PlotArea<'_> {
    /// The x coordinate of a step.
    pub fn x(&self, step: f64) -> f64 {
        LEFT + step / self.chart.steps.max(1) as f64 * (self.right - LEFT)
    }

    /// The y coordinate of a value. A value outside the range lies outside the area, so that a curve that is cut off
    /// keeps its slope; the distance is bounded.
    pub fn y(&self, value: f64) -> f64 {
        let share = self.range.share(value).clamp(-20.0, 20.0);
        self.floor - share * (self.floor - self.top)
    }
}

/// A coordinate with one decimal, because less than a tenth of a pixel is invisible.
pub fn px(x: f64) -> String {
    let text = format!("{x:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}
